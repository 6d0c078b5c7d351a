# SPDX-License-Identifier: Apache-2.0
"""Make the launch files: arguments and DDS profile, then source, completion and RViz."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import OpaqueFunction, SetEnvironmentVariable

from magadepth_ros.launching.arguments import EVERYWHERE, Argument
from magadepth_ros.launching.cameras import CAMERAS, CameraSetup, arguments_of
from magadepth_ros.launching.nodes import completion_node, inputs, rviz
from magadepth_ros.launching.sources import source_actions
from magadepth_ros.launching.values import declared, fill, given, topic
from magadepth_ros.nodes.dds import PROFILE_VARIABLES
from magadepth_ros.resources import find_config
from magadepth_ros.topics import info_beside

Start = Callable[[LaunchContext], list[LaunchDescriptionEntity]]


def camera_launch(name: str) -> LaunchDescription:
    """Start a row of `CAMERAS`: its source, the completion of its depth and, if wanted, RViz."""
    camera = CAMERAS[name]
    return described(
        arguments_of(camera, EVERYWHERE), lambda context: camera_actions(context, camera)
    )


def described(arguments: Sequence[Argument], start: Start) -> LaunchDescription:
    """Declare and check ``arguments``, set the DDS profile, then do what ``start`` says."""

    def checked(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        given(context, arguments)
        return start(context)

    return LaunchDescription(
        [*declared(arguments), *_dds_profile(), OpaqueFunction(function=checked)]
    )


def camera_actions(context: LaunchContext, camera: CameraSetup) -> list[LaunchDescriptionEntity]:
    """Return what starts a camera's source, the completion of its depth and, if wanted, RViz."""
    rgb, rgb_info, depth = (
        topic(name, context) for name in (camera.rgb, camera.rgb_info, camera.depth)
    )
    rgb_info = rgb_info or info_beside(rgb)
    remappings = inputs(rgb, rgb_info, depth)
    if camera.camera_info:
        remappings.append(('depth/camera_info', camera.camera_info))
    return [
        *source_actions(context, camera),
        completion_node(context, remappings, camera.parameters),
        *rviz(context, rgb, rgb_info, depth, fill(camera.frame, context)),
    ]


def _dds_profile() -> list[SetEnvironmentVariable]:
    """Give the processes started after this 64 MiB of shared memory, unless a profile is set."""
    if any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return []
    profile = str(find_config('fastdds.xml'))
    return [SetEnvironmentVariable(name, profile) for name in PROFILE_VARIABLES]
