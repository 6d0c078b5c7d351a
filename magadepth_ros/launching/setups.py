# SPDX-License-Identifier: Apache-2.0
"""The type of a row of the table of cameras, and the kinds of sources that a row may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from magadepth_ros.launching.arguments import Argument


@dataclass(frozen=True)
class Driver:
    """
    The launch file of another package that starts a camera.

    All fields but ``install`` may contain ``{camera_name}`` and other launch arguments.
    ``push_namespace`` is for a driver whose own launch file has no argument for its namespace.
    ``install`` is the command that installs the driver; ``{distro}`` is the ROS distribution.
    """

    package: str
    launch_file: str
    arguments: Mapping[str, str]
    install: str
    push_namespace: str = ''


@dataclass(frozen=True)
class Simulated:
    """The package's simulated camera; launch arguments of the same names are its parameters."""


@dataclass(frozen=True)
class Player:
    """``ros2 bag play``."""


@dataclass(frozen=True)
class CameraSetup:
    """
    One row of the table: the camera that `NAME.launch.py` starts and completes.

    ``rgb``, ``rgb_info``, ``depth`` and ``frame`` (optical frame of the colour image) may hold
    ``{camera_namespace}``, ``{camera_name}`` and other launch arguments. ``rgb_info`` '' is the
    camera_info beside ``rgb``. ``sensor`` and ``note`` are shown to people. ``parameters`` are
    parameters of completion_node for this camera, such as the range in which it measures well.
    ``camera_info`` renames the outgoing camera_info where the driver itself publishes
    ``depth/camera_info``. ``arguments`` are launch arguments of this camera; they replace common
    ones of the same name.
    """

    title: str
    sensor: str
    rgb: str
    depth: str
    frame: str
    rgb_info: str = ''
    source: Driver | Simulated | Player | None = None
    note: str = ''
    parameters: Mapping[str, object] = field(default_factory=dict)
    arguments: tuple[Argument, ...] = ()
    camera_info: str = ''
