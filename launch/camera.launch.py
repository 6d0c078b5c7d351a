# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of any camera, given its topics.

    ros2 launch magadepth_ros camera.launch.py rgb:=/my/color/image_raw \
        depth:=/my/aligned_depth/image_raw use_rviz:=true frame:=my_optical_frame
"""

from launch import LaunchDescription

from magadepth_ros.launching.start import camera_launch


def generate_launch_description() -> LaunchDescription:
    return camera_launch('camera')
