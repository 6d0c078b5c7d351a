# SPDX-License-Identifier: Apache-2.0
"""Start completion_node and RViz as the launch arguments say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescriptionEntity
from launch_ros.actions import Node

from magadepth_ros.errors import DataError
from magadepth_ros.launching.arguments import EVERYWHERE, PARAMETERS, REALSENSE
from magadepth_ros.launching.sources import users
from magadepth_ros.launching.values import configuration, given, topic, warn
from magadepth_ros.resources import PACKAGE, find_config, share_dir
from magadepth_ros.topics import OUTPUTS, CameraTopics, info_beside


def completion_node(
    context: LaunchContext,
    remappings: Sequence[tuple[str, str]],
    defaults: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
) -> Node:
    """
    Return the completion node.

    Its parameters, of which a later source overrides the earlier ones: ``defaults`` (of the
    camera), the preset, the user's file, the launch arguments, ``parameters``.

    Raises
    ------
    DataError
        an argument has a value that is not allowed, or names a file that cannot be used.

    """
    values = given(context, PARAMETERS)
    transport = _transport(context)
    if transport:
        values['transport'] = transport
    for name in ('autostart', 'use_sim_time'):
        values[name] = configuration(context, name) == 'true'
    values.update(parameters or {})
    files = []
    preset, own = configuration(context, 'preset'), configuration(context, 'params_file')
    if preset:
        files.append(str(share_dir() / 'config/presets' / f'{preset}.yaml'))
    if own:
        files.append(str(_checked(own)))
    return Node(
        package=PACKAGE,
        executable='completion_node',
        name='completion_node',
        namespace=configuration(context, 'namespace'),
        # ROS 2 applies the values for every node (/**) and those for this node in the order in
        # which the two first appear. So defaults and preset are given for every node, and the
        # values that override a file for this node.
        parameters=[*files, values],
        remappings=list(remappings),
        ros_arguments=[
            *('--log-level', configuration(context, 'log_level')),
            *(word for name in defaults for word in ('-p', f'{name}:={defaults[name]}')),
        ],
        output='screen',
    )


def inputs(
    rgb: str, rgb_info: str, depth: str, prefix: str = '', mask: str = ''
) -> list[tuple[str, str]]:
    """Return the remappings of one camera's inputs; ``prefix`` is its name and a slash, or ''."""
    topics = CameraTopics(rgb, rgb_info, depth, info_beside(depth), mask)
    return list(topics.as_inputs(prefix).items())


def rviz(
    context: LaunchContext, rgb: str, rgb_info: str, depth: str, frame: str, prefix: str = ''
) -> list[LaunchDescriptionEntity]:
    """Return RViz for these topics if ``use_rviz`` is true; ``prefix`` as in `inputs`."""
    if configuration(context, 'use_rviz') != 'true':
        return []
    if not frame:
        warn('RViz needs the frame_id of the colour images: frame:=...')
    base = f'{topic("/{namespace}", context)}/{prefix}'
    outputs = [(f'/{name}', f'{base}{name}') for name in OUTPUTS]
    show = [
        Node(
            package='rviz2',
            executable='rviz2',
            name='magadepth_rviz',
            arguments=[
                *('-d', str(find_config('magadepth.rviz'))),
                *(('-f', frame) if frame else ()),
            ],
            parameters=[{'use_sim_time': configuration(context, 'use_sim_time') == 'true'}],
            remappings=[
                (REALSENSE.rgb, rgb),
                (REALSENSE.rgb_info, rgb_info),
                (REALSENSE.depth, depth),
                (REALSENSE.depth_info, info_beside(depth)),
                *(outputs if base != '/' else []),
            ],
            output='log',
        )
    ]
    return users('rviz2', show)


def _transport(context: LaunchContext) -> str:
    names = ('transport', 'image_transport')
    values = given(context, [item for item in EVERYWHERE if item.name in names])
    if len(set(values.values())) > 1:
        raise DataError(
            'transport and image_transport: expected one of them, or the same value, got '
            + ' and '.join(f'{name}:={value}' for name, value in values.items())
        )
    return str(next(iter(values.values()), ''))


def _checked(text: str) -> Path:
    """Return the path of a parameters file; DataError where ROS 2 could not read it."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise DataError(f'params_file:={text}: no such file')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise DataError(f'params_file:={text}: not YAML: {reason}') from None
    nodes = content.values() if isinstance(content, dict) else [None]
    if not all(isinstance(node, dict) and 'ros__parameters' in node for node in nodes):
        raise DataError(
            f'params_file:={text}: expected a node name or /** with ros__parameters below it, as '
            'docs/parameters.md shows'
        )
    return path
