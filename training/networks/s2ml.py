# SPDX-License-Identifier: Apache-2.0
"""
S2ML: spatial and spectral features teach each other, and the depth is refined pair by pair.

After Zhao et al., S2ML: Spatio-Spectral Mutual Learning for Depth Completion, IEEE Transactions
on Multimedia 2025 (arXiv 2511.06033), of which only the abstract is followed: a spectral fusion
that treats amplitude and phase separately, a spatial fusion of both domains in one embedding by
Swin-Convolution blocks, a cascade of such pairs that each refine the depth, a joint loss
(`spectral_loss`). The abstract gives no sizes and no formulas. Choices of this project:

* everything between the stem and the head works at 1/4 of the input's size; the stem takes the
  input as 2x2 cells, the head gives it back so;
* the picture's spectrum guides every pair and is computed once;
* amplitude: a residual in log-amplitude to first order, A + (1 + A) tanh(f), cut at 0. Phase: a
  residual on the unit vector, scaled back to length 1. Each has a 1x1, a 3x3 and a 1x1
  convolution, which see the frequency of a bin as a constant;
* two Swin-Convolution blocks a pair, plain then shifted windows;
* a pair's refinement is added to the depth at 1/4 of the size and given to the next pair;
* the fill, the residual relative to the mean depth (`residual`) and the log-variance are those
  of the other networks of this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .output import NetworkOutput, check_input
from .residual import (
    RelativeDepth,
    depth_from_residual,
    log_variance_in_metres,
    relative_to_fill,
)
from .spectral import Polar, RealFourier2d, from_polar, to_polar
from .swin_conv import SwinConvBlock, WindowGrid

RGB_MEAN, RGB_STD = 0.45, 0.25
"""One grey value for the three channels: near the means of indoor pictures."""
SLOPE = 0.1
STEP = 4
"""The cascade works on one cell for 4x4 pixels."""


@dataclass(frozen=True)
class S2MLConfig:
    """
    What an S2ML network is made of.

    ``height`` and ``width`` are the fixed input size [px], multiples of 4 * ``window``;
    ``channels`` of the cascade, ``fine_channels`` at 1/2 of the size; ``pairs`` of spectral and
    spatial fusion; ``blocks`` Swin-Convolution blocks in each; ``window`` [cells of 4x4 px];
    ``head_channels`` of an attention head, dividing ``channels / 2``. ``residual`` predicts a
    residual on a push-pull fill relative to the mean depth instead of metres; ``log_variance``
    adds the output the confidence comes from.
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
    residual: bool = True
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
        self.fine = nn.Sequential(_conv(4 * inputs, fine), _conv(fine, fine))
        self.coarse = nn.Sequential(_conv(fine, coarse, stride=2), _conv(coarse, coarse))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> (B, fine, H/2, W/2) and (B, coarse, H/4, W/4)."""
        fine = self.fine(F.pixel_unshuffle(x, 2))
        return fine, self.coarse(fine)


class SpectralBranch(nn.Module):
    """The 1x1, 3x3, 1x1 convolutions of one half of a spectrum, aware of the frequency."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, hidden, 1)
        self.frequency = nn.Conv2d(3, hidden, 1, bias=False)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.leave = nn.Conv2d(hidden, outputs, 1)
        _start_small(self.leave)

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
        self.enter = nn.Conv2d(channels, channels, 1)
        self.amplitude = SpectralBranch(2 * channels, channels, channels)
        self.phase = SpectralBranch(4 * channels, channels, 2 * channels)
        self.leave = nn.Conv2d(channels, channels, 1)

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

    def __init__(self, config: S2MLConfig, grid: WindowGrid) -> None:
        super().__init__()
        channels = config.channels
        self.embed = nn.Conv2d(3 * channels, channels, 1)
        self.blocks = nn.Sequential(
            *(
                SwinConvBlock(
                    channels, config.head_channels, grid, bool(index % 2), config.mlp_ratio
                )
                for index in range(config.blocks)
            )
        )
        self.leave = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, spatial: Tensor, spectral: Tensor, guide: Tensor) -> Tensor:
        """Three (B, C, H, W) -> (B, C, H, W)."""
        embedded = self.embed(torch.cat([spatial, spectral, guide], dim=1))
        return self.leave(self.blocks(embedded))


