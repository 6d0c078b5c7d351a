# SPDX-License-Identifier: Apache-2.0
"""Show what `magadepth benchmark` measured: text, a Markdown page, bars."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from magadepth_ros.commands.benchmark_timing import BUDGET_MS, STAGES
from magadepth_ros.errors import DataError
from magadepth_ros.files import write_result
from magadepth_ros.machine import cores, processor, versions
from magadepth_ros.nodes.frame_statistics import STAGES as NODE_STAGES
from magadepth_ros.tables import align, markdown_table

FORMAT = 2

_HEAD = ('method', 'runtime', 'ms', 'p95', 'ratio', *STAGES)
_TOTALS = len(_HEAD) - len(STAGES)
_NODE_HEAD = ('size', 'cameras', 'Hz each', 'latency', 'p95', 'cores', 'MiB')
_NODE_STAGES_HEAD = (*_NODE_HEAD[:2], *NODE_STAGES)


def machine_facts(threads: int) -> dict[str, Any]:
    """Return where and when it is measured; ``threads`` 0 stands for all cores."""
    return {
        'format': FORMAT,
        'date': datetime.now(timezone.utc).strftime('%Y-%m-%d'),
        'machine': {
            'processor': processor(),
            'cores': cores(),
            'threads': threads or cores(),
            'system': f'{platform.system()} {platform.machine()}',
        },
        'versions': versions(),
    }


def read_report(path: Path) -> dict[str, Any]:
    """Read what ``--json`` wrote; DataError where it is something else."""
    try:
        report = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise DataError(f'{path}: cannot be read: {error}') from None
    if not isinstance(report, dict) or report.get('format') != FORMAT:
        raise DataError(f'{path}: expected a file that `magadepth benchmark --json` wrote')
    return report


def to_text(report: dict[str, Any]) -> str:
    """Lay it out for a terminal."""
    blocks = [
        f'{width}x{height}\n{align([_HEAD, *_cells(rows)], left=2)}'
        for (width, height), rows in _by_size(report)
    ]
    if report['node']:
        blocks.append(f'{_node_title(report)}\n{align([_NODE_HEAD, *_node_cells(report)])}')
        blocks.append(align([_NODE_STAGES_HEAD, *_node_stages(report)]))
    notes = [_where(report), *(f'not measured: {error}' for error in report['errors'])]
    return '\n\n'.join([*blocks, '\n'.join(notes)])


def to_markdown(report: dict[str, Any], picture: str = '') -> str:
    """Write the page ``docs/performance.md``; ``picture`` is the plot's path seen from there."""
    parts = [
        '# Performance',
        f'{_where(report)}. Made, this page too, by:',
        f'```sh\n{report["command"]}\n```',
        'Accuracy is on the [results](results.md) page.',
        '## Library',
        'Milliseconds per frame of the library alone, without ROS: median and 95th percentile of '
        f'{report["repeats"]} rounds in which all methods took turns on the same simulated '
        'frames. *ratio* is the median over the rounds of the time divided by that of the first '
        'row. Slow methods were measured in as many rounds as '
        f'{BUDGET_MS / 1e3:g} seconds allow. Below, the stages of the models, medians [ms]; they '
        'add up to *ms*, but for *cloud*, which comes on top where somebody subscribes to it.',
    ]
    if picture:
        parts.append(f'![Milliseconds per frame of each method]({picture})')
    for (width, height), rows in _by_size(report):
        cells = [_HEAD, *_cells(rows)]
        stages = [(*c[:2], *c[_TOTALS:]) for c in [_HEAD, *_cells(r for r in rows if r['stages'])]]
        parts += [
            f'### {width} x {height}',
            markdown_table([c[:_TOTALS] for c in cells], left=2),
            markdown_table(stages, left=2),
        ]
    if report['node']:
        parts += [
            '## Node',
            f'{_node_title(report)}: simulated cameras of '
            f'{report["node"][0]["camera_hz"]:g} Hz, `completion_node` and a subscriber to '
            'depth, confidence and cloud of each camera, all on this machine, in processes of '
            'their own, over DDS. *Hz each* is the rate of completed depth of one camera. '
            '*Latency* runs from the stamp of the picture to the arrival at the subscriber [ms]. '
            '*Cores* and *MiB* are what the node takes of processor and memory.',
            markdown_table([_NODE_HEAD, *_node_cells(report)]),
            'Its stages, medians [ms]: *wait* is the time a pair waits for the frame before it; '
            "*infer* is each camera's share of the common inference; *overhead* is the rest.",
            markdown_table([_NODE_STAGES_HEAD, *_node_stages(report)]),
        ]
    return '\n\n'.join(parts) + '\n'


