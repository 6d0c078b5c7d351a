# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a Luxonis OAK-D.

    ros2 launch magadepth_ros oak.launch.py use_rviz:=true
    ros2 launch magadepth_ros oak.launch.py driver_package:=depthai_ros_driver_v3
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('oak')
