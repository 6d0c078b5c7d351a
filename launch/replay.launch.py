# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a recorded bag while it plays, in the bag's own time.

Requirements: ros-<distro>-ros2bag (with ros-<distro>-rosbag2-storage-mcap for mcap bags); for
use_rviz:=true also ros-<distro>-rviz2. Without ROS: magadepth complete BAG OUT_BAG.

    ros2 launch magadepth_ros replay.launch.py bag:=/data/desk use_rviz:=true loop:=true
    ros2 launch magadepth_ros replay.launch.py bag:=/data/k4a rgb:=/rgb/image_raw \
        rgb_info:=/rgb/camera_info depth:=/depth_to_rgb/image_raw frame:=rgb_camera_link

An empty bag:= starts all but the player; it needs --clock then (ros2 bag play --clock BAG).
"""

from __future__ import annotations

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction

from magadepth_ros.launching import (
    BOOLEAN,
    RVIZ_DEPTH,
    RVIZ_RGB,
    RVIZ_RGB_INFO,
    completion_arguments,
    completion_node,
    configuration,
    dds_profile,
    distro,
    inputs,
    rviz,
    warn,
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', default_value='', description='Bag to play.'),
            DeclareLaunchArgument(
                'loop', default_value='false', choices=BOOLEAN, description='Play it endlessly.'
            ),
            DeclareLaunchArgument('rate', default_value='1.0', description='Speed of playing.'),
            DeclareLaunchArgument('rgb', default_value=RVIZ_RGB, description='Colour images.'),
            DeclareLaunchArgument(
                'rgb_info', default_value=RVIZ_RGB_INFO, description='Intrinsics of the colour.'
            ),
            DeclareLaunchArgument(
                'depth', default_value=RVIZ_DEPTH, description='Depth, aligned to the colour.'
            ),
            DeclareLaunchArgument(
                'frame',
                default_value='camera_color_optical_frame',
                description="RViz's fixed frame: the frame_id of the colour images.",
            ),
            *completion_arguments(use_sim_time=True),
            *dds_profile(),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    names = ('rgb', 'rgb_info', 'depth')
    rgb, rgb_info, depth = (configuration(context, name) for name in names)
    remappings = inputs(rgb, rgb_info, depth)
    actions: list[LaunchDescriptionEntity] = [completion_node(context, remappings)]
    actions += rviz(context, rgb, rgb_info, depth, configuration(context, 'frame'))
    if configuration(context, 'bag'):
        actions += player(context)
    return actions


def player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    try:
        get_package_prefix('ros2bag')
    except PackageNotFoundError:
        warn(f'ros2 bag is not installed: sudo apt install ros-{distro()}-ros2bag')
        return []
    command = ['ros2', 'bag', 'play', configuration(context, 'bag'), '--clock']
    command += ['--rate', configuration(context, 'rate')]
    if configuration(context, 'loop') == 'true':
        command.append('--loop')
    return [ExecuteProcess(cmd=command, output='screen')]
