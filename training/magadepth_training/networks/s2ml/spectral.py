# SPDX-License-Identifier: Apache-2.0
"""
The real 2-D Fourier transform as products with constant matrices, and its polar form.

``torch.fft`` has no operator in ONNX that OpenVINO and TensorRT take; two matrix products with
constants do the same and every runtime is fast at them. The phase is a unit vector (cos, sin)
instead of an angle: no atan2, and no jump at +-pi for a convolution to learn around.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

EPSILON = 1e-4
"""Below this amplitude the phase has no meaning."""
_GUARD = 1e-6


class Polar(NamedTuple):
    """
    A spectrum as amplitude and phase; all (B, C, H, W // 2 + 1).

    ``amplitude`` >= 0; (``cos``, ``sin``) is the phase as a unit vector, (0, 0) where the
    amplitude vanishes.
    """

    amplitude: Tensor
    cos: Tensor
    sin: Tensor


class RealFourier2d(nn.Module):
    """
    Unitary 2-D Fourier transform of real maps of one fixed size, and its inverse.

    ``forward(x)`` equals ``fftshift(rfft2(x, norm='ortho'), dim=-2)``: the row frequencies are
    centred by the order of the matrix rows, at no cost, so that a 3x3 convolution sees the low
    frequencies of either sign as the neighbours they are. Always in the matrices' precision:
    the mean outweighs the finest detail by orders of magnitude, which bfloat16 cannot hold.

    Parameters
    ----------
    height, width:
        Size of the maps.

    """

    to_bins: Tensor
    from_bins: Tensor
    to_rows: Tensor
    from_rows: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width, self.bins = height, width, width // 2 + 1
        along_x = _angles(torch.arange(width), torch.arange(self.bins), width)
        scale_x = 1 / math.sqrt(width)
        # Bins 1 to (W - 1) / 2 stand for their mirror images as well.
        twice = torch.full((self.bins, 1), 2.0, dtype=torch.float64)
        twice[0] = 1
        if width % 2 == 0:
            twice[-1] = 1
        rows = (torch.arange(height) + height - height // 2) % height
        along_y = _angles(rows, torch.arange(height), height)
        cos_y, sin_y = along_y.cos() / math.sqrt(height), along_y.sin() / math.sqrt(height)
        matrices = {
            'to_bins': torch.cat([along_x.cos(), -along_x.sin()], 1) * scale_x,
            'from_bins': torch.cat([twice * along_x.T.cos(), -twice * along_x.T.sin()]) * scale_x,
            'to_rows': torch.cat([torch.cat([cos_y, sin_y], 1), torch.cat([-sin_y, cos_y], 1)]),
        }
        # The row transform is unitary, so its inverse is its transpose.
        matrices['from_rows'] = matrices['to_rows'].T.contiguous()
        for name, matrix in matrices.items():
            self.register_buffer(name, matrix.float(), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Transform (B, C, H, W) to the real and imaginary parts, (B, C, H, W // 2 + 1) each."""
        with torch.autocast(x.device.type, enabled=False):
            parts = x.to(self.to_bins.dtype) @ self.to_bins
            stacked = torch.cat([parts[..., : self.bins], parts[..., self.bins :]], dim=-2)
            stacked = self.to_rows @ stacked
            return stacked[..., : self.height, :], stacked[..., self.height :, :]

    def inverse(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Transform both parts back to (B, C, H, W); parts no real map has are dropped."""
        with torch.autocast(real.device.type, enabled=False):
            stacked = torch.cat([real, imaginary], dim=-2).to(self.from_rows.dtype)
            stacked = self.from_rows @ stacked
            parts = [stacked[..., : self.height, :], stacked[..., self.height :, :]]
            return torch.cat(parts, dim=-1) @ self.from_bins

    def frequencies(self) -> Tensor:
        """(1, 3, H, W // 2 + 1): |row|, column and radial frequency, 1 = an axis's highest."""
        row = (torch.arange(self.height) - self.height // 2).abs() / (self.height / 2)
        column = torch.arange(self.bins) / (self.width / 2)
        grid = torch.stack(torch.meshgrid(row, column, indexing='ij'))
        return torch.cat([grid, grid.norm(dim=0, keepdim=True)])[None]


def to_polar(real: Tensor, imaginary: Tensor) -> Polar:
    """
    Split a spectrum into amplitude and phase.

    Scaled by the larger part before squaring, so that neither the mean overflows nor the
    highest frequency vanishes in fp16, and the gradient is bounded at 0.
    """
    larger = torch.maximum(real.abs(), imaginary.abs()).detach() + EPSILON
    x, y = real / larger, imaginary / larger
    # The squares sum to 1 or more above EPSILON, so the guard (not 0 in fp16) only acts at 0.
    length = torch.sqrt(x * x + y * y + _GUARD)
    return Polar(larger * length, x / length, y / length)


def from_polar(polar: Polar) -> tuple[Tensor, Tensor]:
    """Recombine amplitude and phase into the real and imaginary parts."""
    return polar.amplitude * polar.cos, polar.amplitude * polar.sin


def _angles(first: Tensor, second: Tensor, period: int) -> Tensor:
    """(len(first), len(second)) float64 angles 2 pi a b / period [rad], exact in the product."""
    product = torch.outer(first, second) % period
    return product.double() * (2 * math.pi / period)
