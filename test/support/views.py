# SPDX-License-Identifier: Apache-2.0
"""One rendered scene seen by two cameras, whose depth is known exactly in both."""

from __future__ import annotations

import cv2
import numpy as np

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.simulation.render import render
from magadepth_ros.simulation.scene import CameraPose, random_scene


def transform(angle_deg: float, shift: tuple[float, float, float]) -> np.ndarray:
    """Turn about a slanted axis and shift [m], as (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.deg2rad(angle_deg) * np.array([0.3, 0.9, 0.3]))[0]
    matrix[:3, 3] = shift
    return matrix


def two_views(colour_size: tuple[int, int], depth_to_colour: np.ndarray):
    """Render exact depth of one scene for a 320x240 depth camera and a colour camera."""
    scene = random_scene(5)
    depth_camera = CameraModel(320, 240, 260.0, 260.0, 159.5, 119.5)
    width, height = colour_size
    focal = 0.85 * width
    colour_camera = CameraModel(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
    at = CameraPose.on_path(0.4, (260.0, 260.0, 159.5, 119.5))
    inverse = np.linalg.inv(depth_to_colour)
    other = CameraPose(
        at.position + at.rotation @ inverse[:3, 3],
        at.rotation @ inverse[:3, :3],
        (focal, focal, (width - 1) / 2, (height - 1) / 2),
    )
    depth = render(scene, at, 320, 240).depth
    return depth_camera, colour_camera, depth, render(scene, other, width, height).depth
