# SPDX-License-Identifier: Apache-2.0
"""Output of `magadepth export-trt`: a bar for each stage of a build, a table of the engines."""

from __future__ import annotations

from typing import Any

from magadepth_ros.commands.progress import progress
from magadepth_ros.tables import align

_COLUMNS = (
    'model', 'precision', 'builder', 'layers', 'share', 'MiB', 'build s', 'worst', 'engine run'
)  # fmt: skip


class Stages:
    """A bar for each stage of a build."""

    def __init__(self, name: str) -> None:
        self._name, self._text = name, ''
        self._bar: Any = None

    def __call__(self, text: str, share: float) -> None:
        """Show the progress of the stage ``text``, 0..1."""
        if text != self._text:
            self.close()
            what = f'{self._name}: {text}'
            self._bar = progress(1.0, what, bar_format='{desc}: {percentage:3.0f}%|{bar}|')
            self._text = text
        self._bar.update(min(share, 1.0) - self._bar.n)

    def close(self) -> None:
        """End the bar of the last stage."""
        if self._bar is not None:
            self._bar.close()


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a line for each requested engine, then the written files."""
    print(align([_COLUMNS] + [_cells(row) for row in rows], left=len(_COLUMNS)))
    for row in rows:
        if row.get('engine') or row.get('onnx'):
            print(row.get('engine') or row['onnx'])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    check = row.get('check')
    share = ' '.join(f'{n} {v:.0%}' for n, v in row.get('precision_share', {}).items())
    size = row.get('size_bytes')
    if 'error' in row:
        worst = 'refused'
    elif check:
        worst = f'{check["worst"] * 1000:.2f} mm ({check["worst_relative"]:.3%})'
    else:
        worst = 'not checked'
    ran = '-' if not check else 'yes' if check['engine_run'] else 'no: its ONNX, on the CPU'
    return (
        row['model'],
        row.get('precision', '-'),
        row.get('builder', '-'),
        str(row.get('layers', '-')),
        share or '-',
        '-' if size is None else f'{size / 2**20:.1f}',
        str(row.get('build_seconds', '-')),
        worst,
        ran,
    )
