# SPDX-License-Identifier: Apache-2.0
"""Output of an evaluation: a table for the terminal, JSON and CSV for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from magadepth_ros.files import write_result
from magadepth_ros.tables import align
from magadepth_training.evaluation.evaluator import GROUPS
from magadepth_training.evaluation.metrics import NAMES
from magadepth_training.evaluation.regions import REGIONS

FIGURES = (
    *(*NAMES, 'unchanged', 'phantom', 'ause', 'ause_distance', 'flicker', 'lag'),
    *('ghosts', 'phantom_cells', 'missed'),
)
"""Figures of a line of the CSV, each followed by the ends of its interval."""

_COLUMNS = (
    # heading, region, figure, digits behind the point; '' = 95 % interval of the one before
    ('RMSE m', 'fill', 'rmse', 4),
    ('', 'fill', 'rmse', 3),
    ('REL', 'fill', 'rel', 4),
    ('', 'fill', 'rel', 4),
    ('d1.05', 'fill', 'd105', 1),
    ('d1.10', 'fill', 'd110', 1),
    ('phantom', 'fill', 'phantom', 2),
    ('unfilled', 'fill', 'unfilled', 3),
    ('AUSE', 'fill', 'ause', 4),
    ('by dist.', 'fill', 'ause_distance', 4),
    ('flicker', 'fill', 'flicker', 4),
    ('lag', 'fill', 'lag', 2),
    ('ghosts', 'fill', 'ghosts', 1),
    ('phantom cells', 'fill', 'phantom_cells', 1),
    ('missed', 'fill', 'missed', 1),
    ('kept', 'keep', 'unchanged', 2),
    ('edge REL', 'edge', 'rel', 4),
    ('deep', 'deep', 'rel', 4),
    ('thin', 'thin', 'rel', 4),
    ('small', 'small_hole', 'rel', 4),
    ('medium', 'medium_hole', 'rel', 4),
    ('large', 'large_hole', 'rel', 4),
)
CEILING_NOTE = (
    '* this method made the ground truth of the data set: its row is a ceiling, and other rows '
    'measure in part the distance to it'
)


def table(rows: Sequence[dict[str, Any]], target_made_by: str = '') -> str:
    """
    Return the rows of a data set as text, then RMSE and REL for each sensor and hiding.

    Errors are those at pixels that were missing in the input unless the heading says otherwise;
    columns that no row has are left out.
    """
    columns = [
        (name or '95 %', [_cell(row.get(region, {}), figure, digits, not name) for row in rows])
        for name, region, figure, digits in _COLUMNS
    ]
    columns.append(('ms', [f'{row["ms"]:.1f}' if 'ms' in row else '-' for row in rows]))
    columns = [column for column in columns if set(column[1]) != {'-'}]
    lines = [['method', 'frames', *(name for name, _ in columns)]]
    for i, row in enumerate(rows):
        mark = ' *' if target_made_by and row['name'] == target_made_by else ''
        cells = [column[i] for _, column in columns]
        lines.append([row['name'] + mark, str(row['frames_scored']), *cells])
    blocks = [align(lines)]
    for kind in ('sensors', 'hidings'):
        names = sorted({name for row in rows for name in row[kind]})
        if len(names) > 1:
            lines = [['RMSE m (REL)', *(row['name'] for row in rows)]]
            for name in names:
                fills = [row[kind].get(name, {}).get('fill') for row in rows]
                cells = [f'{f["rmse"]:.3f} ({f["rel"]:.4f})' if f else '-' for f in fills]
                lines.append([name, *cells])
            blocks.append(align(lines))
    text = '\n\n'.join(blocks)
    if target_made_by and any(row['name'] == target_made_by for row in rows):
        text += '\n' + CEILING_NOTE
    return text


def _cell(errors: dict[str, Any], figure: str, digits: int, interval: bool) -> str:
    if interval:
        ends = errors.get('interval', {}).get(figure)
        return f'{ends[0]:.{digits}f}-{ends[1]:.{digits}f}' if ends else '-'
    return f'{errors[figure]:.{digits}f}' if figure in errors else '-'


def write_json(path: str | Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``{"data", "rows": [...]}`` at once; DataError if it cannot."""
    data = ', '.join(dict.fromkeys(row['data'] for row in rows))
    write_result(path, json.dumps({'data': data, 'rows': list(rows)}, indent=1) + '\n')


def write_csv(path: str | Path, rows: Sequence[dict[str, Any]]) -> None:
    """
    Write a line for each data set, method and group: the mean and the 95 % interval of figures.

    A group is a region (``fill``, ``keep``, ...) of all frames, or the *fill* of some:
    ``sensor:NAME``, ``scene:NAME``, ``hiding:NAME``. Scenes of one frame are left out.
    """
    means = [f'{name}{end}' for name in FIGURES for end in ('', '_low', '_high')]
    text = io.StringIO()
    head = ['data', 'name', 'kind', 'runtime', 'group', 'frames', 'scenes', 'ms', *means]
    writer = csv.DictWriter(text, head, restval='', lineterminator='\n')
    writer.writeheader()
    for row in rows:
        for group, errors in _groups(row):
            line = {key: row[key] for key in ('data', 'name', 'kind', 'runtime')}
            line |= {'group': group} | {n: errors.get(n, 0) for n in ('frames', 'scenes')}
            if group == 'fill' and 'ms' in row:
                line['ms'] = f'{row["ms"]:.4g}'
            for name in set(FIGURES) & set(errors):
                line[name] = f'{errors[name]:.5g}'
                for end, value in zip(('low', 'high'), errors['interval'].get(name, ())):
                    line[f'{name}_{end}'] = f'{value:.4g}'
            writer.writerow(line)
    write_result(path, text.getvalue())


def _groups(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    # Times are written also where no pixel could be scored.
    yield from ((name, row.get(name, {})) for name in REGIONS if name in row or name == 'fill')
    for kind in GROUPS:
        for name, errors in row[f'{kind}s'].items():
            if errors['fill'] and (kind != 'scene' or errors['fill']['frames'] > 1):
                yield f'{kind}:{name}', errors['fill']
