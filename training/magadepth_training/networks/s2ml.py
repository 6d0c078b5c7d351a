# SPDX-License-Identifier: Apache-2.0
"""
S2ML: spatial and spectral features teach each other, and the depth is refined pair by pair.

After Zhao et al., S2ML: Spatio-Spectral Mutual Learning for Depth Completion, IEEE Transactions
on Multimedia 2025 (arXiv 2511.06033), of which only the abstract is followed: a spectral fusion
that treats amplitude and phase separately, a spatial fusion of both domains in one embedding by
Swin-Convolution blocks, a cascade of such pairs that each refine the depth, a joint loss
(`spectral_loss.py` above). The abstract gives no sizes and no formulas. Choices of this project:

* everything between the stem and the head works at 1/4 of the input's size; the stem takes the
  input as 2x2 cells, the head gives it back so;
* the picture's spectrum guides every pair and is computed once;
* amplitude: a residual in log-amplitude to first order, A + (1 + A) tanh(f), cut at 0. Phase: a
  residual on the unit vector, scaled back to length 1. Each has a 1x1, a 3x3 and a 1x1
  convolution, which see the frequency of a bin as a constant;
* two Swin-Convolution blocks a pair, plain then shifted windows;
* a pair's refinement is added to the depth at 1/4 of the size and given to the next pair;
* the fill, the residual relative to the mean depth (`residual.py`) and the log-variance are those
  of the other networks of this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .output import Network, NetworkOutput, check_input, normalised_picture
from .residual import (
    depth_from_residual,
    log_variance_in_metres,
    relative_to_fill,
)
from .spatio_spectral import Pair, SpatialFusion, SpectralFusion, conv_block, start_small
from .spectral import RealFourier2d, to_polar
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
    ``head_channels`` of an attention head, dividing ``channels / 2``; ``log_variance`` adds the
    output the confidence comes from.
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
    log_variance: bool = True
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


class Head(nn.Module):
    """
    From the cascade's features to full size, through 1/2 of the size and 2x2 cells.

    The log-variance reads the features without a gradient into them: its likelihood has by far
    the largest one, and four frames then took twice the steps to learn.
    """

    def __init__(self, config: S2MLConfig) -> None:
        super().__init__()
        fine = config.fine_channels
        self.reduce = nn.Conv2d(config.channels, fine, 1)
        self.mix = nn.Sequential(conv_block(3 * fine, fine), conv_block(fine, fine))
        self.depth = nn.Conv2d(fine, 4, 3, padding=1)
        start_small(self.depth)
        self.variance: nn.Module | None = None
        if config.log_variance:
            last = nn.Conv2d(fine // 2, 4, 3, padding=1)
            start_small(last)
            self.variance = nn.Sequential(conv_block(fine, fine // 2), last)

    def forward(
        self, coarse: Tensor, depth_fine: Tensor, rgb_fine: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """(B, C, H/4, W/4) and two (B, fine, H/2, W/2) -> depth and log-variance (B, 1, H, W)."""
        enlarged = _enlarge(self.reduce(coarse), 2)
        mixed = self.mix(torch.cat([enlarged, depth_fine, rgb_fine], dim=1))
        depth = F.pixel_shuffle(self.depth(mixed), 2)
        if self.variance is None:
            return depth, None
        return depth, F.pixel_shuffle(self.variance(mixed.detach()), 2)


class S2ML(Network):
    """Stems of depth and picture, the cascade of pairs, and a head at full size."""

    def __init__(self, config: S2MLConfig) -> None:
        super().__init__()
        self.config = config
        self.height, self.width = config.height, config.width
        rows, columns = config.height // STEP, config.width // STEP
        self.fourier = RealFourier2d(rows, columns)
        grid = WindowGrid(rows, columns, config.window)
        self.depth_stem = Stem(2, config.fine_channels, config.channels)
        self.rgb_stem = Stem(3, config.fine_channels, config.channels)
        channels = config.channels
        self.pairs = nn.ModuleList(
            Pair(
                SpectralFusion(channels, self.fourier),
                SpatialFusion(
                    channels, config.head_channels, config.blocks, config.mlp_ratio, grid
                ),
                channels,
            )
            for _ in range(config.pairs)
        )
        self.head = Head(config)

    def forward(self, rgb: Tensor, depth: Tensor) -> NetworkOutput:
        """
        Complete a batch.

        Parameters
        ----------
        rgb:
            (B, 3, H, W), RGB in 0..1.
        depth:
            (B, 1, H, W) metres, 0 = missing.

        Returns
        -------
        NetworkOutput
            complete depth (B, 1, H, W) in metres, its log-variance if configured, and the depth
            after every pair, which the head has not sharpened.

        Raises
        ------
        ValueError
            another size than the network's.

        """
        check_input(rgb, depth, self.height, self.width)
        frame = relative_to_fill(rgb, depth)
        depth_fine, features = self.depth_stem(torch.cat([frame.relative, frame.missing], dim=1))
        rgb_fine, guide = self.rgb_stem(normalised_picture(rgb))
        with torch.autocast(rgb.device.type, enabled=False):
            spectrum = to_polar(*self.fourier(guide))
        refined = torch.zeros_like(features[:, :1])
        stages = []
        for pair in self.pairs:
            features, refined = pair(features, guide, spectrum, refined)
            stages.append(_enlarge(refined, STEP))
        sharpened, relative = self.head(features, depth_fine, rgb_fine)
        completed = depth_from_residual(frame, stages[-1] + sharpened)
        between = tuple(depth_from_residual(frame, stage) for stage in stages)
        variance = None if relative is None else log_variance_in_metres(frame, relative)
        return NetworkOutput(completed, variance, between)


def _enlarge(x: Tensor, factor: int) -> Tensor:
    """Resize (B, C, H, W) bilinearly by an integer factor."""
    return F.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=False)
