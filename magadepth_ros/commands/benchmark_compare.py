# SPDX-License-Identifier: Apache-2.0
"""Compare two runs of `magadepth benchmark`, also of different machines: what got slower."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from magadepth_ros.commands.benchmark_report import busy_ms, read_report, size_of
from magadepth_ros.errors import DataError
from magadepth_ros.tables import align

LIMIT = 0.15
"""Growth of a time, relative to the classical methods, from which on it counts as slower."""

Row = dict[str, Any]


def compare(old_path: Path, new_path: Path) -> tuple[str, bool]:
    """
    Compare two files that ``--json`` wrote.

    Times are taken relative to the classical methods (``--peers``) that both runs measured at the
    same size. The code of these methods does not change, so the median of their changes is a
    property of the machines. For the node, the processor time of a frame is compared.

    Returns
    -------
    str, bool
        a table, and whether something got slower by more than `LIMIT`.

    Raises
    ------
    DataError
        a file is no benchmark, or the two have no model or no classical method in common.

    """
    old, new = (_by_key(path) for path in (old_path, new_path))
    machine = _machine(old, new)
    lines = [('', 'size', 'old [ms]', 'new [ms]', 'machine', 'change')]
    slower = False
    for key in old:
        kind, *name, size = key
        if kind == 'peer' or key not in new or size not in machine:
            continue
        growth = new[key] / old[key] / machine[size] - 1
        slower = slower or growth > LIMIT
        said = f'{growth:+.0%}' + (' SLOWER' if growth > LIMIT else '')
        times = f'{old[key]:.1f}', f'{new[key]:.1f}', f'{machine[size]:.2f}'
        lines.append((' '.join(name), size, *times, said))
    if len(lines) == 1:
        raise DataError(
            f'{old_path} and {new_path}: expected a common model, runtime and size with a '
            'classical method, found none; measure both with --peers and with the same --models '
            'and --sizes'
        )
    return align(lines, left=2), slower


def _by_key(path: Path) -> dict[tuple[str, ...], float]:
    """Return the milliseconds of each row: kind, name, runtime, size."""
    report = read_report(path)
    try:
        rows = [*report['rows'], *report.get('batches', []), *report.get('cores', [])]
        found = {_key(row): float(row['ms']) for row in rows}
        name = report['rows'][0]['name']
        for row in [*report['node'], *report.get('topics', [])]:
            if row['rate_hz']:
                run = f'node, {row["cameras"]} cameras'
                key = ('node', name, run, *row.get('topics', ()), size_of(row))
                found[key] = busy_ms(row) / row['cameras']
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(
            f'{path}: a benchmark whose figures cannot be read ({error!r}); measure it again'
        ) from None
    return found


def _key(row: Row) -> tuple[str, ...]:
    more = [f'{row[k]} {k}' for k in ('batch', 'cores') if k in row]
    kind = 'peer of other cores' if row['kind'] == 'peer' and more else row['kind']
    return (kind, row['name'], row['runtime'], *more, size_of(row))


def _machine(
    old: dict[tuple[str, ...], float], new: dict[tuple[str, ...], float]
) -> dict[str, float]:
    """Return by which factor the second machine is slower, for each size."""
    changes: dict[str, list[float]] = {}
    for key in old:
        if key[0] == 'peer' and key in new and old[key] > 0:
            changes.setdefault(key[-1], []).append(new[key] / old[key])
    return {size: statistics.median(each) for size, each in changes.items()}
