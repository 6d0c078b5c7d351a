# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of an Intel RealSense D405, which measures from 7 cm on.

    ros2 launch magadepth_ros realsense_d405.launch.py use_rviz:=true
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('realsense_d405')
