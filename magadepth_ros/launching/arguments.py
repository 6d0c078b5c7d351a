# SPDX-License-Identifier: Apache-2.0
"""The arguments of the launch files: name, default, description, and which values are allowed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from magadepth_ros.errors import DataError
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.resources import share_dir
from magadepth_ros.topics import realsense_topics

BOOLEAN = ('true', 'false')
REALSENSE = realsense_topics()


@dataclass(frozen=True)
class Argument:
    """
    One argument of a launch file.

    A ``default`` of None means that a value must be given. ``kind`` is the type of the value,
    ``limits`` its least and greatest number. The empty default of a parameter of completion_node
    leaves the parameter to the node and its files.
    """

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...] = ()
    kind: type = str
    limits: tuple[float, float] | None = None

    @property
    def help(self) -> str:
        """The description with all that is allowed."""
        if self.choices and self.choices != BOOLEAN:
            return f'{self.description} One of {", ".join(filter(None, self.choices))}.'
        if self.limits is not None:
            return f'{self.description} From {self.limits[0]:g} to {self.limits[1]:g}.'
        return self.description

    def read(self, text: str) -> Any:
        """
        Return the value of ``text``.

        Raises
        ------
        DataError
            the text has no value of this kind, or the value is not allowed; the message names the
            argument.

        """
        if self.choices and text not in self.choices:
            raise self._refused(f'one of {", ".join(filter(None, self.choices))}', text)
        if self.kind is bool:
            return text == 'true'
        if self.kind is str:
            return text
        what = 'a whole number' if self.kind is int else 'a number'
        low, high = self.limits or (float('-inf'), float('inf'))
        if self.limits:
            what += f' from {low:g} to {high:g}'
        try:
            value = self.kind(text)
        except ValueError:
            raise self._refused(what, text) from None
        if not low <= value <= high:
            raise self._refused(what, text)
        return value

    def _refused(self, expected: str, text: str) -> DataError:
        return DataError(f'{self.name}:={text}: expected {expected}')


def flag(name: str, default: str, description: str) -> Argument:
    """Make an argument that is ``true`` or ``false``."""
    return Argument(name, default, description, BOOLEAN, bool)


def presets() -> list[str]:
    """Return the names of the presets in ``config/presets/``, sorted."""
    return sorted(path.stem for path in (share_dir() / 'config/presets').glob('*.yaml'))


def of_parameter(node: type, name: str, given: bool = True) -> Argument:
    """
    Make the argument for a parameter of a node, with its default.

    Unless ``given``, the default is empty, and the parameter is left to the node and its files.
    """
    item = next(item for item in fields(node) if item.name == name)
    about, kind = item.metadata, type(item.default)
    default = str(item.default).lower() if kind is bool else str(item.default)
    choices = BOOLEAN if kind is bool else about['choices']
    if not given:
        default, choices = '', ('', *choices) if choices else ()
    return Argument(name, default, about['text'], choices, kind, about['limits'])


PARAMETERS = tuple(
    of_parameter(NodeParameters, name, given=False)
    for name in (
        *('model', 'backend', 'min_depth', 'max_depth', 'confidence_threshold', 'cloud_stride'),
        'temporal_smoothing',
    )
)
"""Parameters of completion_node; these values override the files."""

EVERYWHERE = (
    Argument('namespace', '', 'Namespace of the outputs; empty gives /depth/completed and so on.'),
    *PARAMETERS,
    Argument(
        'transport',
        '',
        'Transport of the inputs; compressed for a camera of another computer.',
        ('', 'raw', 'compressed'),
    ),
    Argument(
        'image_transport',
        '',
        'Another name for transport, as image_transport has it.',
        ('', 'raw', 'compressed'),
    ),
    Argument(
        'preset',
        '',
        'Preset of parameters for a purpose, from `config/presets/`.',
        ('', *presets()),
    ),
    Argument('params_file', '', 'YAML file of your own with parameters of completion_node.'),
    flag(
        'autostart',
        'true',
        'The node configures and activates itself; false: use `ros2 lifecycle set`.',
    ),
    flag('use_rviz', 'false', 'Start RViz with these topics.'),
    flag('use_sim_time', 'false', 'Take the time from /clock (bags, simulation).'),
    Argument(
        'log_level',
        'info',
        'Log level of completion_node.',
        ('debug', 'info', 'warn', 'error', 'fatal'),
    ),
)
"""Arguments of every launch file."""
