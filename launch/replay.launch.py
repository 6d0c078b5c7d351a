# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of a recorded bag while it plays, in the bag's own time.

    ros2 launch magadepth_ros replay.launch.py bag:=/data/desk loop:=true use_rviz:=true
    ros2 launch magadepth_ros replay.launch.py bag:=/data/k4a rgb:=/rgb/image_raw \
        depth:=/depth_to_rgb/image_raw frame:=rgb_camera_link
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('replay')
