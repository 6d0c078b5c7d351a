# SPDX-License-Identifier: Apache-2.0
"""
Kinds of values for ``type=`` of argparse: what cannot work is refused before a command begins.

Every option that takes a value has ``choices`` or one of these, so that a wrong value is one line
and exit code 2, whatever the command; ``test/commands/test_bad_values.py`` tries each.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magadepth_ros.errors import DataError, MagadepthError, pip_install
from magadepth_ros.files import MANIFEST_NAME, as_path, is_bag_path, require_writable
from magadepth_ros.resources import find_model
from magadepth_ros.topics import is_name

_UNITS = {'s': 1, 'm': 60, 'h': 3600}


def refuse(text: str, expected: str) -> argparse.ArgumentTypeError:
    """Return the error of a value, for argparse to put the option's name before it."""
    return argparse.ArgumentTypeError(f'expected {expected}, got {text!r}')


@dataclass(frozen=True)
class Number:
    """A finite number from ``low`` (or, with ``above``, above it) to ``high``."""

    low: float
    high: float
    above: bool = False
    whole: bool = False

    def __call__(self, text: str) -> Any:
        """Read it: int where ``whole``, else float."""
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
METRES = Number(0.0, 1000.0)
SECONDS = Number(0.0, 1e6, above=True)


@dataclass(frozen=True)
class Input:
    """A file, with ``folder`` a folder, with ``either`` one of them; or a word of ``also``."""

    what: str
    suffixes: tuple[str, ...] = ()
    folder: bool = False
    either: bool = False
    also: tuple[str, ...] = ()

    def __call__(self, text: str) -> Path:
        """Return the path."""
        if text in self.also:
            return Path(text)
        path = as_path(text)
        if path is None or not path.exists():
            raise argparse.ArgumentTypeError(
                f'{text!r}: no such file or folder; expected {self.what}'
            )
        wrong = not self.either and path.is_dir() != self.folder
        if wrong or (path.is_file() and self.suffixes and path.suffix not in self.suffixes):
            raise refuse(text, self.what)
        return path


@dataclass(frozen=True)
class SharedInput:
    """Recorded frames, PATH or PATH=SHARE: how often they are drawn beside others."""

    def __call__(self, text: str) -> tuple[Path, float]:
        """Return both; the share is 1 where none is given."""
        path, _, share = text.rpartition('=')
        number = Number(0.0, 1e6, above=True)(share) if path else 1.0
        return Input('recorded frames', either=True)(path or text), number


@dataclass(frozen=True)
class Output:
    """A file that can be written, or with ``folder`` a folder whose files can be."""

    suffixes: tuple[str, ...] = ()
    folder: bool = False

    def __call__(self, text: str) -> Path:
        """Return the path; nothing is made."""
        path = as_path(text)
        if path is None or (self.suffixes and path.suffix.lower() not in self.suffixes):
            expected = ' or '.join(self.suffixes) or ('folder' if self.folder else 'file')
            raise refuse(text, f'the name of a {expected} to write')
        _by_library(lambda: require_writable(path, self.folder))
        return path


@dataclass(frozen=True)
class OutputOrFolder:
    """A file to write where the name ends with one of ``suffixes``, else a folder."""

    suffixes: tuple[str, ...]

    def __call__(self, text: str) -> Path:
        """Return the path; nothing is made."""
        return Output(folder=Path(text).suffix not in self.suffixes)(text)


@dataclass(frozen=True)
class Result:
    """A file or a folder to write, as the input decides."""

    def __call__(self, text: str) -> Path:
        """Return the path; nothing is made."""
        path = as_path(text)
        return Output(folder=path is not None and path.is_dir())(text)


@dataclass(frozen=True)
class Model:
    """A shipped model's name or a model file; stays the text that was typed."""

    suffixes: tuple[str, ...] = ('.onnx', '.engine', '.plan', '.safetensors')
    also: tuple[str, ...] = ()

    def __call__(self, text: str) -> str:
        """Return the text."""
        if text in self.also:
            return text
        path = _by_library(lambda: find_model(text))
        if path.suffix not in self.suffixes:
            raise refuse(text, f'a model ({", ".join(self.suffixes)})')
        return text


