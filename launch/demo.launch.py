# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a simulated camera, under a RealSense's topic names.

Requirements: openvino; for a bag as input rosbags, for use_rviz:=true ros-<distro>-rviz2.

    ros2 launch magadepth_ros demo.launch.py use_rviz:=true
    ros2 launch magadepth_ros demo.launch.py input:=/data/frames     # with manifest.json; or a bag
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from magadepth_ros.launching import (
    RVIZ_DEPTH,
    RVIZ_RGB,
    RVIZ_RGB_INFO,
    completion_arguments,
    completion_node,
    configuration,
    dds_profile,
    inputs,
    rviz,
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'input',
                default_value='',
                description='Folder with manifest.json, or bag, to play; empty: made-up scenes.',
            ),
            DeclareLaunchArgument('rate', default_value='30.0', description='Frames a second.'),
            DeclareLaunchArgument('width', default_value='640', description='Columns [px].'),
            DeclareLaunchArgument('height', default_value='480', description='Rows [px].'),
            *completion_arguments(),
            *dds_profile(),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list[Node]:
    camera = Node(
        package='magadepth_ros',
        executable='simulated_camera',
        name='simulated_camera',
        parameters=[
            {
                'input': configuration(context, 'input'),
                'rate': float(configuration(context, 'rate')),
                'width': int(configuration(context, 'width')),
                'height': int(configuration(context, 'height')),
            }
        ],
        output='screen',
    )
    topics = (RVIZ_RGB, RVIZ_RGB_INFO, RVIZ_DEPTH)
    completion = completion_node(context, inputs(*topics))
    return [camera, completion, *rviz(context, *topics, 'camera_color_optical_frame')]
