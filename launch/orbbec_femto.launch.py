# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of an Orbbec Femto Bolt or Femto Mega (time of flight).

Requirements: orbbec_camera of OrbbecSDK_ROS2 (sudo apt install ros-<distro>-orbbec-camera, or from
source); for use_rviz:=true also ros-<distro>-rviz2. The driver is started with depth_registration,
which is off by default: without it depth and colour do not lie over each other.

    ros2 launch magadepth_ros orbbec_femto.launch.py use_rviz:=true
    ros2 launch magadepth_ros orbbec_femto.launch.py driver_launch_file:=femto_mega.launch.py
"""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from magadepth_ros.launching import CameraSetup, Driver, camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch(
        CameraSetup(
            title='Orbbec Femto',
            rgb='/{camera_namespace}/{camera_name}/color/image_raw',
            rgb_info='/{camera_namespace}/{camera_name}/color/camera_info',
            depth='/{camera_namespace}/{camera_name}/depth/image_raw',
            frame='{camera_name}_color_optical_frame',
            parameters='orbbec_femto.yaml',
            arguments=[
                DeclareLaunchArgument(
                    'driver_launch_file',
                    default_value='femto_bolt.launch.py',
                    description="The driver's launch file for this very camera.",
                )
            ],
            driver=Driver(
                package='orbbec_camera',
                launch_file='{driver_launch_file}',
                arguments={
                    'camera_name': '{camera_name}',
                    'depth_registration': 'true',
                    'align_target_stream': 'COLOR',
                    'enable_frame_sync': 'true',
                    'enable_point_cloud': 'false',
                },
                install='sudo apt install ros-{distro}-orbbec-camera',
                push_namespace='/{camera_namespace}',
            ),
        )
    )
