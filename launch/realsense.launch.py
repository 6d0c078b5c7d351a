# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of an Intel RealSense D400 camera (active stereo).

Requirements: the driver (sudo apt install ros-<distro>-realsense2-camera); for use_rviz:=true also
ros-<distro>-rviz2. The driver is started with depth aligned to colour and frames synchronised.

    ros2 launch magadepth_ros realsense.launch.py use_rviz:=true
    ros2 launch magadepth_ros realsense.launch.py camera_name:=front backend:=tensorrt

Drivers up to 4.54 and some robots have no namespace: camera_namespace:=''. A driver that runs
already needs align_depth.enable and enable_sync, and start_camera:=false here.
"""

from __future__ import annotations

from launch import LaunchDescription

from magadepth_ros.launching import CameraSetup, Driver, camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch(
        CameraSetup(
            title='RealSense',
            rgb='/{camera_namespace}/{camera_name}/color/image_raw',
            rgb_info='/{camera_namespace}/{camera_name}/color/camera_info',
            depth='/{camera_namespace}/{camera_name}/aligned_depth_to_color/image_raw',
            frame='{camera_name}_color_optical_frame',
            parameters='realsense.yaml',
            camera_namespace='camera',
            driver=Driver(
                package='realsense2_camera',
                launch_file='rs_launch.py',
                arguments={
                    'camera_name': '{camera_name}',
                    'camera_namespace': '{camera_namespace}',
                    'align_depth.enable': 'true',
                    'enable_sync': 'true',
                },
                install='sudo apt install ros-{distro}-realsense2-camera',
            ),
        )
    )
