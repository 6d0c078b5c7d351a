# SPDX-License-Identifier: Apache-2.0
"""Kinds of values that name files: inputs that must be there, outputs that can be written."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from magadepth_ros.commands.values import Number, Topic, refuse
from magadepth_ros.errors import DataError, MagadepthError
from magadepth_ros.files import MANIFEST_NAME, as_path, require_writable
from magadepth_ros.recordings import is_bag_path
from magadepth_ros.resources import find_model


@dataclass(frozen=True)
class Input:
    """An existing file, with ``folder`` a folder, with ``either`` any; or one of ``also``."""

    what: str
    suffixes: tuple[str, ...] = ()
    folder: bool = False
    either: bool = False
    also: tuple[str, ...] = ()

    @property
    def metavar(self) -> str:
        """The text that stands for a value in the help."""
        return 'FOLDER' if self.folder else 'FILE'

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
    """Recorded frames, PATH or PATH=SHARE; the share says how often they are drawn."""

    def __call__(self, text: str) -> tuple[Path, float]:
        """Return both; the share is 1 where none is given."""
        path, _, share = text.rpartition('=')
        number = Number(0.0, 1e6, above=True)(share) if path else 1.0
        return Input('recorded frames', either=True)(path or text), number


@dataclass(frozen=True)
class Output:
    """A file that can be written, or with ``folder`` a folder in which files can be written."""

    suffixes: tuple[str, ...] = ()
    folder: bool = False

    @property
    def metavar(self) -> str:
        """The text that stands for a value in the help."""
        return 'FOLDER' if self.folder else 'FILE'

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
    """A file or a folder to write; the input decides which."""

    def __call__(self, text: str) -> Path:
        """Return the path; nothing is made."""
        path = as_path(text)
        return Output(folder=path is not None and path.is_dir())(text)


@dataclass(frozen=True)
class Model:
    """A shipped model's name or a model file; stays the text that was typed."""

    suffixes: tuple[str, ...] = ('.onnx', '.engine', '.plan', '.safetensors')
    also: tuple[str, ...] = ()
    metavar: ClassVar = 'MODEL'

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
    """A bag, or a folder with a manifest.json; the command itself checks their content."""

    def __call__(self, text: str) -> Path:
        """Return the path."""
        what = f'a bag, or a folder with a {MANIFEST_NAME}'
        path = Input(what, either=True)(text)
        manifest = path if path.suffix == '.json' else path / MANIFEST_NAME
        if not (is_bag_path(path) or manifest.is_file()):
            raise refuse(text, what)
        return path


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
    """Return the result of a check of the library; its DataError becomes an error of argparse."""
    try:
        return check()
    except MagadepthError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def require_distinct(outputs: dict[str, Path | None]) -> None:
    """Raise DataError where two options would write the same file; ``outputs`` by option."""
    seen: dict[Path, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise DataError(f'{other} and {option} name the same file, {path}; give each its own')
