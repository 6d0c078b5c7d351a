# SPDX-License-Identifier: Apache-2.0
"""Parameters of a node as fields of a dataclass, and their declaration to ROS."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from magadepth_ros.errors import DataError

LIVE = 'Takes effect at once.'
ON_RELOAD = 'Takes effect at ~/reload_model or configure.'
ON_CONFIGURE = 'Takes effect at configure; fixed while the node is inactive or active.'
ON_START = 'Given at the start; fixed from then on.'


def parameter(
    default: Any,
    text: str,
    when: str = LIVE,
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Make a field of a dataclass of parameters."""
    metadata = {'text': text, 'when': when, 'limits': limits, 'choices': choices}
    return field(default=default, metadata=metadata)


def declared(node: Node, kind: type) -> list[Parameter]:
    """
    Declare each field of a dataclass with its description and range; return the start values.

    Raises
    ------
    DataError
        a value given at the start has the wrong type or is not allowed.

    """
    given = []
    for item in fields(kind):
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        try:
            given.append(node.declare_parameter(item.name, default, _descriptor(item)))
        except InvalidParameterTypeException as error:
            hint = ' (write 1.0, not 1)' if isinstance(default, float) else ''
            raise DataError(
                f'parameter {item.name}: expected a {type(default).__name__}{hint}: {error}'
            ) from error
        except InvalidParameterValueException as error:
            low, high = item.metadata['limits']
            raise DataError(
                f'parameter {item.name}: expected {low:g} to {high:g}: {error}'
            ) from error
        require_choice(item, given[-1].value)
    return given


def require_choice(item: Any, value: Any) -> Any:
    """Return the value of a field; DataError where it is none of the field's choices."""
    choices = item.metadata['choices']
    if choices and value not in choices:
        raise DataError(f'{item.name}: expected one of {", ".join(choices)}, got {value!r}')
    return value


def _descriptor(item: Any) -> ParameterDescriptor:
    about = item.metadata
    descriptor = ParameterDescriptor(
        description=f'{about["text"]} {about["when"]}', read_only=about['when'] == ON_START
    )
    if about['choices']:
        descriptor.additional_constraints = 'one of: ' + ', '.join(about['choices'])
    if about['limits'] is not None:
        low, high = about['limits']
        if isinstance(item.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return descriptor