@dataclass(frozen=True)
class Frames:
    """A folder with a manifest.json, or that file; every file that it names is there."""

    def __call__(self, text: str) -> Path:
        """Return the path."""
        from magadepth_ros.manifest import read_manifest

        path = Input('a folder with a manifest.json', ('.json',), either=True)(text)
        _by_library(lambda: read_manifest(path))
        return path


@dataclass(frozen=True)
class Recording:
    """A bag, or a folder with a manifest.json; of what is in them a command says more."""

    def __call__(self, text: str) -> Path:
        """Return the path."""
        what = f'a bag, or a folder with a {MANIFEST_NAME}'
        path = Input(what, either=True)(text)
        manifest = path if path.suffix == '.json' else path / MANIFEST_NAME
        if not (is_bag_path(path) or manifest.is_file()):
            raise refuse(text, what)
        return path


@dataclass(frozen=True)
class Topic:
    """A topic's name or a namespace, as ROS allows them."""

    what: str = 'a topic such as /camera/color/image_raw'

    def __call__(self, text: str) -> str:
        """Return the name."""
        if not is_name(text.rstrip('/')):
            raise refuse(text, f'{self.what}: letters, digits and _ between slashes')
        return text


@dataclass(frozen=True)
class Source:
    """A bag that is there, or a topic, which begins with a slash; stays the text."""

    def __call__(self, text: str) -> str:
        """Return the text."""
        path = as_path(text) or Path()
        in_folder = path.parent.is_dir() and path.parent != Path('/')
        if text.startswith('/') and not path.exists() and not in_folder:
            return Topic()(text)
        what = 'a bag (its file, or a folder with a metadata.yaml), or a topic (/name)'
        Input(what, either=True)(text)
        if not is_bag_path(path):
            raise refuse(text, what)
        return str(path)


@dataclass(frozen=True)
class Pattern:
    """A text of a form; ``what`` says which, for people."""

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

    def __call__(self, text: str) -> tuple[int, int]:
        """Return both."""
        match = re.fullmatch(r'(\d{1,6})/(\d{1,6})', text, re.ASCII)
        part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= part <= parts:
            raise refuse(text, 'K/N with K from 1 to N, such as 2/8')
        return part, parts


@dataclass(frozen=True)
class OneOf:
    """One of names that are known only where the training is installed."""

    names: Callable[[], list[str]]

    def __call__(self, text: str) -> str:
        """Return the name."""
        names = self.names()
        if text not in names:
            raise refuse(text, f'one of {", ".join(names)}')
        return text


@dataclass(frozen=True)
class Config:
    """A shipped configuration of the training by name, or a YAML file."""

    def __call__(self, text: str) -> str:
        """Return the text."""
        if Path(text).suffix in ('.yaml', '.yml'):
            Input('a YAML file')(text)
        elif text not in (names := self.names()):
            raise refuse(text, f'a YAML file or one of {", ".join(names)}')
        return text

    @staticmethod
    def names() -> list[str]:
        """Return the shipped ones, without importing torch."""
        spec = importlib.util.find_spec('magadepth_training')
        folders = list(spec.submodule_search_locations or ()) if spec else []
        return sorted(path.stem for f in folders for path in Path(f, 'configs').glob('*.yaml'))


def _by_library(check: Callable[[], Any]) -> Any:
    """Return what a check of the library returns; its error becomes argparse's."""
    try:
        return check()
    except MagadepthError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def require_package(name: str, what: str) -> None:
    """Raise DataError where a package is missing that an option needs later."""
    if importlib.util.find_spec(name) is None:
        raise DataError(f'{what} needs the Python package {name}: {pip_install(name)}')


def require_distinct(outputs: dict[str, Path | None]) -> None:
    """Raise DataError where two options would write the same file; ``outputs`` by option."""
    seen: dict[Path, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise DataError(f'{other} and {option} name the same file, {path}; give each its own')
