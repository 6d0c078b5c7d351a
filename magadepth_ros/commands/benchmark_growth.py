# SPDX-License-Identifier: Apache-2.0
"""Growth of the cost with cores, topics, pixels and cameras, and lines fitted to it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.commands.benchmark_report import busy_ms, method_of, read_report, size_of
from magadepth_ros.errors import EngineError

TOPICS = (
    ('completed',),
    ('completed', 'confidence'),
    ('completed', 'confidence', 'points'),
    ('completed', 'confidence', 'points', 'colorized'),
)
"""Topics below ``depth/`` that the runs of the node with one camera subscribe to."""


@dataclass(frozen=True)
class Law:
    """``y`` [ms] = ``fixed`` + ``rate`` times ``x``: the line of least squares."""

    name: str
    x_name: str
    unit: str
    x: list[float]
    y: list[float]
    fixed: float
    rate: float

    def __str__(self) -> str:
        sign = '+' if self.rate >= 0 else '-'
        return f'{self.name}: ms = {self.fixed:.1f} {sign} {abs(self.rate):.1f} {self.unit}'


def measure_cores(arguments: Sequence[str], size: str) -> list[dict[str, Any]]:
    """
    Repeat the library's benchmark at one size on 1, 2, 4, ... cores, each in a process of its own.

    ``arguments`` are arguments of ``magadepth benchmark`` that name models, runtimes and peers.
    Returns the rows of all runs, each with its number of ``cores``.
    """
    rows = []
    own = sorted(os.sched_getaffinity(0))
    counts = sorted({*(2**n for n in range(len(own).bit_length()) if 2**n <= len(own)), len(own)})
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            file = Path(folder) / f'{count}.json'
            command = [sys.executable, '-m', 'magadepth_ros.commands.main', 'benchmark']
            done = subprocess.run(
                [*command, *arguments, '--sizes', size, '--json', str(file)],
                capture_output=True,
                text=True,
                # Its threads inherit the cores, and the runtimes take their number.
                preexec_fn=partial(os.sched_setaffinity, 0, own[:count]),
            )
            if not file.is_file():
                raise EngineError(
                    f'the benchmark on {count} cores ended with exit code {done.returncode}: '
                    f'{done.stderr.strip()[-500:]}'
                )
            rows += [{**row, 'cores': count} for row in read_report(file)['rows']]
    return rows


def laws(report: dict[str, Any]) -> list[Law]:
    """Fit the laws to the figures of a report, where there are two points or more."""
    found = []
    models = [row for row in report['rows'] if row['kind'] == 'model']
    for name in dict.fromkeys(method_of(row) for row in models):
        own = [row for row in models if method_of(row) == name]
        found.append(_law(name, 'megapixels', 'x megapixel', [(_mega(r), r['ms']) for r in own]))
    for name in dict.fromkeys(method_of(row) for row in report.get('cores', [])):
        own = [row for row in report['cores'] if method_of(row) == name and row['kind'] == 'model']
        points = [(1 / row['cores'], row['ms']) for row in own]
        found.append(_law(name, '1 / cores', '/ cores', points))
    name = f'node, {report["rows"][0]["name"]}'
    for size in dict.fromkeys(map(size_of, report['node'])):
        own = [row for row in report['node'] if size_of(row) == size and row['rate_hz']]
        points = [(row['cameras'], busy_ms(row)) for row in own]
        label = f'{name} at {size}, processor time'
        found.append(_law(label, 'cameras', 'x cameras', points))
    own = [row for row in report.get('topics', []) if row['rate_hz']]
    points = [(row['mib'], busy_ms(row)) for row in own]
    label = f'{name}, processor time by what is subscribed to'
    found.append(_law(label, 'MiB of a frame that are published', 'x MiB', points))
    return [law for law in found if law is not None]


def _law(name: str, x_name: str, unit: str, points: list[tuple[float, float]]) -> Law | None:
    x, y = [float(p[0]) for p in points], [float(p[1]) for p in points]
    if len(set(x)) < 2:
        return None
    rate, fixed = np.polyfit(x, y, 1)
    return Law(name, x_name, unit, x, y, float(fixed), float(rate))


def _mega(row: dict[str, Any]) -> float:
    width, height = row['size']
    return float(width * height / 1e6)
