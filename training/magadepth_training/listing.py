# SPDX-License-Identifier: Apache-2.0
"""
The table of networks: parameters, multiplications at the input size, milliseconds.

    python -m magadepth_training.listing > training/magadepth_training/configs/networks.csv
"""

from __future__ import annotations

import csv
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).parent / 'configs' / 'networks.csv'
"""Results of `measure`; they are read without torch, whose import takes seconds."""


@dataclass(frozen=True)
class NetworkRow:
    """
    One network: ``parameters`` [M], ``gmac`` per frame, ``milliseconds`` in PyTorch, fp32.

    None where the time was not measured.
    """

    name: str
    height: int
    width: int
    parameters: float
    gmac: float
    milliseconds: float | None


def measure(name: str) -> NetworkRow:
    """Count and time one network on this machine's CPU (median of five runs)."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from .networks.registry import create_network

    network = create_network(name).eval()
    config = network.config
    rgb = torch.rand(1, 3, config.height, config.width)
    depth = torch.rand(1, 1, config.height, config.width) + 1
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            network(rgb, depth)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            network(rgb, depth)
            times.append(time.perf_counter() - start)
    return NetworkRow(
        name,
        config.height,
        config.width,
        parameters(network) / 1e6,
        counter.get_total_flops() / 2e9,
        1e3 * statistics.median(times),
    )


def measured() -> list[NetworkRow]:
    """Return the stored rows, measured on the machine of docs/networks.md."""
    with MEASURED.open(encoding='utf-8', newline='') as file:
        return [
            NetworkRow(
                row['name'],
                int(row['height']),
                int(row['width']),
                float(row['parameters']),
                float(row['gmac']),
                float(row['milliseconds']) if row['milliseconds'] else None,
            )
            for row in csv.DictReader(file)
        ]


def measure_all() -> list[NetworkRow]:
    """Measure every shipped configuration."""
    from .networks.registry import network_names

    return [measure(name) for name in network_names()]


def parameters(network: Any) -> int:
    """Count the parameters; buffers (running means, Fourier matrices) are none."""
    return sum(p.numel() for p in network.parameters())


def table(rows: Sequence[NetworkRow]) -> str:
    """Format rows as a Markdown table."""
    lines = [
        '| network | input | parameters [M] | GMAC | PyTorch CPU fp32 [ms] |',
        '| --- | --- | ---: | ---: | ---: |',
    ]
    for r in rows:
        lines.append(
            f'| `{r.name}` | {r.height}x{r.width} | {r.parameters:.2f} | {r.gmac:.2f} '
            f'| {"-" if r.milliseconds is None else format(r.milliseconds, ".0f")} |'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    writer = csv.writer(sys.stdout, lineterminator='\n')
    writer.writerow([field.name for field in fields(NetworkRow)])
    for row in measure_all():
        size, count = (row.height, row.width), (f'{row.parameters:.2f}', f'{row.gmac:.2f}')
        writer.writerow([row.name, *size, *count, f'{row.milliseconds:.0f}'])
