# SPDX-License-Identifier: Apache-2.0
"""
Every option of every command with bad values: one line, exit code 2, and nothing is written.

The cases are made of the parsers, so that a new option is among them by itself.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

if not all(map(importlib.util.find_spec, ('scipy', 'yaml'))):
    pytest.skip('names of the training are among the values', allow_module_level=True)

from magadepth_ros.commands import paths, values
from magadepth_ros.commands.main import main, module_of
from magadepth_ros.commands.reference import parsers

PARSERS = parsers()
NUMBERS = ('', ' ', 'abc', 'nan', 'inf', '-inf', '1e400', '1,5', '0x10', '--', '½', '1 2')
PATHS = ('', 'missing', 'missing/x', 'a\0b', 'x' * 300, '~no_such_user/x')
UNWRITABLE = ('', 'file/x', 'file/x/y', '/proc/x', '/dev/null', 'x' * 300)
BAD: dict[type, Callable[[Any], tuple[str, ...]]] = {
    values.Number: lambda kind: (
        *NUMBERS,
        repr(kind.low - 1),
        repr(kind.high * 2 + 1),
        *((repr(kind.low),) if kind.above else ()),
        *(('1.5', '1e2') if kind.whole else ()),
    ),
    paths.Input: lambda kind: (
        *PATHS,
        *(() if kind.either else ('file',) if kind.folder else ('folder',)),
        *(('file',) if kind.suffixes else ()),
    ),
    paths.SharedInput: lambda kind: (*PATHS, 'frames=0', 'frames=x', 'frames=-1', 'missing=1'),
    paths.Output: lambda kind: (
        *(f'{bad}{"".join(kind.suffixes[:1])}' for bad in UNWRITABLE if 'null' not in bad),
        *(() if kind.suffixes else ('/dev/null',)),
        'file' if kind.folder else 'folder',
        *(('x.txt', 'x') if kind.suffixes else ()),
    ),
    paths.OutputOrFolder: lambda kind: (*UNWRITABLE, 'file', 'folder.engine', 'file/x.engine'),
    paths.Result: lambda kind: UNWRITABLE,
    paths.Model: lambda kind: (*PATHS, 'no_such_model', 'file', 'folder', 'text.txt'),
    paths.Frames: lambda kind: (*PATHS, 'folder', 'file', 'broken', 'broken/manifest.json'),
    paths.Recording: lambda kind: (*PATHS, 'folder', 'file'),
    paths.Source: lambda kind: (*PATHS, 'nobag', './nobag', 'folder', 'file', '/bad name', '/1'),
    values.Topic: lambda kind: ('', '/', 'not valid!', '/a b', '1st', '/a//b', 'a-b', '/a/$'),
    values.Pattern: lambda kind: ('', ' ', '\n', 'a\nb', '\x07'),
    values.Duration: lambda kind: (*NUMBERS, '0', '-5', '10 minutes', '1h30m', 'h', '0m', 'soon'),
    values.Size: lambda kind: (
        *NUMBERS, '640', '640x', 'x480', '0x0', '-640x480', '640x480x3', '8x8', '100000x100000',
    ),
    values.Shard: lambda kind: ('', '0/2', '3/2', '1', '1/0', '-1/2', '1/2/3', 'a/b', '1.5/2'),
    values.OneOf: lambda kind: ('', 'banana', 'ALL', 'all none'),
    paths.Config: lambda kind: ('', 'banana', 'missing.yaml', 'folder', '../magadepth_small'),
}  # fmt: skip
"""Of each kind of value what must be refused; `world` has the files."""

VALID = {
    'complete': ['frames', 'new'],
    'adapt': ['frames', '--output', 'new.onnx'],
    'view': ['/depth/completed', '--save', 'new.rrd'],
    'evaluate': ['frames'],
    'export-onnx': ['weights.safetensors'],
}
"""What a command needs beside the option that is tried, so that this alone is wrong."""


@pytest.fixture(scope='module')
def world(tmp_path_factory) -> Iterator[Path]:
    """Make a folder with files of each kind, good and bad, and work in it."""
    folder = tmp_path_factory.mktemp('world')
    before = Path.cwd()
    os.chdir(folder)
    (folder / 'folder').mkdir()
    (folder / 'folder.engine').mkdir()
    for name in ('file', 'text.txt', 'weights.safetensors', 'some.mcap'):
        (folder / name).write_bytes(b'x')
    (folder / 'broken').mkdir()
    (folder / 'broken' / 'manifest.json').write_text('{')
    (folder / 'frames').mkdir()
    cv2.imwrite('frames/a.rgb.png', np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite('frames/a.depth.png', np.full((8, 8), 1000, np.uint16))
    frame = {'rgb': 'a.rgb.png', 'depth': 'a.depth.png'}
    text = json.dumps({'depth_scale': 0.001, 'frames': [frame]})
    (folder / 'frames' / 'manifest.json').write_text(text)
    yield folder
    os.chdir(before)


def state_of(folder: Path) -> list[tuple[str, int, int]]:
    found = ((p, p.stat()) for p in sorted(folder.rglob('*')))
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in found]


def bad_values(action: argparse.Action) -> list[str]:
    """What an option must refuse; a value of a kind that has none is a fault of the option."""
    if action.choices is not None:
        bad = ['', 'banana', str(next(iter(action.choices))).upper() + '!']
    else:
        assert type(action.type) in BAD, f'{action.dest}: give it choices or a kind of values.py'
        bad = list(BAD[type(action.type)](action.type))
    return bad


def taking_values() -> Iterator[tuple[str, argparse.Action]]:
    for command, parser in PARSERS.items():
        for action in parser._actions:
            if action.nargs != 0:
                yield command, action


def call(command: str, action: argparse.Action, bad: str) -> list[str]:
    """Write the command line in which this value alone is wrong."""
    valid = list(VALID.get(command, []))
    if not action.option_strings:
        positions = [a.dest for a in PARSERS[command]._actions if not a.option_strings]
        at = positions.index(action.dest)
        return [command, *valid[:at], bad, *valid[at + 1 :]]
    option = action.option_strings[-1]
    if isinstance(action.nargs, int):
        return [command, *valid, option, *['0'] * (action.nargs - 1), bad]
    return [command, *valid, f'{option}={bad}']


CASES = [(c, a, bad) for c, a in taking_values() for bad in bad_values(a)]


def test_the_cases_are_many():
    assert len(CASES) >= 300
    assert {command for command, _, _ in CASES} == set(PARSERS)


def refused(arguments: list[str], world: Path, capsys) -> str:
    """Run a command that must refuse, and return the line that it says."""
    before = state_of(world)
    assert main(arguments) == 2, arguments
    said = capsys.readouterr()
    assert said.err.count('\n') == 1 and said.err.startswith('magadepth'), said.err
    assert 'Traceback' not in said.err and not said.out
    assert state_of(world) == before, arguments
    return said.err


@pytest.fixture
def idle(monkeypatch):
    """Let no command do anything: what it refuses, it refuses before."""
    for command in PARSERS:
        module = importlib.import_module(module_of(command))
        monkeypatch.setattr(module, 'run', lambda args: pytest.fail(f'was accepted: {args}'))


@pytest.mark.usefixtures('idle')
@pytest.mark.parametrize(
    ('command', 'action'), taking_values(), ids=lambda x: getattr(x, 'dest', x)
)
def test_bad_values_are_one_line_and_cost_nothing(command, action, world, capsys):
    for bad in bad_values(action):
        said = refused(call(command, action, bad), world, capsys)
        if action.option_strings:
            assert action.option_strings[-1] in said, said


PAIR = 'complete --rgb frames/a.rgb.png --depth frames/a.depth.png'
TOGETHER = [
    ('complete frames', 'OUTPUT is missing'),
    ('complete broken new', 'cannot be read as JSON'),
    ('demo --input broken', 'cannot be read as JSON'),
    ('complete frames file', 'file: is a file'),
    ('complete frames new --points', '--points has no effect here: frames is no bag'),
    ('complete frames new --depth-topic /d', '--depth-topic has no effect here'),
    ('complete frames new --depth-scale 0.01', '--depth-scale has no effect here'),
    ('complete frames new --min-depth 4 --max-depth 2', 'max_depth is 2.0'),
    ('complete frames new --unknown', 'unrecognized arguments'),
    ('complete some.mcap new --depth-to-rgb 0 0 0 0 0 0 0', 'quaternion'),
    ('complete some.mcap frames file', 'file: is a file'),
    ('complete some.mcap folder frames', "got 'folder'"),
    ('complete frames frames/manifest.json new', 'would both be written to'),
    ('complete some.mcap frames frames', 'frames: expected the folder of the results'),
    ('complete --rgb frames/a.rgb.png new.png', 'give both'),
    (f'{PAIR} new.jpg', 'name it *.png'),
    (f'{PAIR} frames new.png', 'got also'),
    (f'{PAIR} new.png --shard 1/2', '--shard'),
    (f'{PAIR} new.png --batch 2', '--batch'),
    ('evaluate', 'expected DATA'),
    ('evaluate frames --markdown page.md', 'for --markdown also --csv'),
    ('evaluate frames --json same --csv same', '--json and --csv name the same file'),
    ('evaluate frames --csv folder/../same --markdown same', 'name the same file'),
    ('benchmark --json same --markdown ./same', 'name the same file'),
    ('train --measure', '--measure has no effect here'),
    ('train --resume --start-from weights.safetensors', 'drop one'),
    ('train --max-time 1h --finish-in 1h', 'drop one'),
    ('adapt frames', '--output'),
    ('adapt frames --output new.onnx --model guided_fill', 'expected its weights in'),
    ('export-trt --no-convert --no-build', 'drop one'),
    ('export-trt --no-check --check frames', 'drop one'),
    ('export-trt --precision fp32 fp16 --output new.engine', 'name a folder'),
    ('dance', "invalid choice: 'dance'"),
]


@pytest.mark.usefixtures('idle')
@pytest.mark.parametrize(('line', 'says'), TOGETHER)
def test_values_that_do_not_go_together_are_refused_before_work(line, says, world, capsys):
    assert says in refused(line.split(), world, capsys)


@pytest.mark.usefixtures('idle')
@pytest.mark.parametrize(
    ('line', 'package'),
    [
        ('benchmark --plot new.png', 'matplotlib'),
        ('view /depth/completed --save new.rrd', 'rerun'),
        ('demo --viewer', 'rerun'),
    ],
)
def test_a_missing_package_is_named_with_the_pip_that_installs_it(
    line, package, world, capsys, monkeypatch
):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda n: None if n == package else real(n))
    said = refused(line.split(), world, capsys)
    assert package in said and f'{sys.executable} -m pip install "' in said


@pytest.mark.usefixtures('idle')
@pytest.mark.parametrize('line', ['view /depth/completed', 'demo --viewer'])
def test_without_a_display_a_recording_is_advised(line, world, capsys, monkeypatch):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    found = importlib.machinery.ModuleSpec('rerun', None)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: found)
    assert '--save FILE.rrd' in refused(line.split(), world, capsys)
