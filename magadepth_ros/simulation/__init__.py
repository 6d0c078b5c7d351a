# SPDX-License-Identifier: Apache-2.0
"""A simulated RGB-D camera in a procedural room: frames for demos and tests without data."""

from __future__ import annotations

import numpy as np

from magadepth_ros.simulation.render import render
from magadepth_ros.simulation.scene import CameraPose, random_scene
from magadepth_ros.simulation.sensor import DepthSensor

__all__ = ['simulated_frames', 'simulated_frames_with_truth', 'simulated_intrinsics']


def simulated_intrinsics(width: int, height: int) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy of the simulated camera [px]; 63 degrees wide, square pixels."""
    focal = 525.0 / 640.0 * width
    return focal, focal, (width - 1) / 2.0, (height - 1) / 2.0


def simulated_frames(
    width: int, height: int, count: int, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """
    Render a short film that can be played in a loop.

    Parameters
    ----------
    width, height:
        size of the images [px].
    count:
        how many frames make one round of the camera's path; the last leads back to the first.
    seed:
        chooses the room; the same seed gives the same frames.

    Returns
    -------
    list of (rgb, depth)
        rgb (H, W, 3) uint8 RGB; depth (H, W) float32 metres in whole millimetres, 0 = missing,
        with the noise, quantisation and holes of a structured light camera.

    """
    return [
        (rgb, depth) for rgb, depth, _ in simulated_frames_with_truth(width, height, count, seed)
    ]


def simulated_frames_with_truth(
    width: int, height: int, count: int, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Like `simulated_frames`, with the exact depth (H, W) float32 metres, complete, as third."""
    scene = random_scene(seed)
    sensor = DepthSensor(width, height, simulated_intrinsics(width, height), seed)
    frames = []
    for index in range(count):
        camera = CameraPose.on_path(
            2.0 * np.pi * index / max(count, 1), simulated_intrinsics(width, height), seed
        )
        picture = render(scene, camera, width, height)
        frames.append((sensor.expose(picture), sensor.measure(picture), picture.depth))
    return frames
