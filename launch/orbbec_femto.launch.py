# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of an Orbbec Femto.

    ros2 launch magadepth_ros orbbec_femto.launch.py use_rviz:=true
    ros2 launch magadepth_ros orbbec_femto.launch.py driver_launch_file:=femto_mega.launch.py
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('orbbec_femto')
