# SPDX-License-Identifier: Apache-2.0
"""The plain convolution, and the partial one, which stands for MagaConv in scheme D of Table 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class VanillaConv(nn.Module):
    """A plain convolution with the same call as the masked ones (schemes A, E, F, G)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f'kernel {kernel}: expected an odd number')
        self.stride, self.padding, self.kernel = stride, kernel // 2, kernel
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity='relu')

    def forward(self, features: Tensor, missing: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out, H / stride, W / stride); the mask is not used."""
        return F.conv2d(features, self.weight, stride=self.stride, padding=self.padding)


class PartialConv(VanillaConv):
    """
    A convolution of the valid pixels alone, scaled up by the share of the window they are.

    Liu et al., Image Inpainting for Irregular Holes Using Partial Convolutions, ECCV 2018, Eq. 1.
    Its mask update (valid where any pixel of the window is) is the network's min-pooling here, so
    that schemes B and D differ in the operation alone.
    """

    def forward(self, features: Tensor, missing: Tensor) -> Tensor:
        """(B, C, H, W) and mask (B, 1, H, W), 1 = missing -> (B, out, H / stride, W / stride)."""
        valid = 1 - missing
        window = torch.ones_like(self.weight[:1, :1])
        count = F.conv2d(valid, window, stride=self.stride, padding=self.padding)
        response = super().forward(features * valid, missing)
        return response * (count > 0) * (self.kernel**2 / count.clamp(min=1))
