# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a Microsoft Kinect v2.

    ros2 launch magadepth_ros kinect2.launch.py resolution:=sd use_rviz:=true
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('kinect2')
