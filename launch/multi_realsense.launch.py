# SPDX-License-Identifier: Apache-2.0
"""
Complete the depth of several RealSense cameras in one node: one model, one batch.

RViz shows the first camera. Outputs are /front/depth/completed, /front/depth/points,
/rear/depth/completed and so on.

    ros2 launch magadepth_ros multi_realsense.launch.py cameras:=front,rear \
        serials:=832112070255,832112070256

An example to copy for other cameras: only the remappings of the inputs differ.
"""

from __future__ import annotations

from dataclasses import replace

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

from magadepth_ros.errors import DataError
from magadepth_ros.launching.arguments import EVERYWHERE
from magadepth_ros.launching.cameras import CAMERAS, SEVERAL
from magadepth_ros.launching.nodes import completion_node, inputs, rviz
from magadepth_ros.launching.setups import Driver
from magadepth_ros.launching.sources import driver_actions
from magadepth_ros.launching.start import described
from magadepth_ros.launching.values import configuration
from magadepth_ros.topics import realsense_topics


def generate_launch_description() -> LaunchDescription:
    return described([*SEVERAL, *EVERYWHERE], start)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    names = [name for name in configuration(context, 'cameras').split(',') if name]
    serials = [serial for serial in configuration(context, 'serials').split(',') if serial]
    if serials and len(serials) != len(names):
        raise DataError(
            f'serials: expected one for each of {", ".join(names)}, got {len(serials)}'
        )
    remappings: list[tuple[str, str]] = []
    actions: list[LaunchDescriptionEntity] = []
    for index, name in enumerate(names):
        topics = realsense_topics(name, name)[:3]
        prefix = f'{name}/'
        remappings += inputs(*topics, prefix)
        if index == 0:
            actions += rviz(context, *topics, f'{name}_color_optical_frame', prefix)
        if configuration(context, 'start_camera') == 'true':
            actions += driver_actions(context, driver(name, serials[index] if serials else ''))
    parameters = CAMERAS['realsense'].parameters
    return [*actions, completion_node(context, remappings, parameters, {'cameras': names})]


def driver(name: str, serial: str) -> Driver:
    one = CAMERAS['realsense'].source
    arguments = {**one.arguments, 'camera_name': name, 'camera_namespace': name}
    if serial:
        # The driver takes an underscore in front, else launch would make a number of it.
        arguments['serial_no'] = f'_{serial.lstrip("_")}'
    return replace(one, arguments=arguments)
