# SPDX-License-Identifier: Apache-2.0
"""Read settings from YAML into dataclasses, with checks of names and types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from magadepth_ros.errors import DataError


def typed(cls: type, values: Mapping[str, Any], where: str) -> Any:
    """
    Make a dataclass from a mapping.

    Lists become tuples. Numbers become the field's type, also numbers that YAML 1.1 reads as
    words (``1e-3``).

    Raises
    ------
    DataError
        a field is unknown, a value has another type, or the class refuses the values; the message
        lists what is allowed.

    """
    kinds = get_type_hints(cls)
    known = sorted(field.name for field in fields(cls))
    unknown = sorted(map(str, set(values) - set(known)))
    if unknown:
        raise DataError(f'{where}: unknown {", ".join(unknown)}; known: {", ".join(known)}')
    checked = {k: _of_kind(kinds[k], v, f'{where}: {k}') for k, v in values.items()}
    try:
        return cls(**checked)
    except ValueError as error:
        raise DataError(f'{where}: {error}') from error


def _of_kind(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise DataError(f'{where}: {value}; expected {", ".join(map(str, get_args(kind)))}')
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise DataError(f'{where}: {value}; expected a list')
        inner, *others = get_args(kind)
        if Ellipsis not in others and len(value) != 1 + len(others):
            raise DataError(f'{where}: {value}; expected {1 + len(others)} values')
        return tuple(_of_kind(inner, item, where) for item in value)
    if kind is float and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise DataError(f'{where}: {value!r}; expected {kind.__name__}')
