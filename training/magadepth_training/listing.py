# SPDX-License-Identifier: Apache-2.0
"""The table of networks: parameters, multiplications at the input size, milliseconds here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .networks.registry import create_network


@dataclass(frozen=True)
class NetworkRow:
    """One network: ``parameters`` [M], ``gmac`` per frame, ``milliseconds`` in PyTorch, fp32."""

    name: str
    height: int
    width: int
    parameters: float
    gmac: float
    milliseconds: float


def measure(name: str, repeats: int = 5) -> NetworkRow:
    """Count and time one network on this machine's CPU (median of a few runs)."""
    network = create_network(name).eval()
    config = network.config
    rgb = torch.rand(1, 3, config.height, config.width)
    depth = torch.rand(1, 1, config.height, config.width) + 1
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            network(rgb, depth)
        times = []
        for _ in range(repeats):
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


def parameters(network: nn.Module) -> int:
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
            f'| {r.milliseconds:.0f} |'
        )
    return '\n'.join(lines)
