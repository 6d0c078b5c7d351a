# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: arguments, completion node, camera drivers, RViz, DDS profile."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushRosNamespace

from magadepth_ros.engines import BACKENDS
from magadepth_ros.nodes.dds import PROFILE_VARIABLES
from magadepth_ros.resources import PACKAGE, find_config
from magadepth_ros.topics import OUTPUTS, CameraTopics, info_beside, realsense_topics

BOOLEAN = ['true', 'false']

# The inputs of the node, and the names that config/magadepth.rviz knows them by.
RVIZ_RGB, RVIZ_RGB_INFO, RVIZ_DEPTH, RVIZ_DEPTH_INFO = realsense_topics()


@dataclass(frozen=True)
class Driver:
    """
    A camera driver that a launch file starts.

    All but ``install`` may hold ``{camera_name}`` and other launch arguments; ``push_namespace``
    is the namespace that it is put into where its own launch file has no argument for that;
    ``install`` says how to get it, ``{distro}`` being the ROS distribution.
    """

    package: str
    launch_file: str
    arguments: Mapping[str, str]
    install: str
    push_namespace: str = ''


@dataclass(frozen=True)
class CameraSetup:
    """
    One kind of camera: where its topics are, its parameters file, its driver.

    ``rgb``, ``rgb_info``, ``depth`` (aligned to the colour image) and ``frame`` (optical frame of
    the colour image) may hold ``{camera_namespace}`` and ``{camera_name}``. ``camera_info`` is
    another name for the outgoing one, where the driver has a ``depth/camera_info`` itself.
    """

    title: str
    rgb: str
    rgb_info: str
    depth: str
    frame: str
    parameters: str
    driver: Driver
    camera_name: str = 'camera'
    camera_namespace: str = ''
    camera_info: str = ''
    arguments: Sequence[DeclareLaunchArgument] = field(default=())


def camera_launch(camera: CameraSetup) -> LaunchDescription:
    """Start a camera's driver, the completion of its depth and, if wanted, RViz."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'camera_name',
                default_value=camera.camera_name,
                description=f"Name of the {camera.title}, part of its driver's topics.",
            ),
            DeclareLaunchArgument(
                'camera_namespace',
                default_value=camera.camera_namespace,
                description="Namespace of the driver's topics.",
            ),
            DeclareLaunchArgument(
                'start_camera',
                default_value='true',
                choices=BOOLEAN,
                description='Start the driver; false: it runs already.',
            ),
            *camera.arguments,
            *completion_arguments(camera.parameters),
            *dds_profile(),
            OpaqueFunction(function=_start_camera, args=[camera]),
        ]
    )


def completion_arguments(
    parameters: str = 'default.yaml', use_sim_time: bool = False
) -> list[DeclareLaunchArgument]:
    """Return the arguments of every launch file; ``parameters`` is a file in ``config/``."""
    return [
        DeclareLaunchArgument(
            'namespace',
            default_value='',
            description='Namespace of the outputs; empty gives /depth/completed and so on.',
        ),
        DeclareLaunchArgument(
            'model',
            default_value='',
            description='Shipped model by name, or path of an ONNX; empty: as params_file says.',
        ),
        DeclareLaunchArgument(
            'backend',
            default_value='',
            choices=['', *BACKENDS],
            description='Runtime of the network; empty: as params_file says.',
        ),
        DeclareLaunchArgument(
            'transport',
            default_value='',
            choices=['', 'raw', 'compressed'],
            description='Take raw images or, from another computer, compressed ones.',
        ),
        DeclareLaunchArgument(
            'params_file',
            default_value=str(find_config(parameters)),
            description='YAML file with the parameters of completion_node.',
        ),
        DeclareLaunchArgument(
            'autostart',
            default_value='true',
            choices=BOOLEAN,
            description='Configure and activate the node at once; false: `ros2 lifecycle set`.',
        ),
        DeclareLaunchArgument(
            'use_rviz', default_value='false', choices=BOOLEAN, description='Show it in RViz.'
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value=str(use_sim_time).lower(),
            choices=BOOLEAN,
            description='Take the time from /clock (bags, simulation).',
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='How much completion_node says.',
        ),
    ]


def dds_profile() -> list[SetEnvironmentVariable]:
    """Give the processes started after this 64 MiB of shared memory, unless a profile is set."""
    if any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return []
    profile = str(find_config('fastdds.xml'))
    return [SetEnvironmentVariable(name, profile) for name in PROFILE_VARIABLES]


def completion_node(
    context: LaunchContext,
    remappings: Sequence[tuple[str, str]],
    parameters: Mapping[str, object] | None = None,
) -> Node:
    """Return the completion node as the arguments of `completion_arguments` want it."""
    values: dict[str, object] = {
        name: configuration(context, name)
        for name in ('model', 'backend', 'transport')
        if configuration(context, name)
    }
    values['autostart'] = configuration(context, 'autostart') == 'true'
    values['use_sim_time'] = configuration(context, 'use_sim_time') == 'true'
    values.update(parameters or {})
    return Node(
        package=PACKAGE,
        executable='completion_node',
        name='completion_node',
        namespace=configuration(context, 'namespace'),
        parameters=[configuration(context, 'params_file'), values],
        remappings=list(remappings),
        ros_arguments=['--log-level', configuration(context, 'log_level')],
        output='screen',
    )


def inputs(rgb: str, rgb_info: str, depth: str, prefix: str = '') -> list[tuple[str, str]]:
    """Return the remappings of one camera's inputs; ``prefix`` is its name and a slash, or ''."""
    topics = CameraTopics(rgb, rgb_info, depth, info_beside(depth))
    return list(topics.as_inputs(prefix).items())


