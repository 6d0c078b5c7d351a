# SPDX-License-Identifier: Apache-2.0
"""Sparse samples: about 500 points anywhere, or on scan lines."""

from __future__ import annotations

import torch

from magadepth_training.scenes.batch import SceneBatch
from magadepth_training.scenes.draws import Draws
from magadepth_training.sensors.config import SparseConfig


def sparse(scene: SceneBatch, draws: Draws, config: SparseConfig) -> torch.Tensor:
    """Measure a scene at few points; returns (B, 1, H, W) metres, 0 = missing."""
    height, width = scene.depth.shape[-2:]
    count = draws.log_uniform(*config.points, 1, 1, 1)
    chance = count / (height * width)
    lines = draws.chance(config.lines_share, 1, 1, 1)
    spacing = draws.uniform(5.0, 20.0, 1, 1, 1).floor()
    row = torch.arange(height, device=draws.device, dtype=torch.float32)[:, None]
    on_line = (row + draws.uniform(0.0, 20.0, 1, 1, 1).floor()) % spacing < 1.0
    chance = torch.where(lines, chance * spacing * on_line, chance)
    keep = draws.rand(1, height, width) < chance
    relative = draws.uniform(*config.noise, 1, 1, 1)
    measured = scene.depth * (1.0 + relative * draws.randn(1, height, width))
    return torch.where(keep & (scene.transparency < 0.5), measured.clamp(min=1e-3), 0.0)
