# SPDX-License-Identifier: Apache-2.0
"""Networks of a few thousand parameters and frames for them, so that torch's tests are quick."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from magadepth_training.networks.paper.magadepth import MagaDepthConfig
from magadepth_training.networks.s2ml.network import S2MLConfig
from magadepth_training.networks.surfaces.chooser import ChooserConfig

HEIGHT, WIDTH = 32, 48
SHRUNK: dict[str, Any] = {
    'height': HEIGHT,
    'width': WIDTH,
    'channels': (6, 12, 12),
    'decoder_channels': (8, 8, 8),
    'hidden': 16,
}
"""Fields that make a configuration of the paper's network tiny."""
SHRUNK_CHOOSER: dict[str, Any] = {
    'height': HEIGHT,
    'width': WIDTH,
    'guide_channels': (4, 4, 8, 8),
    'depth_channels': (3, 3, 6, 6),
    'decoder_channels': (8, 4, 4),
    'hidden': 16,
}
"""Fields that make a configuration of a choosing network tiny."""


def tiny(**fields: Any) -> MagaDepthConfig:
    """Return the paper's network, tiny."""
    return MagaDepthConfig(**{'name': 'tiny', 'bid_fusions': 1, **SHRUNK, **fields})


def tiny_chooser(**fields: Any) -> ChooserConfig:
    """Return a tiny choosing network."""
    return ChooserConfig(**{'name': 'chooser_tiny', **SHRUNK_CHOOSER, **fields})


def tiny_s2ml(**fields: Any) -> S2MLConfig:
    """Return a tiny S2ML."""
    values = {
        'name': 's2ml_tiny',
        'height': HEIGHT,
        'width': WIDTH,
        'channels': 16,
        'fine_channels': 8,
        'pairs': 2,
        'blocks': 1,
        'window': 4,
        'head_channels': 4,
    }
    return S2MLConfig(**{**values, **fields})


def frames(batch: int = 2, height: int = HEIGHT, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    """Return random pictures, and depths of 1 to 3 m with a hole and single missing pixels."""
    generator = torch.Generator().manual_seed(3)
    rgb = torch.rand(batch, 3, height, width, generator=generator)
    depth = 1 + 2 * torch.rand(batch, 1, height, width, generator=generator)
    depth[:, :, 8:20, 10:30] = 0
    depth[torch.rand(depth.shape, generator=generator) < 0.1] = 0
    return rgb, depth


def shaken(network: nn.Module, spread: float = 0.1) -> nn.Module:
    """Change all weights and running means, so that no part of the network is idle; eval mode."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor += spread * (torch.rand(tensor.shape, generator=generator) - 0.5)
    return network.eval()
