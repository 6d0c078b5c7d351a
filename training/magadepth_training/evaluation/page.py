# SPDX-License-Identifier: Apache-2.0
"""The page ``docs/results.md``: tables made from the CSV of ``magadepth evaluate --csv``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from magadepth_ros.errors import DataError
from magadepth_ros.tables import markdown_table
from magadepth_training.evaluation.evaluator import GROUPS
from magadepth_training.evaluation.regions import REGIONS

Line = dict[str, str]
ByMethod = dict[str, Line]

_MAIN = (
    # heading, figure, digits behind the point; '95 %' is the interval of the figure
    ('REL', 'rel', 4),
    ('95 %', 'rel', 4),
    ('RMSE', 'rmse', 3),
    ('95 %', 'rmse', 3),
    ('within 5 %', 'd105', 1),
    ('phantom', 'phantom', 2),
)
_MORE = (
    ('MAE', 'mae', 3),
    ('within 10 %', 'd110', 1),
    ('within 25 %', 'd125', 1),
    ('within 1 cm', 'within_1cm', 1),
    ('within 2 cm', 'within_2cm', 1),
    ('AUSE', 'ause', 3),
    ('by distance', 'ause_distance', 3),
)
_MOTION = (
    ('ghost cells', 'ghosts', 1),
    ('95 %', 'ghosts', 1),
    ('phantom cells', 'phantom_cells', 1),
    ('95 %', 'phantom_cells', 1),
    ('missed', 'missed', 1),
    ('95 %', 'missed', 1),
    ('flicker', 'flicker', 3),
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
_COMPARED = ('nearest', 'levin')
"""Baselines shown beside the models in the tables by sensor, region and so on."""
_MOST_GROUPS = 16

_INTRODUCTION = """\
`magadepth evaluate` measured these figures; the page [evaluation](evaluation.md) explains each of
them. Unless stated otherwise, a figure covers the pixels that were missing in the input. RMSE, MAE
and AUSE are in metres, shares are in percent, and *95 %* is the interval over scenes of the figure
before it."""
_ROBOT_TEXT = """\
A robot drives through rooms in which a person walks by. Cells of 5 cm are marked and cleared as by
Nav2's voxel layer ([method](evaluation.md#does-it-help-a-robot)). Three kinds of wrong cells are
counted after each frame: *ghost cells*, from which the obstacle has gone; *phantom cells*, where
no obstacle ever was; and *obstacles missed* [% of their cells]. The last columns are the share of
the surface of glasses and bottles that is completed to within 1 and 2 cm of the truth [%]."""
_MOTION_TEXT = """\
Cells of the costmap that are wrong after each frame, obstacles missed [% of their cells], flicker
[m], and the lag behind a moving edge [frames]."""


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
        f'`magadepth evaluate --from-csv {files} --markdown docs/results.md` makes this page; '
        'the CSV files have more figures. Speed is on the [performance](performance.md) page.',
    ]
    groups: dict[str, dict[str, ByMethod]] = {}
    for line in lines:
        group = groups.setdefault(line['data'], {}).setdefault(line['group'], {})
        group[line['name']] = line
    if _ROBOT[0][0] in groups:
        names = groups[_ROBOT[0][0]]['fill']
        columns = [(h, groups.get(data, {}).get('fill', {}), f, n) for data, h, f, n in _ROBOT]
        parts += ['## Does it help a robot?', _ROBOT_TEXT, _table(names, columns)]
    for data in groups:
        parts += _section(data, groups[data])
    return '\n\n'.join(parts) + '\n'


def _section(data: str, groups: dict[str, ByMethod]) -> Iterator[str]:
    fill = groups['fill']
    first = next(iter(fill.values()))
    runtimes = dict.fromkeys(line['runtime'] for line in fill.values() if line['runtime'])
    ran = f'; the models ran on {", ".join(runtimes)}' if runtimes else ''
    yield f'## {data}'
    yield f'{first["frames"]} frames of {first["scenes"]} scenes{ran}.'
    yield _table(fill, [(h, fill, f, n) for h, f, n in _MAIN])
    if first.get('ghosts'):
        yield '### From frame to frame'
        yield _MOTION_TEXT
        yield _table(fill, [(h, fill, f, n) for h, f, n in _MOTION])
    yield '### More figures'
    yield _table(fill, [(h, fill, f, n) for h, f, n in _MORE])
    yield '### By region'
    yield 'REL; *kept* is the share of measured pixels that stay as they are [%].'
    regions = [name for name in REGIONS if name not in ('fill', 'keep', 'all')]
    columns = [(name.replace('_', ' '), groups.get(name, {}), 'rel', 4) for name in regions]
    yield _table(fill, [*columns, ('kept', groups.get('keep', {}), 'unchanged', 2)])
    shown = [n for n, line in fill.items() if line['kind'] != 'baseline' or n in _COMPARED]
    for kind in GROUPS:
        found = [group for group in groups if group.startswith(f'{kind}:')]
        if 1 < len(found) <= _MOST_GROUPS:
            yield f'### By {kind}'
            yield 'REL; the CSV has the other methods too.'
            body = [
                [group.partition(':')[2], *(_cell(groups[group].get(n), 'rel', 4) for n in shown)]
                for group in found
            ]
            yield markdown_table([[kind, *shown], *body])


def _table(names: Iterable[str], columns: Sequence[tuple[str, ByMethod, str, int]]) -> str:
    body = [
        [name, *(_cell(lines.get(name), f, n, h == '95 %') for h, lines, f, n in columns)]
        for name in names
    ]
    return markdown_table([['method', *(column[0] for column in columns)], *body])


def _cell(line: Line | None, figure: str, digits: int, interval: bool = False) -> str:
    names = (f'{figure}_low', f'{figure}_high') if interval else (figure,)
    values = [(line or {}).get(name, '') for name in names]
    return '–'.join(f'{float(value):.{digits}f}' for value in values) if all(values) else ''
