# SPDX-License-Identifier: Apache-2.0
"""The two encoders of section 3.1: depth with masks, colour with residual convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .magaconv import min_pool

MaskedConv = Callable[[int, int, int, int], nn.Module]
"""(in_channels, out_channels, kernel, stride) -> module called with (features, missing)."""


def conv_bn(
    inputs: int, outputs: int, *activation: nn.Module, kernel: int = 3, stride: int = 1
) -> nn.Sequential:
    """Build a convolution, batch normalisation and, where it is given, an activation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), *activation)


def conv_block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a convolution, batch normalisation and SiLU (our choice; the paper names neither)."""
    return conv_bn(inputs, outputs, nn.SiLU(inplace=True), kernel=kernel, stride=stride)


class MaskedLayer(nn.Module):
    """
    A MagaConv-Layer: parallel heads of different kernel sizes, fused by a 1x1 convolution.

    The heads share the output channels, so their number in all is that of a single head
    (section 3.2, MagaConv-Layer).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        kernels: Sequence[int],
        conv: MaskedConv,
    ):
        super().__init__()
        if out_channels % len(kernels):
            raise ValueError(
                f'{out_channels} channels cannot be shared by {len(kernels)} heads: '
                'choose a multiple'
            )
        share = out_channels // len(kernels)
        self.heads = nn.ModuleList(conv(in_channels, share, k, stride) for k in kernels)
        self.fuse = conv_block(out_channels, out_channels, kernel=1)

    def forward(self, features: Tensor, missing: Tensor) -> Tensor:
        """(B, C, H, W) and mask (B, 1, H, W) -> (B, out, H / stride, W / stride)."""
        return self.fuse(torch.cat([head(features, missing) for head in self.heads], dim=1))


class MaskedBlock(nn.Module):
    """
    A MagaConv-Block: three layers, the first halving the size (section 3.1, Eq. 6).

    The first layer takes the mask at its input's size; the mask is then pooled at that size and
    halved, and pooled again after every layer (the reading of Eq. 6 that is consistent in size).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernels: Sequence[int], conv: MaskedConv
    ):
        super().__init__()
        self.layers = nn.ModuleList(
            MaskedLayer(
                in_channels if i == 0 else out_channels,
                out_channels,
                2 if i == 0 else 1,
                kernels,
                conv,
            )
            for i in range(3)
        )

    def forward(self, features: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W), (B, 1, H, W) -> features and mask at half the size."""
        features = self.layers[0](features, missing)
        missing = min_pool(min_pool(missing), stride=2)
        for layer in list(self.layers)[1:]:
            features = layer(features, missing)
            missing = min_pool(missing)
        return features, missing


class DepthEncoder(nn.Module):
    """Three masked blocks; the last layer of each goes to the decoder (section 3.1, i)."""

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        kernels: Sequence[int],
        conv: MaskedConv,
    ):
        super().__init__()
        inputs = (in_channels, *channels[:-1])
        self.blocks = nn.ModuleList(
            MaskedBlock(i, o, kernels, conv) for i, o in zip(inputs, channels)
        )

    def forward(self, depth: Tensor, missing: Tensor) -> list[Tensor]:
        """(B, C, H, W), (B, 1, H, W) -> features at 1/2, 1/4 and 1/8 of the size."""
        features, outputs = depth, []
        for block in self.blocks:
            features, missing = block(features, missing)
            outputs.append(features)
        return outputs


class ColourBlock(nn.Module):
    """Three 3x3 convolutions, the first halving the size, the others a residual pair."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()

        self.down = conv_block(in_channels, out_channels, stride=2)
        self.residual = nn.Sequential(*(conv_block(out_channels, out_channels) for _ in range(2)))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out, H / 2, W / 2)."""
        features = self.down(features)
        return features + self.residual(features)


class ColourEncoder(nn.Module):
    """Three colour blocks without pre-trained weights (section 3.1, ii)."""

    def __init__(self, in_channels: int, channels: Sequence[int]):
        super().__init__()
        inputs = (in_channels, *channels[:-1])
        self.blocks = nn.ModuleList(ColourBlock(i, o) for i, o in zip(inputs, channels))

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(B, C, H, W) normalised -> features at 1/2, 1/4 and 1/8 of the size."""
        features, outputs = picture, []
        for block in self.blocks:
            features = block(features)
            outputs.append(features)
        return outputs
