# SPDX-License-Identifier: Apache-2.0
"""The depth decoder: gated de-convolutions with skips of the encoders (section 3.1, iv)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .encoders import conv_bn

SLOPE = 0.2
"""Slope of the LeakyReLU, as in AGG-Net."""


class DeGConv(nn.Module):
    """
    De-GConv of AGG-Net: enlarge twice, then features times a sigmoid gate.

    Chen et al., AGG-Net: Attention Guided Gated-convolutional Network for Depth Image Completion,
    ICCV 2023; the bilinear path, which is the one its authors use. The gate and the first of the
    two feature convolutions read the same tensor, so one convolution makes both.

    ``reduce`` (a named deviation of the small networks) narrows the input to the output's
    channels before enlarging, where it costs a quarter.
    """

    def __init__(self, inputs: int, outputs: int, reduce: bool = False):
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 1, bias=False) if reduce else nn.Identity()
        width = outputs if reduce else inputs
        self.after_enlarging = nn.Sequential(
            nn.BatchNorm2d(width), nn.LeakyReLU(SLOPE, inplace=True)
        )
        self.feature_and_gate = conv_bn(width, 2 * outputs)
        self.feature = conv_bn(outputs, outputs, nn.LeakyReLU(SLOPE, inplace=True))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, outputs, 2 H, 2 W)."""
        enlarged = F.interpolate(
            self.reduce(features), scale_factor=2, mode='bilinear', align_corners=False
        )
        feature, gate = self.feature_and_gate(self.after_enlarging(enlarged)).chunk(2, dim=1)
        return self.feature(F.leaky_relu(feature, SLOPE)) * torch.sigmoid(gate)


class DepthDecoder(nn.Module):
    """Three De-GConv stages from 1/8 of the size to the whole, and a head."""

    def __init__(self, fused_channels: int, skip_channels: Sequence[int], channels: Sequence[int]):
        """Build the stages; ``skip_channels`` are fine to coarse, ``channels`` coarse to fine."""
        super().__init__()
        fine, middle, coarse = skip_channels
        self.stages = nn.ModuleList(
            [
                DeGConv(fused_channels + coarse, channels[0]),
                DeGConv(channels[0] + middle, channels[1]),
                DeGConv(channels[1] + fine, channels[2]),
            ]
        )
        width = channels[2]
        self.head = conv_bn(width, width, nn.LeakyReLU(SLOPE, inplace=True))
        self.answer = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, fused: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """(B, C, H/8, W/8) and the features at 1/2, 1/4 and 1/8 -> the answer (B, 1, H, W)."""
        features = fused
        for stage, skip in zip(self.stages, reversed(skips)):
            features = stage(torch.cat([features, skip], dim=1))
        return self.answer(self.head(features))
