# SPDX-License-Identifier: Apache-2.0
"""Show what `magadepth benchmark` measured: text, a Markdown page, bars."""

from __future__ import annotations

import json
import platform
import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from magadepth_ros.commands.benchmark_timing import BUDGET_MS, STAGES
from magadepth_ros.errors import DataError
from magadepth_ros.machine import cores, processor, versions
from magadepth_ros.nodes.frame_statistics import STAGES as NODE_STAGES
from magadepth_ros.tables import align, markdown_table

FORMAT = 2

_HEAD = ('method', 'runtime', 'ms', 'p95', 'ratio', *STAGES)
_TOTALS = len(_HEAD) - len(STAGES)
_BATCH_HEAD = ('method', 'runtime', 'size', 'batch', 'infer', 'ms', 'p95')
_CORES_HEAD = ('method', 'runtime', 'cores', 'ms', 'p95', 'ratio')
_NODE_HEAD = ('size', 'cameras', 'Hz each', 'latency', 'p95', 'cores', 'MiB')
_TOPICS_HEAD = ('topics', 'MiB of a frame', 'Hz', 'processor time', 'latency')
GPU = ('torch-cuda', 'tensorrt')
_ON_A_GPU = (
    'magadepth benchmark --backends torch-cuda tensorrt --precisions fp16 --batches 1 4 8 '
    '--sizes 640x480 --node --json gpu.json --markdown gpu.md'
)
_NODE_STAGES_HEAD = (*_NODE_HEAD[:2], *NODE_STAGES)


def machine_facts(threads: int) -> dict[str, Any]:
    """Return the facts of the machine, and the date; ``threads`` 0 stands for all cores."""
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
    """Read a file of ``--json``; DataError where it is no such file."""
    try:
        report = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise DataError(f'{path}: cannot be read: {error}') from None
    except ValueError:
        report = None
    if not isinstance(report, dict) or report.get('format') != FORMAT:
        raise DataError(f'{path}: expected a file that `magadepth benchmark --json` wrote')
    return report


def to_text(report: dict[str, Any]) -> str:
    """Return the report as text for a terminal."""
    blocks = [
        f'{width}x{height}\n{align([_HEAD, *_cells(rows)], left=2)}'
        for (width, height), rows in by_size(report)
    ]
    if report['node']:
        blocks.append(f'{_node_title(report)}\n{align([_NODE_HEAD, *_node_cells(report)])}')
        blocks.append(align([_NODE_STAGES_HEAD, *_node_stages(report)]))
    for title, cells in _growth(report):
        blocks.append(f'{title}\n{align(cells, left=2)}')
    notes = [
        *report.get('laws', []),
        _where(report),
        *(f'not measured: {error}' for error in report['errors']),
    ]
    return '\n\n'.join([*blocks, '\n'.join(notes)])


def to_markdown(report: dict[str, Any], picture: str = '', growth_picture: str = '') -> str:
    """Write the page ``docs/performance.md``; the pictures are paths seen from there."""
    parts = [
        '# Performance',
        f'{_where(report)}. This command measured the figures and wrote the page:',
        _shell(report['command']),
        'Accuracy is on the [results](results.md) page.',
        '## Library',
        'Time per frame of the library alone, without ROS [ms]: median and 95th percentile of '
        f'{report["repeats"]} rounds. In each round all methods complete the same simulated '
        'frame, one after the other. *ratio* is the time divided by that of the first row, median '
        f'over the rounds. A slow method takes part in as many rounds as {BUDGET_MS / 1e3:g} '
        'seconds allow. The second table of a size has the stages of the models, medians [ms]. '
        'Their sum is *ms*; *cloud* is extra, where somebody subscribes to it.',
    ]
    if picture:
        parts.append(f'![Milliseconds per frame of each method]({picture})')
    for (width, height), rows in by_size(report):
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
            '*Latency* is the time from the stamp of the image to the arrival at the subscriber '
            "[ms]. *Cores* is the node's processor time per second, *MiB* its memory.",
            markdown_table([_NODE_HEAD, *_node_cells(report)]),
            'Stages of the node, medians [ms]. *wait*: a pair waits for the frame before it. '
            "*infer*: the camera's share of the common inference. *overhead*: the sum of all "
            'others.',
            markdown_table([_NODE_STAGES_HEAD, *_node_stages(report)]),
        ]
    parts += [
        '## On a GPU',
        'Time per frame, also of frames that are completed in one batch [ms]. *infer* includes '
        'the copies to the GPU and back. On a machine with a GPU, this command fills the rows:',
        _shell(_ON_A_GPU),
        markdown_table(_batch_cells(report, GPU) or _NOT_MEASURED, left=2),
    ]
    growth = _growth(report)
    if growth or report.get('laws'):
        parts += ['## How it grows', 'Lines fitted by least squares to the figures of this page:']
        parts.append('\n'.join(f'* {law}' for law in report.get('laws', [])))
    if growth_picture:
        parts.append(f'![Cost by pixels, cores, cameras and topics]({growth_picture})')
    for title, cells in growth:
        parts += [f'### {title}', markdown_table(cells, left=2)]
    return '\n\n'.join(parts) + '\n'


