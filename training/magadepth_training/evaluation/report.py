# SPDX-License-Identifier: Apache-2.0
"""Show the rows of an evaluation: a table for the terminal, JSON and CSV for everything else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from magadepth_ros.files import write_result
from magadepth_ros.tables import align
from magadepth_training.evaluation.metrics import NAMES
from magadepth_training.evaluation.regions import REGIONS

_COLUMNS = (
    # heading, region or '' for the row itself, figure, format
    ('RMSE m', 'fill', 'rmse', '.4f'),
    ('MAE m', 'fill', 'mae', '.4f'),
    ('REL', 'fill', 'rel', '.4f'),
    ('d1.05', 'fill', 'd105', '.1f'),
    ('d1.10', 'fill', 'd110', '.1f'),
    ('d1.25', 'fill', 'd125', '.1f'),
    ('unfilled', 'fill', 'unfilled', '.3f'),
    ('edge RMSE', 'edge', 'rmse', '.4f'),
    ('keep RMSE', 'keep', 'rmse', '.4f'),
    ('all RMSE', 'all', 'rmse', '.4f'),
    ('AUSE', '', 'ause', '.4f'),
    ('by dist.', '', 'ause_distance', '.4f'),
    ('flicker', '', 'flicker', '.4f'),
    ('ms', '', 'ms', '.1f'),
)
_SINGLE = (
    'ause',
    'ause_distance',
    'ause_rel',
    'ause_rel_distance',
    'flicker',
    'ms',
)
CEILING_NOTE = (
    '* made the ground truth of this data set: its row is a ceiling, and the others are in part '
    'their distance to it'
)


def table(rows: Sequence[dict[str, Any]], target_made_by: str = '') -> str:
    """
    Lay the rows out for a terminal, then one block with the RMSE at holes for each sensor.

    Errors are those at pixels that were missing in the input unless the heading says otherwise.
    """
    head = ['method', 'frames', *(column[0] for column in _COLUMNS)]
    lines = [head]
    for row in rows:
        mark = ' *' if target_made_by and row['name'] == target_made_by else ''
        cells = [row['name'] + mark, str(row['frames_scored'])]
        for _, region, figure, form in _COLUMNS:
            value = (row.get(region, {}) if region else row).get(figure)
            cells.append('-' if value is None else format(value, form))
        lines.append(cells)
    text = align(lines)
    sensors = sorted({sensor for row in rows for sensor in row['sensors']})
    if len(sensors) > 1:
        lines = [['RMSE m (REL)', *sensors]]
        for row in rows:
            fills = [row['sensors'].get(sensor, {}).get('fill') for sensor in sensors]
            cells = [f'{f["rmse"]:.4f} ({f["rel"]:.4f})' if f else '-' for f in fills]
            lines.append([row['name'], *cells])
        text += '\n\n' + align(lines)
    if target_made_by and any(row['name'] == target_made_by for row in rows):
        text += '\n' + CEILING_NOTE
    return text


def write_json(
    path: str | Path, data: str, rows: Sequence[dict[str, Any]], target_made_by: str = ''
) -> None:
    """Write ``{"data", "target_made_by", "rows": [...]}`` at once; DataError if it cannot."""
    content = {'data': data, 'target_made_by': target_made_by, 'rows': list(rows)}
    write_result(path, json.dumps(content, indent=1) + '\n')


def write_csv(path: str | Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a line per method and group: group is ``all``, ``sensor:NAME`` or ``scene:NAME``."""
    head = ['name', 'kind', 'runtime', 'group', 'frames', 'frames_scored']
    figures = [(region, figure) for region in REGIONS for figure in NAMES]
    names = [*head, *(f'{region}_{figure}' for region, figure in figures), *_SINGLE]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval='', lineterminator='\n')
    writer.writeheader()
    for row in rows:
        for group, errors in _groups(row):
            line: dict[str, Any] = {key: row[key] for key in ('name', 'kind', 'runtime')}
            line['group'] = group
            for region, figure in figures:
                if figure in errors.get(region, {}):
                    line[f'{region}_{figure}'] = f'{errors[region][figure]:.6g}'
            if group == 'all':
                line |= {key: row[key] for key in ('frames', 'frames_scored')}
                line |= {key: f'{row[key]:.6g}' for key in _SINGLE if key in row}
            writer.writerow(line)
    write_result(path, text.getvalue())


def _groups(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield 'all', row
    for kind, groups in (('sensor', row['sensors']), ('scene', row['scenes'])):
        for name, errors in groups.items():
            yield f'{kind}:{name}', errors
