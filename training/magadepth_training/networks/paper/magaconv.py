# SPDX-License-Identifier: Apache-2.0
"""
The MagaConv operation: a convolution gated by how much of it falls on missing depth.

Huang et al., Mask-adaptive Gated Convolution and Bi-directional Progressive Fusion Network for
Depth Completion, 2024 (arXiv 2401.07439v1), section 3.2, Eq. 1 to 6.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .partial_conv import VanillaConv


def reverse_and_cut(x: Tensor) -> Tensor:
    """RnC (Eq. 5): 1 at x = 0, falling to exactly 0 at x >= ln 2; x is not negative."""
    return 2 * F.relu(torch.exp(-x) - 0.5)


def min_pool(missing: Tensor, stride: int = 1) -> Tensor:
    """
    Update the mask (Eq. 6): missing only where all of the 3x3 neighbourhood is missing.

    Takes and returns (B, 1, H, W), 1 = missing; outside the image counts as missing.
    """
    # A minimum of values in 0..1 as the maximum of their negatives; the border of a max pool
    # is ignored, which is the same as missing here.
    return 1 - F.max_pool2d(1 - missing, 3, stride=stride, padding=1)


class MagaConv(VanillaConv):
    """
    One MagaConv head (Eq. 1 to 5): ``RnC(eps * conv(M, |w|)) * conv(D, w)``.

    ``epsilon`` is sigmoid of one learnable scalar, so it stays in (0, 1); it starts where a
    window that is half missing is just cut to 0 (our choice; the paper does not say).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel, stride)
        whole_window = float(self.weight.detach().abs().sum(dim=(1, 2, 3)).mean())
        start = min(0.95, 2 * math.log(2) / whole_window)
        self.raw_epsilon = nn.Parameter(torch.tensor(math.log(start / (1 - start))))

    @property
    def epsilon(self) -> Tensor:
        """The scalar of Eq. 3, in (0, 1)."""
        return torch.sigmoid(self.raw_epsilon)

    def forward(self, features: Tensor, missing: Tensor) -> Tensor:
        """
        Convolve and gate.

        Parameters
        ----------
        features:
            (B, C, H, W) depth features.
        missing:
            (B, 1, H, W) mask, 1 = missing (Eq. 2).

        Returns
        -------
        Tensor
            (B, out_channels, H / stride, W / stride).

        """
        response = super().forward(features, missing)
        # The paper replicates the mask along the channels; summing |w| over them first is the
        # same convolution of one channel (Eq. 3).
        weight = self.epsilon * self.weight.abs().sum(dim=1, keepdim=True)
        # Outside the image is missing too, as it is for the pooling of the mask (Eq. 6).
        outside = F.pad(missing, (self.padding,) * 4, value=1.0)
        unsuitable = F.conv2d(outside, weight, stride=self.stride)
        return reverse_and_cut(unsuitable) * response
