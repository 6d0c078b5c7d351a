# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a Luxonis OAK-D camera (stereo, passive or active).

Requirements: depthai_ros_driver (sudo apt install ros-<distro>-depthai-ros-driver); for
use_rviz:=true also ros-<distro>-rviz2. The driver aligns depth to colour by default.

    ros2 launch magadepth_ros oak.launch.py use_rviz:=true
    ros2 launch magadepth_ros oak.launch.py driver_package:=depthai_ros_driver_v3
"""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from magadepth_ros.launching import CameraSetup, Driver, camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch(
        CameraSetup(
            title='OAK-D',
            rgb='/{camera_namespace}/{camera_name}/rgb/image_raw',
            rgb_info='/{camera_namespace}/{camera_name}/rgb/camera_info',
            depth='/{camera_namespace}/{camera_name}/stereo/image_raw',
            frame='{camera_name}_rgb_camera_optical_frame',
            parameters='oak.yaml',
            camera_name='oak',
            arguments=[
                DeclareLaunchArgument(
                    'driver_package',
                    default_value='depthai_ros_driver',
                    choices=['depthai_ros_driver', 'depthai_ros_driver_v3'],
                    description='The driver; the one for DepthAI v3 has its own name up to Jazzy.',
                )
            ],
            driver=Driver(
                package='{driver_package}',
                launch_file='camera.launch.py',
                arguments={
                    'name': '{camera_name}',
                    'namespace': '{camera_namespace}',
                    'rectify_rgb': 'false',
                    'pointcloud.enable': 'false',
                },
                install='sudo apt install ros-{distro}-depthai-ros-driver',
            ),
        )
    )
