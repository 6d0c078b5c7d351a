# SPDX-License-Identifier: Apache-2.0
"""
Kinds of values for ``type=`` of argparse, which refuse bad values before a command begins.

Every option that takes a value has ``choices``, or a kind of this file or of ``paths.py``, so
that a wrong value gives one line and exit code 2; ``test/commands/test_bad_values.py`` tries all.
``metavar`` of a kind stands for its values in the help, where the option has no metavar itself.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from magadepth_ros.errors import DataError, pip_install
from magadepth_ros.topics import is_name

_UNITS = {'s': 1, 'm': 60, 'h': 3600}


def refuse(text: str, expected: str) -> argparse.ArgumentTypeError:
    """Return the error of a value; argparse puts the option's name before it."""
    return argparse.ArgumentTypeError(f'expected {expected}, got {text!r}')


@dataclass(frozen=True)
class Number:
    """A finite number from ``low`` (or, with ``above``, above it) to ``high``."""

    low: float
    high: float
    above: bool = False
    whole: bool = False
    metavar: str = 'N'

    def __call__(self, text: str) -> Any:
        """Return the number: int where ``whole``, else float."""
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            raise refuse(text, str(self)) from None
        if not self.low <= value <= self.high or (self.above and value == self.low):
            raise refuse(text, str(self))
        return value

    def __str__(self) -> str:
        what = 'a whole number' if self.whole else 'a number'
        start = f'above {self.low:.9g}, up' if self.above else f'from {self.low:.9g}'
        return f'{what} {start} to {self.high:.9g}'


def whole(low: int, high: int) -> Number:
    """Return the kind of whole numbers from ``low`` to ``high``."""
    return Number(low, high, whole=True)


COUNT = whole(1, 1_000_000)
THREADS = whole(0, 256)
BATCH = whole(1, 256)
METRES = Number(0.0, 1000.0, metavar='M')
SECONDS = Number(0.0, 1e6, above=True, metavar='S')


@dataclass(frozen=True)
class Topic:
    """A topic's name or a namespace, as ROS allows them."""

    what: str = 'a topic such as /camera/color/image_raw'
    metavar: str = 'TOPIC'

    def __call__(self, text: str) -> str:
        """Return the name."""
        if not is_name(text.rstrip('/')):
            raise refuse(text, f'{self.what}: letters, digits and _ between slashes')
        return text


NAMESPACE = Topic('a namespace such as /depth', metavar='NAMESPACE')


@dataclass(frozen=True)
class Pattern:
    """A text that matches a pattern; ``what`` describes it in the error."""

    what: str
    form: str

    def __call__(self, text: str) -> str:
        """Return the text."""
        if not re.fullmatch(self.form, text):
            raise refuse(text, self.what)
        return text


TEXT = Pattern('one line of text', r'(?=.*\S)[^\x00-\x1f\x7f]+')


@dataclass(frozen=True)
class Duration:
    """A time: ``90``, ``90s``, ``10m`` or ``2h``."""

    metavar: ClassVar = 'TIME'

    def __call__(self, text: str) -> float:
        """Return seconds."""
        number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
        try:
            value = float(number) * unit
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise refuse(text, 'a time, e.g. 90s, 10m or 2h')
        return value


@dataclass(frozen=True)
class Size:
    """WIDTHxHEIGHT [px], each from ``low`` to ``high``."""

    low: int
    high: int
    metavar: ClassVar = 'WxH'

    def __call__(self, text: str) -> tuple[int, int]:
        """Return width and height."""
        match = re.fullmatch(r'(\d+)x(\d+)', text, re.ASCII)
        sides = tuple(map(int, match.groups())) if match else ()
        if not sides or not all(self.low <= side <= self.high for side in sides):
            raise refuse(text, f'WIDTHxHEIGHT of {self.low} to {self.high} px, such as 640x480')
        return sides[0], sides[1]


@dataclass(frozen=True)
class Shard:
    """K/N: the K-th of N parts, from 1 on."""

    metavar: ClassVar = 'K/N'

    def __call__(self, text: str) -> tuple[int, int]:
        """Return both."""
        match = re.fullmatch(r'(\d{1,6})/(\d{1,6})', text, re.ASCII)
        part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= part <= parts:
            raise refuse(text, 'K/N with K from 1 to N, such as 2/8')
        return part, parts


@dataclass(frozen=True)
class OneOf:
    """One of some names that are known only where the training is installed."""

    names: Callable[[], list[str]]
    metavar: ClassVar = 'NAME'

    def __call__(self, text: str) -> str:
        """Return the name."""
        names = self.names()
        if text not in names:
            raise refuse(text, f'one of {", ".join(names)}')
        return text


def require_package(name: str, what: str) -> None:
    """Raise DataError where a package that an option needs is missing."""
    if importlib.util.find_spec(name) is None:
        raise DataError(f'{what} needs the Python package {name}: {pip_install(name)}')
