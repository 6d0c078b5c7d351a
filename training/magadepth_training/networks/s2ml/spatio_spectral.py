# SPDX-License-Identifier: Apache-2.0
"""
One pair of S2ML's cascade: spectral fusion in both directions, then spatial fusion.

The choices that the paper's abstract leaves open are listed in `network`. Wherever features enter
or leave the cascade's sum, they are normalised: without that they grow a hundredfold from pair to
pair within a few hundred steps, and a network learns nothing more.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..paper.encoders import conv_bn
from .spectral import Polar, RealFourier2d, from_polar, to_polar
from .swin_conv import SwinConvBlock, WindowGrid

SLOPE = 0.1
"""Slope of the LeakyReLU."""


class SpectralBranch(nn.Module):
    """The 1x1, 3x3, 1x1 convolutions of one half of a spectrum, aware of the frequency."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, hidden, 1)
        self.frequency = nn.Conv2d(3, hidden, 1, bias=False)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.leave = nn.Conv2d(hidden, outputs, 1)
        start_small(self.leave)

    def forward(self, x: Tensor, frequencies: Tensor) -> Tensor:
        """(B, inputs, H, K) and the (1, 3, H, K) constant -> (B, outputs, H, K)."""
        x = F.leaky_relu(self.enter(x) + self.frequency(frequencies), SLOPE)
        return self.leave(F.leaky_relu(self.mix(x), SLOPE))


class SpectralFusion(nn.Module):
    """Complete the spectrum of the depth features, amplitude and phase apart."""

    def __init__(self, channels: int, fourier: RealFourier2d) -> None:
        super().__init__()
        self.fourier = fourier
        self.register_buffer('frequencies', fourier.frequencies(), persistent=False)
        self.enter = conv_bn(channels, channels, kernel=1)
        self.amplitude = SpectralBranch(2 * channels, channels, channels)
        self.phase = SpectralBranch(4 * channels, channels, 2 * channels)
        self.leave = conv_bn(channels, channels, kernel=1)

    def forward(self, features: Tensor, guide: Polar) -> Tensor:
        """(B, C, H, W) depth features and the guide's spectrum -> (B, C, H, W)."""
        entered = self.enter(features)
        with torch.autocast(features.device.type, enabled=False):
            own = to_polar(*self.fourier(entered))
        # Branches may run in low precision: what enters them is compressed or of length 1, and
        # what leaves is a correction; the spectrum itself stays in full precision.
        gain = self.amplitude(
            torch.cat([_compressed(own), _compressed(guide)], dim=1), self.frequencies
        )
        turn = self.phase(
            torch.cat([own.cos, own.sin, guide.cos, guide.sin], dim=1), self.frequencies
        )
        with torch.autocast(features.device.type, enabled=False):
            gain, turn = gain.to(own.cos.dtype), turn.to(own.cos.dtype)
            amplitude = F.relu(own.amplitude + (1 + own.amplitude) * torch.tanh(gain))
            turn_cos, turn_sin = turn.split(int(own.cos.shape[1]), dim=1)
            phase = to_polar(own.cos + turn_cos, own.sin + turn_sin)
            mixed = self.fourier.inverse(*from_polar(Polar(amplitude, phase.cos, phase.sin)))
        return self.leave(mixed)


class SpatialFusion(nn.Module):
    """Join spatial, spectral and picture features in one embedding; mix near and far there."""

    def __init__(
        self, channels: int, head_channels: int, blocks: int, mlp_ratio: float, grid: WindowGrid
    ) -> None:
        super().__init__()
        self.embed = conv_bn(3 * channels, channels, kernel=1)
        self.blocks = nn.Sequential(
            *(
                SwinConvBlock(channels, head_channels, grid, bool(index % 2), mlp_ratio)
                for index in range(blocks)
            )
        )
        self.leave = conv_bn(channels, channels)

    def forward(self, spatial: Tensor, spectral: Tensor, guide: Tensor) -> Tensor:
        """Three (B, C, H, W) -> (B, C, H, W)."""
        embedded = self.embed(torch.cat([spatial, spectral, guide], dim=1))
        return self.leave(self.blocks(embedded))


class Pair(nn.Module):
    """Spectral fusion of depth and picture, each by the other, and spatial fusion of all."""

    def __init__(
        self,
        channels: int,
        head_channels: int,
        blocks: int,
        mlp_ratio: float,
        fourier: RealFourier2d,
        grid: WindowGrid,
    ) -> None:
        super().__init__()
        self.fourier = fourier
        self.of_depth = SpectralFusion(channels, fourier)
        self.of_guide = SpectralFusion(channels, fourier)
        self.spatial = SpatialFusion(channels, head_channels, blocks, mlp_ratio, grid)

    def forward(self, features: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H/4, W/4) of the depth and of the picture -> both, refined."""
        with torch.autocast(features.device.type, enabled=False):
            depth_spectrum = to_polar(*self.fourier(features.float()))
            guide_spectrum = to_polar(*self.fourier(guide.float()))
        spectral = self.of_depth(features, guide_spectrum)
        guide = guide + self.of_guide(guide, depth_spectrum)
        return features + self.spatial(features, spectral, guide), guide


def conv_block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Build a 3x3 convolution, batch normalisation and LeakyReLU."""
    return conv_bn(inputs, outputs, nn.LeakyReLU(SLOPE, inplace=True), stride=stride)


def start_small(conv: nn.Conv2d) -> None:
    """Shrink a last convolution, so that an untrained module changes almost nothing."""
    with torch.no_grad():
        conv.weight.mul_(0.1)
        if conv.bias is not None:
            conv.bias.zero_()


def _compressed(polar: Polar) -> Tensor:
    """Log-amplitude, finite at 0: the mean outweighs the finest detail by orders of magnitude."""
    return torch.log(1 + polar.amplitude)