_NOT_MEASURED = [
    _BATCH_HEAD,
    *(('', backend, '640x480', str(batch), '', '', '') for backend in GPU for batch in (1, 4, 8)),
]


def _batch_cells(report: dict[str, Any], backends: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the rows of the table of batches of some runtimes, the head first."""
    rows = [r for r in report.get('batches', []) if r['runtime'].split()[0] in backends]
    cells = [
        (
            row['name'],
            row['runtime'],
            size_of(row),
            str(row['batch']),
            f'{row["stages"]["infer"]:.1f}',
            f'{row["ms"]:.1f}',
            f'{row["p95_ms"]:.1f}',
        )
        for row in rows
    ]
    return [_BATCH_HEAD, *cells] if cells else []


def _growth(report: dict[str, Any]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return title and table of batches, cores and topics, if they were measured."""
    found = []
    on_cpu = [b for r in report.get('batches', []) if (b := r['runtime'].split()[0]) not in GPU]
    if on_cpu:
        found.append(('Batches', _batch_cells(report, on_cpu)))
    cores = [
        (r['name'], r['runtime'], str(r['cores']), *c[2:_TOTALS])
        for r, c in zip(report.get('cores', []), _cells(report.get('cores', [])))
    ]
    if cores:
        found.append(('Cores', [_CORES_HEAD, *cores]))
    topics = [
        (
            ', '.join(row['topics']),
            f'{row["mib"]:.1f}',
            _shown(row['rate_hz'], '.1f'),
            f'{busy_ms(row):.1f}' if row['rate_hz'] else '-',
            _shown(row['latency_ms_p50'], '.0f'),
        )
        for row in report.get('topics', [])
    ]
    if topics:
        found.append(('Topics', [_TOPICS_HEAD, *topics]))
    return found


def by_size(
    report: dict[str, Any],
) -> list[tuple[tuple[int, int], list[dict[str, Any]]]]:
    """Return the library's rows of each size."""
    sizes = list(dict.fromkeys(tuple(row['size']) for row in report['rows']))
    return [(size, [r for r in report['rows'] if tuple(r['size']) == size]) for size in sizes]


def size_of(row: dict[str, Any]) -> str:
    """Return the size of a row as text."""
    width, height = row['size']
    return f'{width}x{height}'


def method_of(row: dict[str, Any]) -> str:
    """Return the method of a row of the library, with its runtime."""
    return f'{row["name"]} ({row["runtime"]})'


def busy_ms(row: dict[str, Any]) -> float:
    """Return the processor time of the node for a frame of all cameras [ms]."""
    return float(1e3 * row['busy_cores'] / row['rate_hz'])


def _cells(rows: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            row['name'],
            row['runtime'],
            f'{row["ms"]:.1f}',
            f'{row["p95_ms"]:.1f}',
            f'{row["ratio"]:.2f}',
            *_stages(row, STAGES),
        )
        for row in rows
    ]


def _node_title(report: dict[str, Any]) -> str:
    runtimes = dict.fromkeys(row['runtime'] for row in report['node'])
    return f'{report["rows"][0]["name"]} ({", ".join(runtimes)})'


def _node_cells(report: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            size_of(row),
            str(row['cameras']),
            _shown(row['rate_hz'], '.1f'),
            _shown(row['latency_ms_p50'], '.0f'),
            _shown(row['latency_ms_p95'], '.0f'),
            _shown(row['busy_cores'], '.2f'),
            _shown(row['memory_mib'], ''),
        )
        for row in report['node']
    ]


def _shown(value: float | None, form: str) -> str:
    """Return a figure as text; '-' where no frame of the node came."""
    return '-' if value is None else format(value, form)


def _node_stages(report: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (size_of(row), str(row['cameras']), *_stages(row, NODE_STAGES)) for row in report['node']
    ]


def _stages(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    return [f'{row["stages"][name]:.1f}' if name in row['stages'] else '' for name in names]


def _shell(command: str) -> str:
    # A block of shell that needs no scrolling.
    lines = textwrap.wrap(command, 90, break_long_words=False, break_on_hyphens=False)
    text = ' \\\n    '.join(lines)
    return f'```sh\n{text}\n```'


def _where(report: dict[str, Any]) -> str:
    machine = report['machine']
    software = ', '.join(f'{name} {value}' for name, value in report['versions'].items())
    note = f' ({report["note"]})' if report['note'] else ''
    return (
        f'{machine["processor"]}, {machine["threads"]} of {machine["cores"]} cores, '
        f'{machine["system"]}; {software}; {report["date"]}{note}'
    )
