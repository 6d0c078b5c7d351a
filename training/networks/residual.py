# SPDX-License-Identifier: Apache-2.0
"""
Networks that predict a residual on a cheap fill, relative to the frame's mean depth.

A named deviation from the paper, which regresses metres: the network starts from a plausible
depth and is invariant to the scale of the scene, so a table top at 0.5 m and a room of 5 m look
alike to it; it learns in a fraction of the steps, and low-precision arithmetic inside the
network touches the small residual only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .fill import mean_valid, push_pull

LOG_VARIANCE_RANGE = (-12.0, 4.0)
"""Bounds of the relative log-variance: errors of 0.25 % to 7 times the mean depth."""


class RelativeDepth(NamedTuple):
    """
    A frame relative to its mean depth; all (B, 1, H, W) but ``scale`` (B, 1, 1, 1) [m].

    ``fill`` [m] is complete; ``relative`` is fill / scale - 1; ``missing`` is the paper's mask
    (Eq. 2), 1 = missing.
    """

    fill: Tensor
    relative: Tensor
    missing: Tensor
    scale: Tensor


def relative_to_fill(depth: Tensor) -> RelativeDepth:
    """Fill and normalise a (B, 1, H, W) depth in metres, 0 = missing."""
    with torch.autocast(depth.device.type, enabled=False):
        depth = depth.float()
        valid = (depth > 0).to(depth.dtype)
        scale = mean_valid(depth, valid, otherwise=1.0)
        fill = push_pull(depth, valid)
        return RelativeDepth(fill, fill / scale - 1, 1 - valid, scale)


def depth_from_residual(
    frame: RelativeDepth, residual: Tensor, min_depth: float, max_depth: float
) -> Tensor:
    """Add a (B, 1, H, W) relative residual to the fill: metres within the network's range."""
    with torch.autocast(residual.device.type, enabled=False):
        depth = frame.fill + frame.scale * residual.float()
        return depth.clamp(min_depth, max_depth)


def log_variance_in_metres(frame: RelativeDepth, relative: Tensor) -> Tensor:
    """Turn a relative (B, 1, H, W) log-variance into [ln m^2]."""
    with torch.autocast(relative.device.type, enabled=False):
        bounded = relative.float().clamp(*LOG_VARIANCE_RANGE)
        return bounded + 2 * torch.log(frame.scale)
