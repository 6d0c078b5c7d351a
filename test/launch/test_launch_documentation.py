# SPDX-License-Identifier: Apache-2.0
"""docs/parameters.md has every argument of every launch file with default and description."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import magadepth_ros
from magadepth_ros.resources import share_dir

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'parameters.md'
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason='installed without its documentation')


class Anything:
    """Stands for what the launch files make and what is not looked at here."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self.args, self.keywords = args, keywords


class Package(ModuleType):
    """Stands for a module of `launch`, which pip cannot bring: every name in it is `Anything`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> type[Anything]:
        if name.startswith('__'):
            raise AttributeError(name)
        return type(name, (Anything,), {})


Said = tuple[str, str, str]
"""Name, default and description of an argument, as the page has them."""


@pytest.fixture
def declared(monkeypatch) -> dict[str, list[Said]]:
    """Arguments by launch file."""
    for package in ('launch', 'launch_ros', 'ament_index_python'):
        for name in ('', '.actions', '.substitutions', '.logging', '.packages',
                     '.launch_description_sources'):  # fmt: skip
            monkeypatch.setitem(sys.modules, package + name, Package(package + name))
    # Imported with these, and again without them by whoever comes next.
    monkeypatch.delitem(sys.modules, 'magadepth_ros.launching', raising=False)
    monkeypatch.delattr(magadepth_ros, 'launching', raising=False)
    try:
        return {path.name.partition('.')[0]: arguments_of(path) for path in FILES}
    finally:
        del sys.modules['magadepth_ros.launching'], magadepth_ros.launching


def arguments_of(path: Path) -> list[Said]:
    spec = importlib.util.spec_from_file_location('launch_file', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (entities,) = module.generate_launch_description().args
    return [
        said(entity.args[0], **entity.keywords)
        for entity in entities
        if type(entity).__name__ == 'DeclareLaunchArgument'
    ]


def said(name: str, default_value: str, description: str, choices: Sequence[str] = ()) -> Said:
    default = default_value.replace(f'{share_dir()}/', '')
    if choices and choices != ['true', 'false']:
        description += f' One of {", ".join(f"`{choice}`" for choice in choices if choice)}.'
    return f'`{name}`', f'`{default}`' if default else '', description


def row(*cells: str) -> str:
    return f'| {" | ".join(cells)} |'.replace('|  |', '| |')


def test_the_page_says_what_the_launch_files_declare(declared):
    by_argument: dict[Said, list[str]] = {}
    for file, arguments in declared.items():
        for argument in arguments:
            by_argument.setdefault(argument, []).append(file)
    everywhere = [
        argument
        for argument in declared['demo']
        if all(argument[0] in {name for name, *_ in own} for own in declared.values())
    ]
    expected = [row(*argument) for argument in everywhere]
    for argument in sorted(by_argument.keys() - set(everywhere)):
        name, *rest = argument
        files = ', '.join(f'`{file}`' for file in by_argument[argument])
        expected.append(row(name, files, *rest))
    text = PAGE.read_text(encoding='utf-8').partition('## Launch arguments')[2]
    rows = [line for line in text.splitlines() if line.startswith('| `')]
    assert rows == expected, '\n'.join(expected)
