# SPDX-License-Identifier: Apache-2.0
"""The page ``docs/results.md``: tables made of what ``magadepth evaluate --csv`` wrote."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from magadepth_ros.errors import DataError
from magadepth_ros.tables import markdown_table

Lines = Sequence[dict[str, str]]

_COLUMNS = (
    # heading, column of the CSV, digits behind the point
    ('RMSE', 'fill_rmse', 3),
    ('MAE', 'fill_mae', 3),
    ('REL', 'fill_rel', 4),
    ('< 1.05', 'fill_d105', 1),
    ('< 1.10', 'fill_d110', 1),
    ('< 1.25', 'fill_d125', 1),
    ('edge', 'edge_rmse', 3),
    ('keep', 'keep_rmse', 3),
    ('AUSE', 'ause', 3),
    ('flicker', 'flicker', 3),
)


def read_lines(path: Path) -> list[dict[str, str]]:
    """Read the CSV; DataError where it is something else."""
    try:
        with path.open(encoding='utf-8', newline='') as file:
            lines = list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise DataError(f'{path}: cannot be read: {error}') from None
    if not lines or not {'name', 'group', *(column for _, column, _ in _COLUMNS)} <= set(lines[0]):
        raise DataError(f'{path}: expected a file that `magadepth evaluate --csv` wrote')
    return lines


def to_markdown(lines: Lines, source: str) -> str:
    """Write the page: all frames, then RMSE and REL for each sensor and scene."""
    whole = [line for line in lines if line['group'] == 'all']
    head = ['method', *(heading for heading, _, _ in _COLUMNS)]
    body = [
        [_title(line), *(_cell(line[column], digits) for _, column, digits in _COLUMNS)]
        for line in whole
    ]
    parts = [
        '# Results',
        f'Errors of `magadepth evaluate` on {whole[0]["frames"]} frames, as '
        '[Evaluation](evaluation.md) explains them, at pixels that were missing in the input: '
        'RMSE and MAE [m], REL, and the share within a ratio of 1.05, 1.10 and 1.25 of the truth '
        '[%]. *edge* is the RMSE near depth edges [m], *keep* that at pixels that were measured '
        '[m]; AUSE and flicker are in metres.',
        f'Made of `{source}`, where every figure is, by `magadepth evaluate --from-csv {source} '
        '--markdown docs/results.md`. Speed is on the [performance](performance.md) page.',
        markdown_table([head, *body]),
    ]
    for kind in ('sensor', 'scene'):
        groups = list(
            dict.fromkeys(line['group'] for line in lines if line['group'].startswith(f'{kind}:'))
        )
        if len(groups) > 1:
            parts += [f'## By {kind}', 'RMSE [m], and REL behind it.', _by(lines, groups)]
    return '\n\n'.join(parts) + '\n'


def _by(lines: Lines, groups: Sequence[str]) -> str:
    found = {(line['name'], line['group']): line for line in lines}
    rows = [['method', *(group.partition(':')[2] for group in groups)]]
    for name in dict.fromkeys(line['name'] for line in lines):
        row = [found.get((name, group), {}) for group in groups]
        rows.append(
            [
                name,
                *(
                    f'{_cell(line.get("fill_rmse", ""), 3)} ({_cell(line.get("fill_rel", ""), 4)})'
                    for line in row
                ),
            ]
        )
    return markdown_table(rows)


def _title(line: dict[str, str]) -> str:
    return f'{line["name"]}, {line["runtime"]}' if line['runtime'] else line['name']


def _cell(text: str, digits: int) -> str:
    return f'{float(text):.{digits}f}' if text else ''
