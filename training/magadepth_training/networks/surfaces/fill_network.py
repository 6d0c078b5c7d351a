# SPDX-License-Identifier: Apache-2.0
"""The guided fill as a network of its own; nothing in it is learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..output import Network, NetworkOutput
from .expected_error import growing, log_variance
from .fill import mean_valid
from .guided_fill import guided_fill

DOUBT = 2.0
"""Weight of the fill's doubt in its expected error."""

NEAREST = 0.001
"""Least depth of a fill [m]."""


@dataclass(frozen=True)
class GuidedFillConfig:
    """``height`` and ``width`` are the fixed input size [px], multiples of 8."""

    name: str = 'guided_fill'
    height: int = 240
    width: int = 320
    min_depth: float = 0.1
    max_depth: float = 10.0


class GuidedFillNetwork(Network):
    """`guided_fill` of the depth relative to its mean, with the log-variance it expects."""

    multiple = 8

    def complete(self, rgb: Tensor, depth: Tensor) -> NetworkOutput:
        """(B, 3, H, W) in 0..1 and (B, 1, H, W) m, 0 = missing -> depth and log-variance."""
        with torch.autocast(depth.device.type, enabled=False):
            rgb, depth = rgb.float(), depth.float()
            valid = (depth > 0).to(depth.dtype)
            scale = mean_valid(depth, valid, otherwise=1.0)
            # In units of the mean depth: a scene of twice the size is filled in the same way.
            fill = guided_fill(rgb, depth / scale, valid)
            filled = torch.where(valid > 0, depth, fill.depth * scale).clamp(min=NEAREST)
            expected = DOUBT * growing(fill.deviation * scale / filled)
            return NetworkOutput(filled, log_variance(expected, filled, valid))