def write_plot(path: Path, report: dict[str, Any]) -> None:
    """Draw the stages as stacked bars, one picture per size, peers as one bar."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    sizes = _by_size(report)
    count = max(len(rows) for _, rows in sizes)
    figure, axes = plt.subplots(
        len(sizes), 1, figsize=(8, (0.35 * count + 1.0) * len(sizes)), squeeze=False
    )
    for axis, ((width, height), rows) in zip(axes[:, 0], sizes):
        names = [f'{row["name"]} ({row["runtime"]})' for row in rows]
        left = [0.0] * len(rows)
        for stage in (*STAGES, 'whole'):
            widths = [_bar(row, stage) for row in rows]
            if any(widths):
                axis.barh(names, widths, left=left, label=stage)
            left = [a + b for a, b in zip(left, widths)]
        axis.set_title(f'{width} x {height}')
        axis.set_xlabel('ms per frame')
        # One slow method would press all others to the axis: it runs out of the picture.
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
    picture = io.BytesIO()
    form = path.suffix.lstrip('.') or 'png'
    # The same figures give the same file: neither the time nor chance is in it.
    metadata = {'Date': None} if form == 'svg' else None
    try:
        with matplotlib.rc_context({'svg.hashsalt': 'magadepth', 'svg.fonttype': 'none'}):
            figure.savefig(picture, format=form, metadata=metadata)
    except ValueError as error:
        raise DataError(f'{path}: {error}') from None
    finally:
        plt.close(figure)
    write_result(path, picture.getvalue())


def _bar(row: dict[str, Any], stage: str) -> float:
    if stage == 'whole':
        return 0.0 if row['stages'] else row['ms']
    return row['stages'].get(stage, 0.0)


def _by_size(
    report: dict[str, Any],
) -> list[tuple[tuple[int, int], list[dict[str, Any]]]]:
    sizes = list(dict.fromkeys(tuple(row['size']) for row in report['rows']))
    return [(size, [r for r in report['rows'] if tuple(r['size']) == size]) for size in sizes]


def _cells(rows: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            row['name'],
            row['runtime'],
            f'{row["ms"]:.1f}',
            f'{row["p95_ms"]:.1f}',
            f'{row["ratio"]:.2f}',
            *(f'{row["stages"][s]:.1f}' if s in row['stages'] else '' for s in STAGES),
        )
        for row in rows
    ]


def _node_title(report: dict[str, Any]) -> str:
    runtimes = dict.fromkeys(row['runtime'] for row in report['node'])
    return f'{report["rows"][0]["name"]} ({", ".join(runtimes)})'


def _node_cells(report: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            *_node_run(row),
            _shown(row['rate_hz'], '.1f'),
            _shown(row['latency_ms_p50'], '.0f'),
            _shown(row['latency_ms_p95'], '.0f'),
            _shown(row['busy_cores'], '.2f'),
            _shown(row['memory_mib'], ''),
        )
        for row in report['node']
    ]


def _shown(value: float | None, form: str) -> str:
    """Return a figure; '-' for one of a node of which no frame came."""
    return '-' if value is None else format(value, form)


def _node_stages(report: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            *_node_run(row),
            *(f'{row["stages"][s]:.1f}' if s in row['stages'] else '' for s in NODE_STAGES),
        )
        for row in report['node']
    ]


def _node_run(row: dict[str, Any]) -> tuple[str, str]:
    width, height = row['size']
    return f'{width}x{height}', str(row['cameras'])


def _where(report: dict[str, Any]) -> str:
    machine = report['machine']
    software = ', '.join(f'{name} {value}' for name, value in report['versions'].items())
    note = f' ({report["note"]})' if report['note'] else ''
    return (
        f'{machine["processor"]}, {machine["threads"]} of {machine["cores"]} cores, '
        f'{machine["system"]}; {software}; {report["date"]}{note}'
    )
