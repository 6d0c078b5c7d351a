# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a Microsoft Azure Kinect (time of flight).

Requirements: azure_kinect_ros_driver (branch humble) and the Azure Kinect sensor SDK, from source;
for use_rviz:=true also ros-<distro>-rviz2. Colour at 720p, depth in the narrow view, registered to
colour by the driver.

    ros2 launch magadepth_ros azure_kinect.launch.py use_rviz:=true

The driver's topics carry no camera name: two cameras need camera_namespace:=left and so on. It has
a depth/camera_info of its own, so that of the completed depth is depth/completed/camera_info here.
"""

from __future__ import annotations

from launch import LaunchDescription

from magadepth_ros.launching import CameraSetup, Driver, camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch(
        CameraSetup(
            title='Azure Kinect',
            rgb='/{camera_namespace}/{camera_name}/rgb/image_raw',
            rgb_info='/{camera_namespace}/{camera_name}/rgb/camera_info',
            depth='/{camera_namespace}/{camera_name}/depth_to_rgb/image_raw',
            frame='rgb_camera_link',
            parameters='azure_kinect.yaml',
            camera_name='',
            camera_info='depth/completed/camera_info',
            driver=Driver(
                package='azure_kinect_ros_driver',
                launch_file='driver.launch.py',
                arguments={
                    'depth_enabled': 'true',
                    'depth_mode': 'NFOV_UNBINNED',
                    'color_enabled': 'true',
                    'color_resolution': '720P',
                    'fps': '30',
                    'point_cloud': 'false',
                    'rgb_point_cloud': 'false',
                },
                install='build microsoft/Azure_Kinect_ROS_Driver, branch humble, from source',
                push_namespace='/{camera_namespace}/{camera_name}',
            ),
        )
    )
