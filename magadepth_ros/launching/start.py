# SPDX-License-Identifier: Apache-2.0
"""Make the launch files: arguments and DDS profile, then source, completion and RViz."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import OpaqueFunction, SetEnvironmentVariable

from magadepth_ros.errors import DataError
from magadepth_ros.launching.arguments import EVERYWHERE, Argument
from magadepth_ros.launching.cameras import CAMERAS, merged
from magadepth_ros.launching.nodes import completion_node, inputs, rviz
from magadepth_ros.launching.setups import CameraSetup
from magadepth_ros.launching.sources import source_actions
from magadepth_ros.launching.values import configuration, declared, fill, given, topic
from magadepth_ros.nodes.dds import PROFILE_VARIABLES
from magadepth_ros.resources import find_config
from magadepth_ros.topics import info_beside

Start = Callable[[LaunchContext], list[LaunchDescriptionEntity]]


def camera_launch(name: str) -> LaunchDescription:
    """Start a row of `CAMERAS`: its source, the completion of its depth and, if wanted, RViz."""
    camera = CAMERAS[name]
    return described(
        merged(camera.arguments, EVERYWHERE), lambda context: camera_actions(context, camera)
    )


class Topics(NamedTuple):
    """
    Topics of a camera and of its completed depth.

    The names of the outputs begin with ``outputs``; ``completed_info`` is the camera_info of
    completed depth.
    """

    rgb: str
    rgb_info: str
    depth: str
    frame: str
    outputs: str
    completed_info: str


def example_launch(
    preset: str,
    use: Callable[[LaunchContext, Topics], list[LaunchDescriptionEntity]],
    arguments: Sequence[Argument] = (),
    parameters: Mapping[str, object] | None = None,
    **defaults: str,
) -> LaunchDescription:
    """
    Start a row of `CAMERAS`, which an argument names, and the actions that ``use`` returns.

    ``preset`` is the default of the argument of that name. ``arguments`` are the example's own.
    ``parameters`` are parameters of completion_node that the example needs; preset and file
    override them. ``defaults`` are new defaults for arguments that the camera has.
    """
    text = 'Source of images: name of a launch file without its ending; its arguments work too.'
    own = [Argument('camera', 'demo', text, tuple(CAMERAS)), *arguments]
    everywhere = [
        replace(item, default=preset) if item.name == 'preset' else item for item in EVERYWHERE
    ]

    def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        camera = CAMERAS[configuration(context, 'camera')]
        camera = replace(camera, parameters={**camera.parameters, **(parameters or {})})
        for item in camera.arguments:
            default = defaults.get(item.name, item.default)
            if context.launch_configurations.setdefault(item.name, default) is None:
                raise DataError(
                    f'{item.name}: expected a value with this camera, got none: {item.description}'
                )
        given(context, camera.arguments)
        actions = camera_actions(context, camera)
        return [*actions, *use(context, topics_of(context, camera))]

    return described(merged(own, everywhere), start)


def described(arguments: Sequence[Argument], start: Start) -> LaunchDescription:
    """Declare and check ``arguments``, set the DDS profile, then run the actions of ``start``."""

    def checked(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        given(context, arguments)
        return start(context)

    return LaunchDescription(
        [*declared(arguments), *_dds_profile(), OpaqueFunction(function=checked)]
    )


def camera_actions(context: LaunchContext, camera: CameraSetup) -> list[LaunchDescriptionEntity]:
    """Return the actions that start a camera's source, the completion and, if wanted, RViz."""
    rgb, rgb_info, depth, frame, *_ = topics_of(context, camera)
    mask = topic(configuration(context, 'mask'), context)
    remappings = inputs(rgb, rgb_info, depth, mask=mask)
    if camera.camera_info:
        remappings.append(('depth/camera_info', camera.camera_info))
    return [
        *source_actions(context, camera),
        completion_node(context, remappings, camera.parameters),
        *rviz(context, rgb, rgb_info, depth, frame),
    ]


def topics_of(context: LaunchContext, camera: CameraSetup) -> Topics:
    """Return the topics of a camera with the arguments of this launch."""
    rgb, rgb_info, depth = (
        topic(name, context) for name in (camera.rgb, camera.rgb_info, camera.depth)
    )
    frame = fill(camera.frame, context)
    outputs = topic('/{namespace}', context)
    completed_info = f'{outputs}/{camera.camera_info or "depth/camera_info"}'
    return Topics(rgb, rgb_info or info_beside(rgb), depth, frame, outputs, completed_info)


def _dds_profile() -> list[SetEnvironmentVariable]:
    """Give the processes started after this 64 MiB of shared memory, unless a profile is set."""
    if any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return []
    profile = str(find_config('fastdds.xml'))
    return [SetEnvironmentVariable(name, profile) for name in PROFILE_VARIABLES]