def rviz(
    context: LaunchContext, rgb: str, rgb_info: str, depth: str, frame: str, prefix: str = ''
) -> list[Node]:
    """Return RViz on these topics where it is wanted and installed; ``prefix`` as in `inputs`."""
    if configuration(context, 'use_rviz') != 'true':
        return []
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError:
        warn(f'RViz is not installed: sudo apt install ros-{distro()}-rviz2')
        return []
    base = f'{topic("/{namespace}", context)}/{prefix}'
    outputs = [(f'/{name}', f'{base}{name}') for name in OUTPUTS]
    return [
        Node(
            package='rviz2',
            executable='rviz2',
            name='magadepth_rviz',
            arguments=['-d', str(find_config('magadepth.rviz')), '-f', frame],
            parameters=[{'use_sim_time': configuration(context, 'use_sim_time') == 'true'}],
            remappings=[
                (RVIZ_RGB, rgb),
                (RVIZ_RGB_INFO, rgb_info),
                (RVIZ_DEPTH, depth),
                (RVIZ_DEPTH_INFO, info_beside(depth)),
                *(outputs if base != '/' else []),
            ],
            output='log',
        )
    ]


def driver_actions(context: LaunchContext, driver: Driver) -> list[LaunchDescriptionEntity]:
    """Return what starts the driver, or nothing and a warning that says how to install it."""
    package = fill(driver.package, context)
    try:
        share = get_package_share_directory(package)
    except PackageNotFoundError:
        install = driver.install.format(distro=distro())
        warn(
            f'the camera driver {package} is not installed, so no camera is started and '
            f'completion waits for its topics. To install it: {install}. Where the driver runs '
            'elsewhere, say start_camera:=false.'
        )
        return []
    launch_file = fill(driver.launch_file, context)
    values = {name: fill(text, context) for name, text in driver.arguments.items()}
    actions: list[LaunchDescriptionEntity] = [
        IncludeLaunchDescription(
            AnyLaunchDescriptionSource(str(Path(share, 'launch', launch_file))),
            launch_arguments=values.items(),
        )
    ]
    namespace = topic(driver.push_namespace, context)
    if namespace:
        actions.insert(0, PushRosNamespace(namespace))
    # Its own scope: arguments of the same name (params_file, log_level) are not ours.
    return [GroupAction(actions, scoped=True, forwarding=False)]


def configuration(context: LaunchContext, name: str) -> str:
    """Return the value of a launch argument."""
    return LaunchConfiguration(name).perform(context)


def fill(text: str, context: LaunchContext) -> str:
    """Put the values of launch arguments into ``{name}`` places."""
    return re.sub(r'\{(\w+)\}', lambda match: configuration(context, match.group(1)), text)


def topic(text: str, context: LaunchContext) -> str:
    """Like `fill`, for topic names: an empty part leaves no empty namespace behind."""
    return re.sub(r'/+', '/', fill(text, context)).rstrip('/')


def distro() -> str:
    """Return the name of the ROS distribution, or a place to fill in."""
    return os.environ.get('ROS_DISTRO') or '<distro>'


def warn(text: str) -> None:
    """Say something on the launch log that needs a person."""
    get_logger(PACKAGE).warning(text)


def _start_camera(context: LaunchContext, camera: CameraSetup) -> list[LaunchDescriptionEntity]:
    rgb, rgb_info, depth = (
        topic(name, context) for name in (camera.rgb, camera.rgb_info, camera.depth)
    )
    actions: list[LaunchDescriptionEntity] = []
    if configuration(context, 'start_camera') == 'true':
        actions += driver_actions(context, camera.driver)
    remappings = inputs(rgb, rgb_info, depth)
    if camera.camera_info:
        remappings.append(('depth/camera_info', camera.camera_info))
    actions.append(completion_node(context, remappings))
    actions += rviz(context, rgb, rgb_info, depth, fill(camera.frame, context))
    return actions
