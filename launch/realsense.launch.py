# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of an Intel RealSense D400.

    ros2 launch magadepth_ros realsense.launch.py use_rviz:=true
    ros2 launch magadepth_ros realsense.launch.py camera_name:=front backend:=tensorrt
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('realsense')
