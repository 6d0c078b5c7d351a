# SPDX-License-Identifier: Apache-2.0
"""A smooth fill: push-pull interpolation in the graph."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def halve_valid(value: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """
    Average the valid pixels of 2x2 cells.

    ``value`` (B, C, H, W), 0 where missing, and ``weight`` (B, 1, H, W), 1 = valid, 0 = missing ->
    both at half the size; a cell is valid where any of its pixels is.
    """
    total = F.avg_pool2d(weight, 2)
    # Premultiplied: a value already carries its weight, so dividing by the mean weight leaves the
    # average of the valid pixels alone.
    mean = F.avg_pool2d(value, 2) / total.clamp(min=1e-6)
    weight = (4 * total).clamp(max=1)
    return mean * weight, weight


def enlarge(x: Tensor) -> Tensor:
    """
    (B, C, H, W) -> (B, C, 2 H, 2 W), bilinear, as `torch.nn.functional.interpolate` does it.

    In arithmetic, because runtimes resize a channel or two of a large map slowly.
    """
    wide = F.pad(x, (1, 1, 1, 1), mode='replicate')
    quarters = []
    for beside in (wide[..., :-2, :], wide[..., 2:, :]):
        row = 0.75 * wide[..., 1:-1, :] + 0.25 * beside
        middle = 0.75 * row[..., 1:-1]
        quarters += [middle + 0.25 * row[..., :-2], middle + 0.25 * row[..., 2:]]
    return F.pixel_shuffle(torch.stack(quarters, dim=2).flatten(1, 2), 2)


def push_pull(depth: Tensor, valid: Tensor) -> Tensor:
    """
    Fill the missing pixels from a pyramid of averages of the valid ones.

    Pull: each level averages the valid pixels of 2x2 cells of the finer one. Push: from the
    coarsest level back, a missing cell takes the bilinearly enlarged coarser value. Only
    pooling, padding, resizing and arithmetic, so every runtime takes it. After Gortler et al.,
    The Lumigraph, SIGGRAPH 1996 (section 3.4).

    Parameters
    ----------
    depth:
        (B, C, H, W), any value where missing.
    valid:
        (B, 1, H, W), 1 = measured, 0 = missing.

    Returns
    -------
    Tensor
        (B, C, H, W): the input where valid, an interpolation elsewhere; 0 without any valid pixel.

    """
    values, weights = [torch.where(valid > 0, depth, 0.0)], [valid]
    while max(values[-1].shape[-2:]) > 1:
        value, weight = values[-1], weights[-1]
        height, width = int(value.shape[-2]), int(value.shape[-1])
        if height % 2 or width % 2:
            pad = (0, width % 2, 0, height % 2)
            value, weight = F.pad(value, pad), F.pad(weight, pad)
        value, weight = halve_valid(value, weight)
        values.append(value)
        weights.append(weight)
    filled = values[-1]
    for value, weight in zip(values[-2::-1], weights[-2::-1]):
        size = (int(value.shape[-2]), int(value.shape[-1]))
        # The coarser level may be padded: enlarge by exactly two and cut.
        twice = (2 * int(filled.shape[-2]), 2 * int(filled.shape[-1]))
        enlarged = F.interpolate(filled, size=twice, mode='bilinear', align_corners=False)
        filled = value + (1 - weight) * enlarged[..., : size[0], : size[1]]
    return filled


def mean_valid(depth: Tensor, valid: Tensor, otherwise: float) -> Tensor:
    """(B, 1, 1, 1) mean depth [m] of the valid pixels, or `otherwise` where there is none."""
    share = valid.mean(dim=(2, 3), keepdim=True)
    mean = (depth * valid).mean(dim=(2, 3), keepdim=True) / share.clamp(min=1e-6)
    return torch.where(share > 0, mean, torch.full_like(mean, otherwise))
