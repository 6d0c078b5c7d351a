# SPDX-License-Identifier: Apache-2.0
"""A simulated RGB-D camera in a procedural room, for demos and tests without recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from magadepth_ros.simulation.drive import BasePose, mounted
from magadepth_ros.simulation.render import render
from magadepth_ros.simulation.scene import CameraPose, random_scene
from magadepth_ros.simulation.sensor import DepthSensor

__all__ = [
    'RATES',
    'SIDES',
    'SimulatedView',
    'simulated_frames',
    'simulated_intrinsics',
    'simulated_views',
]

SIDES = (16, 4096)
"""Smallest and largest width and height of a simulated camera [px]."""
RATES = (0.1, 240.0)
"""Lowest and highest rate of a simulated camera [Hz]."""


def simulated_intrinsics(width: int, height: int) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy of the simulated camera [px]; 63 degrees wide, square pixels."""
    focal = 525.0 / 640.0 * width
    return focal, focal, (width - 1) / 2.0, (height - 1) / 2.0


def simulated_frames(
    width: int, height: int, count: int, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """
    Render a short sequence that can be played in a loop.

    Parameters
    ----------
    width, height:
        size of the images [px].
    count:
        number of frames of one round of the camera's path; the last leads back to the first.
    seed:
        chooses the room; the same seed gives the same frames.

    Returns
    -------
    list of (rgb, depth)
        rgb (H, W, 3) uint8 RGB; depth (H, W) float32 metres in whole millimetres, 0 = missing,
        with the noise, quantisation and holes of a structured light camera.

    """
    return [(view.rgb, view.depth) for view in simulated_views(width, height, count, seed)]


class SimulatedView(NamedTuple):
    """
    The images of the simulated camera at one moment.

    ``rgb`` (H, W, 3) uint8; ``depth`` (H, W) float32 metres, 0 = missing, and ``truth``, complete,
    of the depth camera; ``mask`` (H, W) uint8 of the colour camera, 255 on mirroring surfaces;
    ``base`` is the pose of the robot that carries the camera, or None.
    """

    rgb: np.ndarray
    depth: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    base: BasePose | None


def simulated_views(
    width: int,
    height: int,
    count: int,
    seed: int = 0,
    driving: bool = False,
    depth_left: float = 0.0,
) -> Iterator[SimulatedView]:
    """
    Render one round of the camera's path: held by hand, or ``driving`` on a robot's base.

    ``depth_left`` is the distance of the depth camera to the left of the colour camera [m]; other
    arguments as for `simulated_frames`.
    """
    scene, intrinsics = random_scene(seed), simulated_intrinsics(width, height)
    sensor = DepthSensor(width, height, intrinsics, seed)
    for index in range(count):
        angle = 2.0 * np.pi * index / max(count, 1)
        base = BasePose.on_path(angle) if driving else None
        camera = mounted(base, intrinsics) if base else CameraPose.on_path(angle, intrinsics, seed)
        seen = render(scene, camera, width, height)
        rgb = sensor.expose(seen)
        mask = np.where(seen.gloss > 0.5, np.uint8(255), np.uint8(0))
        if depth_left:
            shifted = camera.position - depth_left * camera.rotation[:, 0]
            seen = render(scene, replace(camera, position=shifted), width, height)
        yield SimulatedView(rgb, sensor.measure(seen), seen.depth, mask, base)
