# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a simulated camera.

    ros2 launch magadepth_ros demo.launch.py use_rviz:=true
    ros2 launch magadepth_ros demo.launch.py input:=/data/frames     # with manifest.json; or a bag
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('demo')
