# SPDX-License-Identifier: Apache-2.0
"""Start the source of images: a camera's driver, the simulated camera, or a bag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import (
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
)
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.logging import get_logger
from launch_ros.actions import Node, PushRosNamespace

from magadepth_ros.launching.cameras import MASK
from magadepth_ros.launching.setups import CameraSetup, Driver, Player, Simulated
from magadepth_ros.launching.values import configuration, distro, fill, given, topic, warn
from magadepth_ros.resources import PACKAGE


def source_actions(context: LaunchContext, camera: CameraSetup) -> list[LaunchDescriptionEntity]:
    """Return the actions that start a camera's source; none where it runs already."""
    source = camera.source
    if isinstance(source, Simulated):
        values = given(context, [item for item in camera.arguments if item is not MASK])
        return [simulated_camera(values)]
    if isinstance(source, Player):
        return _player(context)
    if isinstance(source, Driver) and configuration(context, 'start_camera') == 'true':
        return driver_actions(context, source)
    return []


def driver_actions(context: LaunchContext, driver: Driver) -> list[LaunchDescriptionEntity]:
    """Return the actions that start the driver, or a warning that says how to install it."""
    package = fill(driver.package, context)
    try:
        share = get_package_share_directory(package)
    except PackageNotFoundError:
        install = driver.install.format(distro=distro())
        warn(
            f'the camera driver {package} is not installed, so no camera is started and '
            f'completion waits for its topics. To install it: {install}. Where the driver runs '
            'elsewhere, set start_camera:=false.'
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
    # In a scope of its own: its arguments may have the names of ours (params_file, log_level).
    return [GroupAction(actions, scoped=True, forwarding=False)]


def simulated_camera(parameters: Mapping[str, Any]) -> Node:
    """Return the simulated camera; the launch ends with it, and logs the reason."""
    return Node(
        package=PACKAGE,
        executable='simulated_camera',
        name='simulated_camera',
        parameters=[dict(parameters)] if parameters else [],
        output='screen',
        on_exit=_end,
    )


def installed(package: str) -> bool:
    """Whether a ROS package is installed."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def users(
    package: str, actions: Sequence[LaunchDescriptionEntity], install: str = ''
) -> list[LaunchDescriptionEntity]:
    """Return the nodes of ``package``, which use the depth; a warning where it is missing."""
    if installed(package):
        return list(actions)
    install = install or f'sudo apt install ros-{distro()}-{package.replace("_", "-")}'
    warn(f'{package} is not installed, so it is not started: {install}')
    return []


def _end(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    if context.is_shutdown:
        return []
    reason = f'{event.process_name} has ended with {event.returncode}: nothing left to complete'
    get_logger(PACKAGE).error(reason)
    return [EmitEvent(event=Shutdown(reason=reason))]


def _player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    bag = configuration(context, 'bag')
    if not bag:
        return []
    command = ['ros2', 'bag', 'play', bag, '--clock', '--rate', configuration(context, 'rate')]
    if configuration(context, 'loop') == 'true':
        command.append('--loop')
    return users('ros2bag', [ExecuteProcess(cmd=command, output='screen')])