class Pair(nn.Module):
    """One spectral fusion, one spatial fusion and a refinement of the depth."""

    def __init__(self, config: S2MLConfig, fourier: RealFourier2d, grid: WindowGrid) -> None:
        super().__init__()
        channels = config.channels
        self.spectral = SpectralFusion(channels, fourier)
        self.spatial = SpatialFusion(config, grid)
        self.refine = nn.Sequential(
            _conv(channels, channels // 4), nn.Conv2d(channels // 4, 1, 3, padding=1)
        )
        _start_small(self.refine[-1])
        self.tell = nn.Conv2d(1, channels, 3, padding=1)

    def forward(
        self, features: Tensor, guide: Tensor, spectrum: Polar, depth: Tensor
    ) -> tuple[Tensor, Tensor]:
        """
        Fuse and refine.

        Parameters
        ----------
        features, guide:
            (B, C, H/4, W/4) of the depth and of the picture.
        spectrum:
            of the guide, (B, C, H/4, W/8 + 1).
        depth:
            (B, 1, H/4, W/4) what the network has so far, in its own unit.

        Returns
        -------
        tuple
            features and depth, both refined.

        """
        spectral = self.spectral(features, spectrum)
        features = features + self.spatial(features, spectral, guide)
        depth = depth + self.refine(features)
        return features + self.tell(depth), depth


class Head(nn.Module):
    """From the cascade's features to full size, through 1/2 of the size and 2x2 cells."""

    def __init__(self, config: S2MLConfig, outputs: int) -> None:
        super().__init__()
        fine = config.fine_channels
        self.reduce = nn.Conv2d(config.channels, fine, 1)
        self.mix = nn.Sequential(_conv(3 * fine, fine), _conv(fine, fine))
        self.leave = nn.Conv2d(fine, 4 * outputs, 3, padding=1)
        _start_small(self.leave)

    def forward(self, coarse: Tensor, depth_fine: Tensor, rgb_fine: Tensor) -> Tensor:
        """(B, C, H/4, W/4) and two (B, fine, H/2, W/2) -> (B, outputs, H, W)."""
        enlarged = _enlarge(self.reduce(coarse), 2)
        mixed = self.mix(torch.cat([enlarged, depth_fine, rgb_fine], dim=1))
        return F.pixel_shuffle(self.leave(mixed), 2)


class S2ML(nn.Module):
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
        self.pairs = nn.ModuleList(Pair(config, self.fourier, grid) for _ in range(config.pairs))
        self.head = Head(config, outputs=2 if config.log_variance else 1)

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
        config = self.config
        frame = relative_to_fill(depth)
        measured = frame.relative if config.residual else depth / config.max_depth
        depth_fine, features = self.depth_stem(torch.cat([measured, frame.missing], dim=1))
        rgb_fine, guide = self.rgb_stem((rgb - RGB_MEAN) / RGB_STD)
        with torch.autocast(rgb.device.type, enabled=False):
            spectrum = to_polar(*self.fourier(guide))
        refined = torch.zeros_like(features[:, :1])
        stages = []
        for pair in self.pairs:
            features, refined = pair(features, guide, spectrum, refined)
            stages.append(_enlarge(refined, STEP))
        output = self.head(features, depth_fine, rgb_fine)
        completed = self._metres(frame, stages[-1] + output[:, :1])
        between = tuple(self._metres(frame, stage) for stage in stages)
        variance = None
        if config.log_variance:
            variance = log_variance_in_metres(frame, output[:, 1:])
        return NetworkOutput(completed, variance, between)

    def _metres(self, frame: RelativeDepth, answer: Tensor) -> Tensor:
        """(B, 1, H, W) in the network's unit to metres."""
        config = self.config
        if config.residual:
            return depth_from_residual(frame, answer, config.min_depth, config.max_depth)
        return config.max_depth * torch.sigmoid(answer.float())


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Build a 3x3 convolution, batch normalisation and LeakyReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


def _compressed(polar: Polar) -> Tensor:
    """Log-amplitude, finite at 0: the mean outweighs the finest detail by orders of magnitude."""
    return torch.log(1 + polar.amplitude)


def _enlarge(x: Tensor, factor: int) -> Tensor:
    """Resize (B, C, H, W) bilinearly by an integer factor."""
    return F.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=False)


def _start_small(conv: nn.Conv2d) -> None:
    """Shrink a last convolution, so that an untrained module changes almost nothing."""
    with torch.no_grad():
        conv.weight.mul_(0.1)
        conv.bias.zero_()
