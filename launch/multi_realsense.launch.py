# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of several RealSense cameras in one node: one model, one batch.

Requirements: the driver (sudo apt install ros-<distro>-realsense2-camera); for use_rviz:=true also
ros-<distro>-rviz2, which shows the first camera. Outputs are /front/depth/completed,
/front/depth/points, /rear/depth/completed and so on.

    ros2 launch magadepth_ros multi_realsense.launch.py cameras:=front,rear \
        serials:=832112070255,832112070256

An example to copy for other cameras: the remappings of its inputs are all it takes.
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from magadepth_ros.launching import (
    BOOLEAN,
    Driver,
    completion_arguments,
    completion_node,
    configuration,
    dds_profile,
    driver_actions,
    inputs,
    rviz,
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'cameras', default_value='front,rear', description='Names, separated by commas.'
            ),
            DeclareLaunchArgument(
                'serials',
                default_value='',
                description='Their serial numbers in the same order; empty: as they are found.',
            ),
            DeclareLaunchArgument(
                'start_camera',
                default_value='true',
                choices=BOOLEAN,
                description='Start the drivers; false: they run already.',
            ),
            *completion_arguments('realsense.yaml'),
            *dds_profile(),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    names = [name for name in configuration(context, 'cameras').split(',') if name]
    serials = [serial for serial in configuration(context, 'serials').split(',') if serial]
    if serials and len(serials) != len(names):
        raise RuntimeError(
            f'serials: expected one for each of {", ".join(names)}, got {len(serials)}'
        )
    remappings: list[tuple[str, str]] = []
    actions: list[LaunchDescriptionEntity] = []
    for index, name in enumerate(names):
        base = f'/{name}/{name}'
        topics = (
            f'{base}/color/image_raw',
            f'{base}/color/camera_info',
            f'{base}/aligned_depth_to_color/image_raw',
        )
        prefix = f'{name}/'
        remappings += inputs(*topics, prefix)
        if index == 0:
            actions += rviz(context, *topics, f'{name}_color_optical_frame', prefix)
        if configuration(context, 'start_camera') == 'true':
            actions += driver_actions(context, driver(name, serials[index] if serials else ''))
    return [*actions, completion_node(context, remappings, {'cameras': names})]


def driver(name: str, serial: str) -> Driver:
    arguments = {
        'camera_name': name,
        'camera_namespace': name,
        'align_depth.enable': 'true',
        'enable_sync': 'true',
    }
    if serial:
        # The driver takes an underscore in front, else launch would make a number of it.
        arguments['serial_no'] = f'_{serial.lstrip("_")}'
    return Driver(
        package='realsense2_camera',
        launch_file='rs_launch.py',
        arguments=arguments,
        install='sudo apt install ros-{distro}-realsense2-camera',
    )
