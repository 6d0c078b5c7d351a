# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a Stereolabs ZED.

    ros2 launch magadepth_ros zed.launch.py camera_model:=zedx use_rviz:=true
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('zed')
