# SPDX-License-Identifier: Apache-2.0
"""JSON schema of a parameters file of completion_node, made of its parameters."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from magadepth_ros.nodes.parameter_declaration import LIVE, ON_CONFIGURE, ON_RELOAD, ON_START
from magadepth_ros.nodes.parameters import NodeParameters

TAKES_EFFECT = {
    LIVE: 'at once',
    ON_RELOAD: 'reload',
    ON_CONFIGURE: 'configure',
    ON_START: 'start',
}
_TYPES = {bool: 'boolean', int: 'integer', float: 'number', str: 'string'}


def schema() -> dict[str, Any]:
    """
    Return the schema of a file for ``--params-file``, as a dict to be written as JSON.

    Names that are no parameter of the node are refused, but for ``use_sim_time`` and
    ``qos_overrides``, which ROS adds to every node. JSON does not tell 1 from 1.0, ROS does.
    """
    properties = {item.name: _property(item) for item in fields(NodeParameters)}
    properties['use_sim_time'] = {'type': 'boolean', 'description': 'Take the time from /clock.'}
    properties['qos_overrides'] = {'type': 'object', 'description': "ROS 2's own QoS overrides."}
    parameters = {'type': 'object', 'properties': properties, 'additionalProperties': False}
    node = {
        'type': 'object',
        'properties': {'ros__parameters': parameters},
        'required': ['ros__parameters'],
        'additionalProperties': False,
    }
    return {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        'title': 'Parameters of completion_node',
        'description': 'Made of magadepth_ros/nodes/parameters.py by magadepth_ros.nodes.pages.',
        'type': 'object',
        'patternProperties': {r'^(/\*\*|/?(.+/)?completion_node)$': node},
        'additionalProperties': False,
    }


def table(kind: type = NodeParameters) -> list[tuple[str, ...]]:
    """Return the rows of the documentation's table of a node's parameters, the head first."""
    rows: list[tuple[str, ...]] = [('parameter', 'type', 'default', 'takes effect', '')]
    for item in fields(kind):
        about = item.metadata
        text = about['text']
        if about['choices']:
            text += f' One of {", ".join(f"`{choice}`" for choice in about["choices"])}.'
        if about['limits']:
            text += ' Range {:g} to {:g}.'.format(*about['limits'])
        default = f'`{_written(item.default)}`'
        row = (f'`{item.name}`', _ros_type(item.default), default, TAKES_EFFECT[about['when']])
        rows.append((*row, text))
    return rows


def _property(item: Any) -> dict[str, Any]:
    about, default = item.metadata, item.default
    several = isinstance(default, tuple)
    kind = type(default[0] if several else default)
    made: dict[str, Any] = {'type': _TYPES[kind]}
    if about['limits']:
        made['minimum'], made['maximum'] = about['limits']
    if about['choices']:
        made['enum'] = list(about['choices'])
    if several:
        made = {'type': 'array', 'items': made}
    made['default'] = list(default) if several else default
    made['description'] = f'{about["text"]} {about["when"]}'
    return made


def _ros_type(default: object) -> str:
    if isinstance(default, tuple):
        return f'{_ros_type(default[0])}[]'
    return {'boolean': 'bool', 'integer': 'int', 'number': 'double'}.get(
        _TYPES[type(default)], 'string'
    )


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return f'{list(value)}'
    return str(value).lower() if isinstance(value, bool) else repr(value)
