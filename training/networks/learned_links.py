# SPDX-License-Identifier: Apache-2.0
"""What is learned of the guided fill: which links to open or shut further than by colour."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .diffusion import Links
from .residual import start_at_zero

LEVELS = 3
"""Sizes whose links are learned: 1/2, 1/4 and 1/8."""

LIMIT = 3.0
"""Natural log of the factor by which a link may change at most."""


class LearnedLinks(nn.Module):
    """
    Opens and shuts the links between pixels by what lies around them, up to 15 pixels away.

    It sees the links that the colours gave, what was measured and where nothing was, but neither
    colours nor absolute depths: those of the few rooms it learns from say nothing of others.
    Untrained it changes nothing.
    """

    def __init__(self, channels: int = 16):
        super().__init__()
        self.near = nn.Conv2d(4, channels, 3, padding=1)
        self.wider = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in (2, 4)
        )
        self.factors = nn.ModuleList(nn.Conv2d(channels, 2, 3, padding=1) for _ in range(LEVELS))
        for factor in self.factors:
            start_at_zero(factor)

    def forward(self, links: Sequence[Links], depth: Tensor, valid: Tensor) -> list[Links]:
        """
        Change the links of `LEVELS` sizes, fine to coarse.

        ``depth`` is (B, 1, H, W) at the finest of these sizes in units of its mean, 0 where
        missing; ``valid`` the same, 1 = measured, 0 = missing.
        """
        right, down = F.pad(links[0].right, (0, 1)), F.pad(links[0].down, (0, 0, 0, 1))
        x = F.relu(self.near(torch.cat([right, down, depth - valid, 1 - valid], dim=1)))
        for wider in self.wider:
            x = x + F.relu(wider(x))
        changed = []
        for level, (given, factor) in enumerate(zip(links, self.factors, strict=True)):
            if level:
                x = F.avg_pool2d(x, 2)
            log = LIMIT * torch.tanh(factor(x) / LIMIT)
            changed.append(
                Links(
                    given.right * torch.exp(0.5 * (log[:, :1, :, :-1] + log[:, :1, :, 1:])),
                    given.down * torch.exp(0.5 * (log[:, 1:, :-1] + log[:, 1:, 1:])),
                )
            )
        return changed
