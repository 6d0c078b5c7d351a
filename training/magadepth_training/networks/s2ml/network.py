# SPDX-License-Identifier: Apache-2.0
"""
S2ML: spatial and spectral features correct each other in a cascade of pairs.

After Zhao et al., S2ML: Spatio-Spectral Mutual Learning for Depth Completion, IEEE Transactions
on Multimedia 2025 (arXiv 2511.06033), of which only the abstract is followed: a spectral fusion
that treats amplitude and phase separately, a spatial fusion of both domains in one embedding by
Swin-Convolution blocks, a cascade of such pairs, a joint loss (`spectral_loss.py` above). The
abstract gives no sizes and no formulas. Choices of this project:

* everything between the stem and the head works at 1/4 of the input's size; the stem takes the
  input as 2x2 cells, and the head returns 2x2 cells;
* mutual: in every pair the spectra of picture and depth correct each other;
* amplitude: a residual in log-amplitude to first order, A + (1 + A) tanh(f), cut at 0. Phase: a
  residual on the unit vector, scaled back to length 1. Each has a 1x1, a 3x3 and a 1x1
  convolution, which see the frequency of a bin as a constant;
* two Swin-Convolution blocks a pair, plain then shifted windows;
* pairs refine features; the depth is chosen once, behind the cascade, among the candidates and by
  the head of the other networks of this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..output import Network, NetworkOutput, normalised_picture
from ..surfaces import observations
from ..surfaces.choice import ChoiceHead, chosen
from .spatio_spectral import Pair, conv_block
from .spectral import RealFourier2d
from .swin_conv import WindowGrid

STEP = 4
"""The cascade works on one cell for 4x4 pixels."""


@dataclass(frozen=True)
class S2MLConfig:
    """
    What an S2ML network is made of.

    ``height`` and ``width`` are the fixed input size [px], multiples of 4 * ``window``;
    ``channels`` of the cascade, ``fine_channels`` at 1/2 of the size; ``pairs`` of spectral and
    spatial fusion; ``blocks`` Swin-Convolution blocks in each; ``window`` [cells of 4x4 px];
    ``head_channels`` of an attention head, dividing ``channels / 2``.
    """

    name: str = 's2ml'
    height: int = 240
    width: int = 320
    channels: int = 96
    fine_channels: int = 32
    pairs: int = 4
    blocks: int = 2
    window: int = 10
    head_channels: int = 16
    mlp_ratio: float = 2.0
    min_depth: float = 0.1
    max_depth: float = 10.0

    def __post_init__(self) -> None:
        """Refuse sizes that the windows and heads do not divide."""
        cell = STEP * self.window
        if self.height % cell or self.width % cell:
            raise ValueError(
                f'input size {self.height}x{self.width}: expected multiples of {cell} '
                f'({STEP} x window)'
            )
        if self.channels % (2 * self.head_channels):
            raise ValueError(
                f'{self.channels} channels: expected a multiple of {2 * self.head_channels} '
                '(2 x head_channels)'
            )


class Stem(nn.Module):
    """Features of one modality: at 1/2 of the size from 2x2 cells, then at 1/4."""

    def __init__(self, inputs: int, fine: int, coarse: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv_block(4 * inputs, fine), conv_block(fine, fine))
        self.coarse = nn.Sequential(conv_block(fine, coarse, stride=2), conv_block(coarse, coarse))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> (B, fine, H/2, W/2) and (B, coarse, H/4, W/4)."""
        fine = self.fine(F.pixel_unshuffle(x, 2))
        return fine, self.coarse(fine)


class S2ML(Network):
    """Stems of depth and picture, the cascade of pairs, and the head that chooses."""

    def __init__(self, config: S2MLConfig) -> None:
        super().__init__(config)
        rows, columns = config.height // STEP, config.width // STEP
        fine, channels = config.fine_channels, config.channels
        self.depth_stem = Stem(observations.COUNT, fine, channels)
        self.rgb_stem = Stem(3, fine, channels)
        fourier = RealFourier2d(rows, columns)
        grid = WindowGrid(rows, columns, config.window)
        self.pairs = nn.ModuleList(
            Pair(channels, config.head_channels, config.blocks, config.mlp_ratio, fourier, grid)
            for _ in range(config.pairs)
        )
        self.reduce = nn.Conv2d(2 * channels, fine, 1)
        self.mix = nn.Sequential(conv_block(3 * fine, fine), conv_block(fine, fine))
        self.head = ChoiceHead(fine)

    def complete(self, rgb: Tensor, depth: Tensor) -> NetworkOutput:
        """Return depth and log-variance of a batch, the choice and the candidates."""
        candidates, shown = observations.candidates_and_observations(rgb, depth)
        depth_fine, features = self.depth_stem(shown)
        rgb_fine, guide = self.rgb_stem(normalised_picture(rgb))
        for pair in self.pairs:
            features, guide = pair(features, guide)
        both = self.reduce(torch.cat([features, guide], dim=1))
        enlarged = F.interpolate(both, scale_factor=2, mode='bilinear', align_corners=False)
        choice = self.head(self.mix(torch.cat([enlarged, depth_fine, rgb_fine], dim=1)))
        return chosen(candidates, choice)
