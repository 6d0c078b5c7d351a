# SPDX-License-Identifier: Apache-2.0
"""
Grasping: depth of table tops with shiny and transparent things, their wrong depth taken out.

    ros2 launch magadepth_ros grasping.launch.py
    ros2 launch magadepth_ros grasping.launch.py camera:=realsense mask:=/segmenter/mask

docs/examples.md says what to connect where on a robot.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

from magadepth_ros.launching.arguments import Argument
from magadepth_ros.launching.start import Topics, example_launch


def generate_launch_description() -> LaunchDescription:
    text = 'Topic of the segmenter of glass and mirrors; default: that of the simulated camera.'
    mask = Argument('mask', '/camera/camera/mask/image_raw', text)
    # The grasp planner decides for each point by the field confidence.
    parameters = {'cloud_confidence': True}
    return example_launch('manipulation', use, [mask], parameters)


def use(context: LaunchContext, topics: Topics) -> list[LaunchDescriptionEntity]:
    return []
