# SPDX-License-Identifier: Apache-2.0
"""Draw what `magadepth benchmark` measured: bars of the stages, and how the cost grows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from magadepth_ros.commands.benchmark_growth import Law
from magadepth_ros.commands.benchmark_report import by_size, method_of
from magadepth_ros.commands.benchmark_timing import STAGES
from magadepth_ros.errors import DataError
from magadepth_ros.files import write_result


def write_plot(path: Path, report: dict[str, Any]) -> None:
    """Draw the stages as stacked bars, one picture per size, peers as one bar."""
    from matplotlib.figure import Figure

    sizes = by_size(report)
    count = max(len(rows) for _, rows in sizes)
    figure = Figure(figsize=(8, (0.35 * count + 1.0) * len(sizes)))
    axes = figure.subplots(len(sizes), 1, squeeze=False)
    for axis, ((width, height), rows) in zip(axes[:, 0], sizes):
        names = [method_of(row) for row in rows]
        left = [0.0] * len(rows)
        for stage in (*STAGES, 'whole'):
            widths = [_bar(row, stage) for row in rows]
            if any(widths):
                axis.barh(names, widths, left=left, label=stage)
            left = [a + b for a, b in zip(left, widths)]
        axis.set_title(f'{width} x {height}')
        axis.set_xlabel('ms per frame')
        # The bar of a very slow method is cut off, as all other bars would be too short to see.
        limit = min(1.15 * max(left), 3.0 * sorted(left)[len(left) // 2])
        axis.set_xlim(0, limit)
        for place, total in enumerate(left):
            inside = total > 0.9 * limit
            axis.text(
                limit if inside else total,
                place,
                f' {total:.0f} ',
                va='center',
                ha='right' if inside else 'left',
                fontsize='small',
            )
        axis.invert_yaxis()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(labels), fontsize='small', loc='lower center')
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    _write(figure, path)


def _bar(row: dict[str, Any], stage: str) -> float:
    if stage == 'whole':
        return 0.0 if row['stages'] else row['ms']
    return row['stages'].get(stage, 0.0)


def write_growth(path: Path, laws: Sequence[Law]) -> None:
    """Draw what was measured and the line of each law, one picture for each."""
    from matplotlib.figure import Figure

    rows = (len(laws) + 1) // 2
    figure = Figure(figsize=(11, 3 * rows))
    axes = figure.subplots(rows, 2, squeeze=False)
    for axis in axes.flat[len(laws) :]:
        axis.set_axis_off()
    for axis, law in zip(axes.flat, laws):
        axis.plot(law.x, law.y, 'o')
        ends = [min(0.0, *law.x), max(law.x)]
        axis.plot(ends, [law.fixed + law.rate * x for x in ends])
        axis.set_title(str(law).replace(': ', ':\n'), fontsize='small')
        axis.set_xlabel(law.x_name)
        axis.set_ylabel('ms per frame')
        axis.set_ylim(0, 1.15 * max(law.y))
    figure.tight_layout()
    _write(figure, path)


def _write(figure: Any, path: Path) -> None:
    import matplotlib

    picture = io.BytesIO()
    form = path.suffix.lstrip('.') or 'png'
    # Equal figures give equal files, without the date and without random ids.
    metadata = {'Date': None} if form == 'svg' else None
    try:
        with matplotlib.rc_context({'svg.hashsalt': 'magadepth', 'svg.fonttype': 'none'}):
            figure.savefig(picture, format=form, metadata=metadata)
    except ValueError as error:
        raise DataError(f'{path}: {error}') from None
    write_result(path, picture.getvalue())
