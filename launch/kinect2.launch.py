# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a Microsoft Kinect v2 (time of flight).

Requirements: a ROS 2 port of kinect2_bridge and libfreenect2, from source; for use_rviz:=true also
ros-<distro>-rviz2. The bridge rectifies colour and registers depth to it; resolution picks which
of its three sizes is completed.

    ros2 launch magadepth_ros kinect2.launch.py use_rviz:=true
    ros2 launch magadepth_ros kinect2.launch.py resolution:=sd
"""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from magadepth_ros.launching import CameraSetup, Driver, camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch(
        CameraSetup(
            title='Kinect v2',
            rgb='/{camera_namespace}/{camera_name}/{resolution}/image_color_rect',
            rgb_info='/{camera_namespace}/{camera_name}/{resolution}/camera_info',
            depth='/{camera_namespace}/{camera_name}/{resolution}/image_depth_rect',
            frame='{camera_name}_rgb_optical_frame',
            parameters='kinect2.yaml',
            camera_name='kinect2',
            arguments=[
                DeclareLaunchArgument(
                    'resolution',
                    default_value='qhd',
                    choices=['sd', 'qhd', 'hd'],
                    description='512x424, 960x540 or 1920x1080.',
                )
            ],
            driver=Driver(
                package='kinect2_bridge',
                launch_file='kinect2_bridge_launch.yaml',
                arguments={'base_name': '{camera_name}'},
                install='build a ROS 2 port of kinect2_bridge (kinect2_ros2) from source',
                push_namespace='/{camera_namespace}',
            ),
        )
    )
