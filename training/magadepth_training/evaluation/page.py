# SPDX-License-Identifier: Apache-2.0
"""The page ``docs/results.md``: tables made of what ``magadepth evaluate --csv`` wrote."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from magadepth_ros.errors import DataError
from magadepth_ros.tables import markdown_table
from magadepth_training.evaluation.regions import REGIONS

Line = dict[str, str]

_MAIN = (
    # heading, figure, digits behind the point; its interval follows where it says so
    ('RMSE', 'rmse', 3),
    ('95 %', 'rmse', 3),
    ('REL', 'rel', 4),
    ('95 %', 'rel', 4),
    ('within 5 %', 'd105', 1),
    ('within 10 %', 'd110', 1),
    ('phantom', 'phantom', 2),
    ('AUSE', 'ause', 3),
)
_MOTION = (
    ('ghost cells', 'ghosts', 1),
    ('95 %', 'ghosts', 1),
    ('phantom cells', 'phantom_cells', 1),
    ('95 %', 'phantom_cells', 1),
    ('missed', 'missed', 1),
    ('95 %', 'missed', 1),
    ('flicker', 'flicker', 3),
    ('95 %', 'flicker', 3),
    ('lag', 'lag', 2),
)
_ROBOT = (
    # data set, heading, figure, digits
    ('simulated:drive', 'ghost cells', 'ghosts', 1),
    ('simulated:drive', 'phantom cells', 'phantom_cells', 1),
    ('simulated:drive', 'obstacles missed', 'missed', 1),
    ('rgbd_glass_val', 'glass within 1 cm', 'within_1cm', 1),
    ('rgbd_glass_val', 'within 2 cm', 'within_2cm', 1),
)
_MOST_GROUPS = 16
_ROBOT_TEXT = """\
A robot drives through rooms in which somebody walks by; cells of 5 cm are marked and cleared as
Nav2's voxel layer does it ([how](evaluation.md#does-it-help-a-robot)). Left in its map after each
frame: *ghost cells* of what has gone, *phantom cells* of what never was, and *obstacles missed* [%
of their cells]. Beside it the share of the surface of glasses and bottles that a grasp planner
would see within 1 and 2 cm of the truth [%]."""

_INTRODUCTION = """\
What `magadepth evaluate` measured, as [Evaluation](evaluation.md) explains it. All figures are
errors at pixels that were missing in the input: RMSE [m] and REL, both with their 95 % interval
over scenes, the shares within 5 % and 10 % of the truth [%], phantom obstacles [%], AUSE [m]."""


def read_lines(paths: Sequence[Path]) -> list[Line]:
    """Read CSV files in their order; DataError where one is something else."""
    lines: list[Line] = []
    for path in paths:
        try:
            with path.open(encoding='utf-8', newline='') as file:
                found = list(csv.DictReader(file))
        except (OSError, ValueError) as error:
            raise DataError(f'{path}: cannot be read: {error}') from None
        if not found or not {'data', 'name', 'group', 'rmse'} <= set(found[0]):
            raise DataError(f'{path}: expected a file that `magadepth evaluate --csv` wrote')
        lines += found
    return lines


def to_markdown(lines: Sequence[Line], sources: Sequence[str]) -> str:
    """Write the page: for each data set the main table, then regions, sensors and so on."""
    files = ' '.join(sources)
    parts = [
        '# Results',
        _INTRODUCTION,
        f'Made of the files in {", ".join(f"`{source}`" for source in sources)}, which have more, '
        f'by `magadepth evaluate --from-csv {files} --markdown docs/results.md`. Speed is on the '
        '[performance](performance.md) page.',
    ]
    robot = _robot(lines)
    if robot:
        parts += ['## Does it help a robot?', _ROBOT_TEXT, robot]
    for data in dict.fromkeys(line['data'] for line in lines):
        parts += _section(data, [line for line in lines if line['data'] == data])
    return '\n\n'.join(parts) + '\n'


def _section(data: str, lines: Sequence[Line]) -> Iterator[str]:
    whole = [line for line in lines if line['group'] == 'fill']
    yield f'## {data}'
    yield f'{whole[0]["frames"]} frames of {whole[0]["scenes"]} scenes.'
    yield _columns(whole, _MAIN)
    if any(line.get('ghosts') for line in whole):
        yield '### From frame to frame'
        yield (
            'Cells of the costmap that are wrong after each frame, obstacles missed [% of their '
            'cells], flicker [m], and the lag behind a moving edge [frames].'
        )
        yield _columns(whole, _MOTION)
    yield '### By region'
    yield 'REL; *kept* is the share of measured pixels that stay as they are [%].'
    yield _by_region(lines)
    for kind in ('sensor', 'scene', 'hiding'):
        groups = dict.fromkeys(line['group'] for line in lines if line['group'].startswith(kind))
        if 1 < len(groups) <= _MOST_GROUPS:
            yield f'### By {kind}'
            yield 'REL.'
            yield _by_group(lines, list(groups))


def _robot(lines: Sequence[Line]) -> str:
    found = {(line['data'], line['name']): line for line in lines if line['group'] == 'fill'}
    names = dict.fromkeys(name for data, name in found if data == _ROBOT[0][0])
    body = [
        [name, *(_cell(found.get((data, name)), f, digits) for data, _, f, digits in _ROBOT)]
        for name in names
    ]
    return markdown_table([['method', *(h for _, h, _, _ in _ROBOT)], *body]) if body else ''


def _columns(lines: Sequence[Line], columns: Sequence[tuple[str, str, int]]) -> str:
    head = ['method', *(heading for heading, _, _ in columns)]
    body = [
        [
            _title(line),
            *(_cell(line, figure, digits, h == '95 %') for h, figure, digits in columns),
        ]
        for line in lines
    ]
    return markdown_table([head, *body])


def _by_region(lines: Sequence[Line]) -> str:
    found = {(line['name'], line['group']): line for line in lines}
    regions = [name for name in REGIONS if name not in ('fill', 'keep', 'all')]
    head = ['method', *(name.replace('_', ' ') for name in regions), 'kept']
    body = [
        [
            name,
            *(_cell(found.get((name, region)), 'rel', 4) for region in regions),
            _cell(found.get((name, 'keep')), 'unchanged', 2),
        ]
        for name in dict.fromkeys(line['name'] for line in lines)
    ]
    return markdown_table([head, *body])


def _by_group(lines: Sequence[Line], groups: Sequence[str]) -> str:
    found = {(line['name'], line['group']): line for line in lines}
    names = list(dict.fromkeys(line['name'] for line in lines))
    body = [
        [group.partition(':')[2], *(_cell(found.get((name, group)), 'rel', 4) for name in names)]
        for group in groups
    ]
    return markdown_table([['', *names], *body])


def _title(line: Line) -> str:
    return f'{line["name"]}, {line["runtime"]}' if line['runtime'] else line['name']


def _cell(line: Line | None, figure: str, digits: int, interval: bool = False) -> str:
    names = (f'{figure}_low', f'{figure}_high') if interval else (figure,)
    values = [(line or {}).get(name, '') for name in names]
    return ' to '.join(f'{float(value):.{digits}f}' for value in values) if all(values) else ''
