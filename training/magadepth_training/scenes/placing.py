# SPDX-License-Identifier: Apache-2.0
"""Rotations, and places on the floor and on a desk."""

from __future__ import annotations

import torch

from magadepth_training.scenes.draws import Draws


def yaw_matrix(yaw: torch.Tensor) -> torch.Tensor:
    """Rotation about Z by (...) radians, (..., 3, 3)."""
    c, s, zero = torch.cos(yaw), torch.sin(yaw), torch.zeros_like(yaw)
    rows = torch.stack([c, -s, zero, s, c, zero, zero, zero, zero + 1.0], -1)
    return rows.reshape(*yaw.shape, 3, 3)


def random_matrix(draws: Draws, *shape: int) -> torch.Tensor:
    """Uniform random rotations (B, *shape, 3, 3), from quaternions."""
    q = torch.nn.functional.normalize(draws.randn(*shape, 4), dim=-1)
    w, x, y, z = q.unbind(-1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
        ],
        -1,
    ).reshape(*w.shape, 3, 3)  # fmt: skip


def on_floor(draws: Draws, room_half: torch.Tensor, count: int, share: float) -> torch.Tensor:
    """Draw places (B, count, 3) in the middle ``share`` of the width and depth of a room."""
    place = draws.uniform(-share, share, count, 3) * room_half[:, None]
    place[..., 2] = 0.0
    return place


class OnDesk:
    """Positions on, and a little beyond, the desk's top; many of them about one busy spot."""

    def __init__(
        self, draws: Draws, desk: torch.Tensor, size: torch.Tensor, yaw: torch.Tensor
    ) -> None:
        """Take the middle of the top (B, 3), the desk's size (B, 3) and its yaw (B,)."""
        self.draws, self.desk, self.size, self.rotation = draws, desk, size, yaw_matrix(yaw)
        self.spot = draws.uniform(-0.35, 0.35, 1, 3) * size[:, None]
        self.spread = draws.log_uniform(0.1, 0.5, 1, 1)
        self.focus = self.world(self.spot)[:, 0]

    def world(self, local: torch.Tensor) -> torch.Tensor:
        """Points (B, n, 3) of the desk's top in the world; their height is the top's."""
        local = torch.cat([local[..., :2], torch.zeros_like(local[..., 2:])], -1)
        return (self.rotation[:, None] * local[..., None, :]).sum(-1) + self.desk[:, None]

    def __call__(self, count: int, spread: float = 0.5, busy: float = 0.7) -> torch.Tensor:
        """Draw (B, count, 3); a share ``busy`` of them lies about the busy spot."""
        anywhere = self.draws.uniform(-spread, spread, count, 3) * self.size[:, None]
        near = self.spot + self.draws.randn(count, 3) * self.spread
        edge = 0.52 * self.size[:, None]
        near = torch.minimum(torch.maximum(near, -edge), edge)
        return self.world(torch.where(self.draws.chance(busy, count, 1), near, anywhere))
