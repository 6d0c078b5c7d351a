# SPDX-License-Identifier: Apache-2.0
"""
Networks that predict a residual on a guided fill, relative to the frame's mean depth.

A named deviation from the paper, which regresses metres: the network starts from a plausible
depth and is invariant to the scale of the scene, so a table top at 0.5 m and a room of 5 m look
alike to it; it learns in a fraction of the steps, and low-precision arithmetic inside the
network touches the small residual only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .fill import mean_valid
from .guided_fill import guided_fill

NEAREST = 0.001
"""Nothing is predicted nearer to the camera, or behind it [m]."""

LOG_VARIANCE_RANGE = (-12.0, 4.0)
"""Bounds of the relative log-variance: errors of 0.25 % to 7 times the mean depth."""


class RelativeDepth(NamedTuple):
    """
    A frame relative to its mean depth; all (B, 1, H, W) but ``scale`` (B, 1, 1, 1) [m].

    ``fill`` [m] is complete; ``relative`` is fill / scale - 1; ``missing`` is the paper's mask
    (`missing_mask`); ``doubt`` the natural log of the fill's expected squared error / scale^2.
    """

    fill: Tensor
    relative: Tensor
    missing: Tensor
    scale: Tensor
    doubt: Tensor

    def shown(self) -> Tensor:
        """(B, 3, H, W) of fill, mask and doubt as networks take them, each of order 1."""
        low, high = LOG_VARIANCE_RANGE
        doubt = (self.doubt - low) / (high - low)
        return torch.cat([self.relative, self.missing, doubt], dim=1)


def missing_mask(depth: Tensor) -> Tensor:
    """(B, 1, H, W) metres, 0 = missing -> the paper's mask (Eq. 2), 1 = missing."""
    return (depth <= 0).to(depth.dtype)


def relative_to_fill(rgb: Tensor, depth: Tensor) -> RelativeDepth:
    """Fill a (B, 1, H, W) depth [m], 0 = missing, along (B, 3, H, W) in 0..1, and normalise."""
    # Nothing in the fill learns; half precision would cost centimetres.
    with torch.no_grad(), torch.autocast(depth.device.type, enabled=False):
        depth, missing = depth.float(), missing_mask(depth.float())
        valid = 1 - missing
        scale = mean_valid(depth, valid, otherwise=1.0)
        # In units of the mean depth: a scene of twice the size is filled in the same way.
        relative, deviation = guided_fill(rgb.float(), depth / scale, valid)
        fill = torch.where(valid > 0, depth, relative * scale)
        doubt = 2 * torch.log(deviation + 1e-6)
        doubt = doubt.clamp(*LOG_VARIANCE_RANGE)
        nothing = missing.amin(dim=(2, 3), keepdim=True)
        doubt = doubt + nothing * (LOG_VARIANCE_RANGE[1] - doubt)
        return RelativeDepth(fill, relative - 1, missing, scale, doubt)


def depth_from_residual(frame: RelativeDepth, residual: Tensor) -> Tensor:
    """
    Add a (B, 1, H, W) relative residual to the fill: metres in front of the camera.

    Farther than any range a network is said to have, where the input is: what is relative to the
    frame's depth knows no metres.
    """
    with torch.autocast(residual.device.type, enabled=False):
        depth = frame.fill + frame.scale * residual.float()
        return depth.clamp(min=NEAREST)


def log_variance_in_metres(frame: RelativeDepth, correction: Tensor) -> Tensor:
    """Add a (B, 1, H, W) correction to the fill's doubt: log-variance [ln m^2]."""
    with torch.autocast(correction.device.type, enabled=False):
        bounded = (frame.doubt + correction.float()).clamp(*LOG_VARIANCE_RANGE)
        return bounded + 2 * torch.log(frame.scale)


def start_at_zero(conv: nn.Module) -> None:
    """Empty a last convolution: the untrained network adds nothing to the fill."""
    assert isinstance(conv, nn.Conv2d)
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
