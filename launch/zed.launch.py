# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a Stereolabs ZED camera (passive stereo).

Requirements: zed_wrapper 5 and the ZED SDK, from source; for use_rviz:=true also
ros-<distro>-rviz2. Its depth belongs to the left, rectified colour image.

    ros2 launch magadepth_ros zed.launch.py camera_model:=zedx use_rviz:=true
"""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from magadepth_ros.launching import CameraSetup, Driver, camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch(
        CameraSetup(
            title='ZED',
            rgb='/{camera_namespace}/{camera_name}/zed_node/rgb/color/rect/image',
            rgb_info='/{camera_namespace}/{camera_name}/zed_node/rgb/color/rect/camera_info',
            depth='/{camera_namespace}/{camera_name}/zed_node/depth/depth_registered',
            frame='{camera_name}_left_camera_frame_optical',
            parameters='zed.yaml',
            camera_name='zed',
            arguments=[
                DeclareLaunchArgument(
                    'camera_model',
                    default_value='zed2i',
                    description="Model, as zed_wrapper's argument of that name wants it.",
                )
            ],
            driver=Driver(
                package='zed_wrapper',
                launch_file='zed_camera.launch.py',
                arguments={'camera_name': '{camera_name}', 'camera_model': '{camera_model}'},
                install='build stereolabs/zed-ros2-wrapper from source',
                push_namespace='/{camera_namespace}',
            ),
        )
    )
