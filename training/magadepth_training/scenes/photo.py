# SPDX-License-Identifier: Apache-2.0
"""From linear light to a camera's picture: exposure, colour cast, blur, noise, compression."""

from __future__ import annotations

import torch
from torch.nn import functional

from magadepth_training.scenes.draws import Draws


def window_mean(image: torch.Tensor, size: int) -> torch.Tensor:
    """Mean of (B, C, H, W) over size x size pixels (odd), smaller windows at the border."""
    return functional.avg_pool2d(image, size, 1, size // 2, count_include_pad=False)


def smooth3(image: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """Blend with a 3x3 mean by ``amount`` (B, 1, 1, 1)."""
    return torch.lerp(image, window_mean(image, 3), amount)


def _motion(image: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Blur every fourth picture along its rows or columns, by a length of its own."""
    out = image.clone()
    for first, kernel in ((1, (1, 9)), (5, (9, 1))):
        some = slice(first, None, 8)
        pad = (kernel[0] // 2, kernel[1] // 2)
        mean = functional.avg_pool2d(image[some], kernel, 1, pad, count_include_pad=False)
        out[some] = torch.lerp(image[some], mean, draws.rand(1, 1, 1)[some])
    return out


def occlusion(depth: torch.Tensor) -> torch.Tensor:
    """Return the darkening of creases and contacts by depth; (B, 1, H, W) in 0.78..1."""
    size = max(3, depth.shape[-1] // 24 * 2 + 1)
    mean = window_mean(depth, size)
    deeper = ((depth - mean) / (0.06 * depth)).clamp(0.0, 1.0)
    return 1.0 - 0.22 * window_mean(deeper, 3)


def develop(light: torch.Tensor, depth: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Turn linear light (B, 3, H, W) into a picture (B, 3, H, W) in 0..1."""
    height, width = light.shape[-2:]
    image = light * torch.lerp(torch.ones_like(depth), occlusion(depth), draws.rand(1, 1, 1))
    mean = image.mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
    image = image * (draws.log_uniform(0.16, 0.6, 1, 1, 1) / mean)
    image = image * (1.0 + 0.08 * draws.randn(3, 1, 1)).clamp(0.8, 1.25)
    y = torch.linspace(-1, 1, height, device=light.device)[:, None]
    x = torch.linspace(-1, 1, width, device=light.device)
    image = image * (1.0 - draws.uniform(0.0, 0.25, 1, 1, 1) * (x * x + y * y) * 0.5)
    # A shoulder as cameras have it, instead of a hard clip.
    image = torch.where(image < 0.7, image, 0.7 + 0.3 * torch.tanh((image - 0.7) / 0.45))
    image = image.clamp(0.0, 1.0) ** (1.0 / draws.uniform(1.8, 2.4, 1, 1, 1))
    image = _motion(image, draws)
    image = smooth3(image, draws.uniform(0.1, 0.9, 1, 1, 1))
    noise = draws.randn(3, height, width) * draws.log_uniform(0.002, 0.025, 1, 1, 1)
    image = image + smooth3(noise, draws.rand(1, 1, 1))
    # Compression keeps brightness and smears colour.
    grey = image.mean(1, keepdim=True)
    colour = window_mean(image - grey, 3)
    return torch.lerp(image, grey + colour, draws.rand(1, 1, 1)).clamp_(0.0, 1.0)
