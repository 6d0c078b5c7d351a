# SPDX-License-Identifier: Apache-2.0
"""Random numbers for a whole batch, from one generator, without waiting for the device."""

from __future__ import annotations

import math

import torch


class Draws:
    """Draws tensors whose first axis is the batch; reproducible for a generator's seed."""

    def __init__(self, generator: torch.Generator, device: torch.device, batch: int) -> None:
        """Draw on the generator's own device, deliver on ``device``."""
        self.generator = generator
        self.device = device
        self.batch = batch

    def rand(self, *shape: int) -> torch.Tensor:
        """Uniform in 0..1, shape (B, *shape)."""
        values = torch.rand(
            (self.batch, *shape), generator=self.generator, device=self.generator.device
        )
        return values.to(self.device, non_blocking=True)

    def randn(self, *shape: int) -> torch.Tensor:
        """Draw from the standard normal distribution, shape (B, *shape)."""
        values = torch.randn(
            (self.batch, *shape), generator=self.generator, device=self.generator.device
        )
        return values.to(self.device, non_blocking=True)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Uniform in low..high."""
        return self.rand(*shape) * (high - low) + low

    def log_uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Uniform in the logarithm between low and high (both > 0)."""
        return torch.exp(self.uniform(math.log(low), math.log(high), *shape))

    def chance(self, share: float, *shape: int) -> torch.Tensor:
        """Bool, true with the given probability."""
        return self.rand(*shape) < share

    def integers(self, count: int, *shape: int) -> torch.Tensor:
        """int64 in 0..count-1."""
        return (self.rand(*shape) * count).long().clamp_(max=count - 1)

    def sign(self, share: float) -> torch.Tensor:
        """1 with the given probability, else -1; shape (B, 1, 1, 1)."""
        return torch.where(self.chance(share, 1, 1, 1), 1.0, -1.0)
