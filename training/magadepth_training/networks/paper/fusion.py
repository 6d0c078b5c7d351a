# SPDX-License-Identifier: Apache-2.0
"""BP-Fusion (section 3.3): colour and depth features exchanged in both directions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossModalFusion(nn.Module):
    """
    CMF (Eq. 7): correct and gate the target by an MLP over all positions of target and query.

    Target and query are expanded by 1x1 convolutions to ``channels * heads`` slices. Each pair of
    slices, flattened and concatenated (2 * positions), passes one MLP shared by all slices: two
    hidden ReLU layers, one head for the correction c, one for the gate g; the slice becomes
    ``ReLU(c + t) * sigmoid(g)``. A 1x1 convolution fuses the slices.
    """

    def __init__(self, channels: int, positions: int, hidden: int, heads: int = 3):
        super().__init__()
        slices = channels * heads
        self.expand_target = nn.Conv2d(channels, slices, 1)
        self.expand_query = nn.Conv2d(channels, slices, 1)
        # The first layer on the concatenation (t, q), as the sum of its two halves: the same
        # matrix without the copy.
        self.from_target = nn.Linear(positions, hidden)
        self.from_query = nn.Linear(positions, hidden, bias=False)
        self.hidden = nn.Linear(hidden, hidden)
        self.correction = nn.Linear(hidden, positions)
        self.gate = nn.Linear(hidden, positions)
        self.fuse = nn.Conv2d(slices, channels, 1)

    def forward(self, target: Tensor, query: Tensor) -> Tensor:
        """(B, C, H, W) twice -> the target, corrected by the query, (B, C, H, W)."""
        expanded = self.expand_target(target)
        t = expanded.flatten(2)
        q = self.expand_query(query).flatten(2)
        hidden = F.relu(self.from_target(t) + self.from_query(q))
        hidden = F.relu(self.hidden(hidden))
        fused = F.relu(self.correction(hidden) + t) * torch.sigmoid(self.gate(hidden))
        return self.fuse(fused.reshape(expanded.shape))


class ConvFusion(nn.Module):
    """A convolution of the concatenation in the place of CMF (scheme G)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, target: Tensor, query: Tensor) -> Tensor:
        """(B, C, H, W) twice -> (B, C, H, W)."""
        return F.relu(self.conv(torch.cat([target, query], dim=1)))


class BidFusion(nn.Module):
    """Depth modulates colour, then the new colour enhances depth (Fig. 4 b)."""

    def __init__(self, depth_to_colour: nn.Module | None, colour_to_depth: nn.Module):
        super().__init__()
        self.depth_to_colour = depth_to_colour
        """None: colour is not modulated (scheme F)."""
        self.colour_to_depth = colour_to_depth

    def forward(self, depth: Tensor, colour: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) depth and colour features -> both, renewed."""
        if self.depth_to_colour is not None:
            colour = self.depth_to_colour(colour, depth)
        return self.colour_to_depth(depth, colour), colour


class BPFusion(nn.Module):
    """A sequence of Bid-Fusion modules (Fig. 4 a)."""

    def __init__(
        self,
        channels: int,
        positions: int,
        *,
        modules: int,
        hidden: int,
        bidirectional: bool = True,
        cross_modal: bool = True,
    ):
        super().__init__()

        def mixer() -> nn.Module:
            if cross_modal:
                return CrossModalFusion(channels, positions, hidden)
            return ConvFusion(channels)

        self.steps = nn.ModuleList(
            BidFusion(mixer() if bidirectional else None, mixer()) for _ in range(modules)
        )

    def forward(self, depth: Tensor, colour: Tensor) -> Tensor:
        """(B, C, H, W) depth and colour features -> fused depth features (B, C, H, W)."""
        for step in self.steps:
            depth, colour = step(depth, colour)
        return depth


class ConcatFusion(nn.Module):
    """Direct concatenation of depth and colour at the bottleneck (schemes A to D)."""

    def __init__(self, channels: int):
        super().__init__()
        self.fuse = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, depth: Tensor, colour: Tensor) -> Tensor:
        """(B, C, H, W) depth and colour features -> (B, C, H, W)."""
        return F.relu(self.fuse(torch.cat([depth, colour], dim=1)))
