# SPDX-License-Identifier: Apache-2.0
"""
MoveIt: completed depth for the octomap of the planning scene.

    ros2 launch magadepth_ros moveit.launch.py
    ros2 launch magadepth_ros moveit.launch.py camera:=realsense confidence_threshold:=0.8

move_group belongs to your robot's own launch file; it takes config/moveit_sensors_3d.yaml:

    MoveItConfigsBuilder('my_robot').sensors_3d(file_path='.../moveit_sensors_3d.yaml')

docs/examples.md says what to connect where.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

from magadepth_ros.launching.start import Topics, example_launch


def generate_launch_description() -> LaunchDescription:
    # The updater takes 0 for unknown, but not NaN.
    parameters = {'output_encoding': '16UC1'}
    return example_launch('manipulation', use, parameters=parameters)


def use(context: LaunchContext, topics: Topics) -> list[LaunchDescriptionEntity]:
    return []
