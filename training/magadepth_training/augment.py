# SPDX-License-Identifier: Apache-2.0
"""Random views and colours of frames, on the device, for a whole batch at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def uniform(
    count: int, low: float, high: float, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Return (count,) numbers drawn evenly from low..high."""
    return low + (high - low) * torch.rand(count, generator=generator, device=device)


def random_view(
    rgb: Tensor,
    depths: list[Tensor],
    height: int,
    width: int,
    generator: torch.Generator,
    *,
    min_scale: float = 0.45,
    max_rotation: float = 12.0,
) -> tuple[Tensor, list[Tensor]]:
    """
    Cut a random, rotated, mirrored part of each frame and resize it.

    Depth is sampled at the nearest pixel, so a missing value never bleeds into a measured one,
    and keeps its metres: a part of a picture is the picture of a camera with a longer lens.

    Parameters
    ----------
    rgb:
        (B, 3, H, W), 0..1.
    depths:
        tensors (B, 1, H, W) metres, 0 = missing, all cut alike.
    height, width:
        size to make [px].
    generator:
        on the tensors' device.
    min_scale:
        smallest part, as a share of the frame's sides.
    max_rotation:
        degrees to either side.

    Returns
    -------
    tuple
        rgb (B, 3, height, width) and the depths (B, 1, height, width); outside the frame rgb is
        0 and depth missing.

    """
    batch, device = rgb.shape[0], rgb.device
    scale = uniform(batch, min_scale, 1.0, generator, device)
    # Half of the frames are seen whole and upright, as the network meets them at work.
    whole = torch.rand(batch, generator=generator, device=device) < 0.5
    scale = torch.where(whole, torch.ones_like(scale), scale)
    angle = uniform(batch, -max_rotation, max_rotation, generator, device) * math.pi / 180
    angle = torch.where(whole, torch.zeros_like(angle), angle)
    mirror = 1 - 2 * (torch.rand(batch, generator=generator, device=device) < 0.5).float()
    shift_x = uniform(batch, -1, 1, generator, device) * (1 - scale)
    shift_y = uniform(batch, -1, 1, generator, device) * (1 - scale)
    aspect = width / height
    theta = torch.stack(
        [
            torch.stack([mirror * scale * angle.cos(), -scale * angle.sin() / aspect, shift_x], 1),
            torch.stack([mirror * scale * angle.sin() * aspect, scale * angle.cos(), shift_y], 1),
        ],
        dim=1,
    )
    fine = F.affine_grid(theta, [batch, 3, 2 * height, 2 * width], align_corners=False)
    # Sampled twice as fine and averaged: no aliasing.
    rgb = F.avg_pool2d(F.grid_sample(rgb, fine, mode='bilinear', align_corners=False), 2)
    grid = F.affine_grid(theta, [batch, 1, height, width], align_corners=False)
    views = [F.grid_sample(d, grid, mode='nearest', align_corners=False) for d in depths]
    return rgb, views


def random_colours(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """Vary exposure, contrast, gamma, saturation, cast, sharpness and noise of (B, 3, H, W)."""
    batch, device = rgb.shape[0], rgb.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        size = (batch, *(shape or (1, 1, 1)))
        return low + (high - low) * torch.rand(size, generator=generator, device=device)

    blurred = F.avg_pool2d(rgb, 3, 1, 1, count_include_pad=False)
    rgb = torch.where(draw(0, 1) < 0.25, blurred, rgb)
    grey = rgb.mean(dim=1, keepdim=True)
    saturation = torch.where(draw(0, 1) < 0.08, torch.zeros_like(draw(0, 1)), draw(0.6, 1.3))
    rgb = grey + saturation * (rgb - grey)
    rgb = rgb * draw(0.85, 1.15, 3, 1, 1)
    rgb = rgb.clamp(min=1e-4) ** draw(0.7, 1.4)
    rgb = (rgb - 0.45) * draw(0.7, 1.3) + 0.45 * draw(0.6, 1.4)
    noise = torch.randn(rgb.shape, generator=generator, device=device)
    return (rgb + draw(0.0, 0.03) * noise).clamp(0, 1)
