# SPDX-License-Identifier: Apache-2.0
"""A robot's base that drives through the room, and the pose of its camera."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from magadepth_ros.simulation.scene import CameraPose

MOUNT = (0.10, 0.0, 0.95)
"""The camera on the base: forward, left, up [m] (REP 103)."""

PITCH = 0.2
"""Angle by which the camera looks down [rad]."""

OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation from axes x right, y down, z forward (the room) to x forward, y left, z up."""


class BasePose(NamedTuple):
    """Pose of the base in ``odom`` [m, rad]; the room's floor is at z = 0."""

    x: float
    y: float
    yaw: float

    @staticmethod
    def on_path(angle: float) -> BasePose:
        """Return the pose, facing the furniture, at ``angle`` [rad] of a closed path of 1.9 m."""
        return BasePose(
            -1.1 + 0.35 * float(np.cos(angle)),
            0.25 * float(np.sin(angle)),
            0.25 * float(np.sin(angle)),
        )


def mounted(base: BasePose, intrinsics: tuple[float, float, float, float]) -> CameraPose:
    """Return the pose in the room of the camera that is mounted on the base."""
    cos, sin = np.cos(base.yaw), np.sin(base.yaw)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    cos, sin = np.cos(PITCH), np.sin(PITCH)
    pitch = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    position = np.array([base.x, base.y, 0.0]) + turn @ MOUNT
    return CameraPose(OPTICAL.T @ position, OPTICAL.T @ turn @ pitch @ OPTICAL, intrinsics)
