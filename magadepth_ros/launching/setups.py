# SPDX-License-Identifier: Apache-2.0
"""What a row of the table of cameras says, and the kinds of sources that it may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from magadepth_ros.launching.arguments import Argument


@dataclass(frozen=True)
class Driver:
    """
    The launch file of another package that starts a camera.

    All but ``install`` may hold ``{camera_name}`` and other launch arguments. ``push_namespace``
    is for a driver whose own launch file has no argument for its namespace. ``install`` says how
    to get it, ``{distro}`` being the ROS distribution.
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
    One row: what `NAME.launch.py` completes.

    ``rgb``, ``rgb_info``, ``depth`` and ``frame`` (optical frame of the colour image) may hold
    ``{camera_namespace}``, ``{camera_name}`` and other launch arguments. ``sensor`` and ``note``
    are for people. ``parameters`` are those of completion_node that differ for this camera, such
    as the range in which it measures well. ``camera_info`` is another name for the outgoing one,
    where the driver has a ``depth/camera_info`` itself. ``arguments`` are its own launch
    arguments; one that every launch file has is replaced.
    """

    title: str
    sensor: str
    rgb: str
    rgb_info: str
    depth: str
    frame: str
    source: Driver | Simulated | Player | None = None
    note: str = ''
    parameters: Mapping[str, object] = field(default_factory=dict)
    arguments: tuple[Argument, ...] = ()
    camera_info: str = ''
