# SPDX-License-Identifier: Apache-2.0
"""
Spreading measured depth into holes along surfaces that a network and the picture outline.

The missing pixels settle between their four neighbours, coarse to fine: a learned, in-graph
relative of colorization (Levin et al., SIGGRAPH 2004), with as few steps a level as a cascadic
multigrid needs. A plane that surrounds a hole fills it exactly; weights near 0 keep it from
crossing an edge. Only padding, slicing, resizing and arithmetic, so every runtime takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fill import halve_valid, push_pull
from .residual import RelativeDepth

NEIGHBOURS = 4
STEPS = (2, 4, 16, 32)
"""Steps at full size, 1/2, 1/4 and 1/8; a step reaches one pixel, coarse ones are cheap."""
COLOUR_SIGMA = 0.05
"""Colour difference (root of the squares' sum, 0..1) across which little is spread at first."""


def neighbours(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what lies above, below, left and right of each pixel of (B, C, H, W)."""
    wide = F.pad(x, (1, 1, 1, 1), mode='replicate')
    return (
        wide[..., :-2, 1:-1],
        wide[..., 2:, 1:-1],
        wide[..., 1:-1, :-2],
        wide[..., 1:-1, 2:],
    )


def diffuse(x: Tensor, weights: Tensor, missing: Tensor, steps: int) -> Tensor:
    """
    Let the missing pixels settle between their neighbours.

    ``x`` (B, 1, H, W); ``weights`` (B, 4, H, W), a pixel's sum 1; ``missing`` (B, 1, H, W), 1
    where x may change. Returns (B, 1, H, W).
    """
    open_weights = weights * missing
    kept = x * (1 - missing)
    shares = open_weights.chunk(NEIGHBOURS, dim=1)
    for _ in range(steps):
        above, below, left, right = neighbours(x)
        x = kept + shares[0] * above + shares[1] * below
        x = x + shares[2] * left + shares[3] * right
    return x


def colour_affinity(rgb: Tensor) -> Tensor:
    """(B, 3, H, W) in 0..1 -> (B, 4, H, W), 0 for neighbours of one colour, negative else."""
    differences = [((n - rgb) ** 2).sum(dim=1, keepdim=True) for n in neighbours(rgb)]
    return torch.cat(differences, dim=1) / (-2 * COLOUR_SIGMA**2)


class GuidedDiffusion(nn.Module):
    """
    Fills a depth by diffusion at four sizes, each corrected and outlined by the network.

    At 1/8, 1/4 and 1/2 of the size a 1x1 convolution of the decoder's features gives a residual,
    added in the holes before they settle, and the affinities of the four neighbours beside those
    of the colours; at the full size the decoder's head gives the affinities. Untrained, all of
    them are 0: diffusion along colours.
    """

    def __init__(self, channels: Sequence[int]):
        """``channels`` of the features at 1/8, 1/4 and 1/2."""
        super().__init__()
        self.guides = nn.ModuleList(nn.Conv2d(c, 1 + NEIGHBOURS, 1) for c in channels)
        for parameter in self.guides.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, frame: RelativeDepth, rgb: Tensor, features: Sequence[Tensor], affinity: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """
        Fill.

        ``frame`` as `relative_to_fill` makes it; ``rgb`` (B, 3, H, W) in 0..1; ``features`` at
        1/8, 1/4 and 1/2; ``affinity`` (B, 4, H, W) at the full size. Returns (B, 1, H, W) [m],
        the input where it was measured, and the coarser levels enlarged to that size.
        """
        guides = [conv(f) for conv, f in zip(self.guides, features)]
        with torch.autocast(rgb.device.type, enabled=False):
            levels = [(frame.fill * (1 - frame.missing), 1 - frame.missing, rgb)]
            for _ in STEPS[1:]:
                value, valid, picture = levels[-1]
                levels.append((*halve_valid(value, valid), F.avg_pool2d(picture, 2)))
            x = push_pull(levels[-1][0], levels[-1][1])
            coarser = []
            for level, guide in zip((3, 2, 1), guides):
                value, valid, picture = levels[level]
                guide = guide.float()
                x = value + (1 - valid) * (x + frame.scale * guide[:, :1])
                weights = torch.softmax(guide[:, 1:] + colour_affinity(picture), dim=1)
                x = diffuse(x, weights, 1 - valid, STEPS[level])
                coarser.append(x)
                x = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
            value, valid, picture = levels[0]
            weights = torch.softmax(affinity.float() + colour_affinity(picture), dim=1)
            x = diffuse(value + (1 - valid) * x, weights, 1 - valid, STEPS[0])
            if not self.training:
                return x, ()
            size = (x.shape[-2], x.shape[-1])
            return x, tuple(F.interpolate(c, size=size, mode='bilinear') for c in coarser)
