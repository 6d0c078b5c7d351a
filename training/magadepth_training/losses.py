# SPDX-License-Identifier: Apache-2.0
"""Losses: the paper's (Eq. 8 and 9), and the robust ones of the shipped recipe."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .networks.output import NetworkOutput


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """
    Mean over each frame's (B, 1, H, W) values under weights, then over frames.

    Every frame counts alike, however many pixels of it are weighed; one without any counts not.
    """
    total = weight.sum(dim=(1, 2, 3))
    means = (values * weight).sum(dim=(1, 2, 3)) / total.clamp(min=1e-6)
    counts = (total > 0).to(means.dtype)
    return (means * counts).sum() / counts.sum().clamp(min=1)


def laplacian(depth: Tensor) -> Tensor:
    """Return the 4-neighbour Laplacian of (B, 1, H, W), at the inner pixels: (B, 1, H-2, W-2)."""
    inner = depth[..., 1:-1, 1:-1]
    around = depth[..., :-2, 1:-1] + depth[..., 2:, 1:-1] + depth[..., 1:-1, :-2]
    return around + depth[..., 1:-1, 2:] - 4 * inner


def structure_consistency(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """
    Compare the Laplacians (Eq. 8) where the whole stencil has a target.

    The squared norm is averaged over pixels, so that it has the scale of the mean squared error
    beside it (Eq. 9); all arguments (B, 1, H, W), depth in metres, valid 0 or 1.
    """
    holes = F.max_pool2d(1 - valid, 3, stride=1)
    return weighted_mean((laplacian(predicted) - laplacian(target)) ** 2, 1 - holes)


def paper_loss(
    output: NetworkOutput, target: Tensor, *, mse: bool = True, structure: bool = True
) -> dict[str, Tensor]:
    """Return the terms of Eq. 9 [m^2] where ``target`` (B, 1, H, W) metres is known (> 0)."""
    valid = (target > 0).to(target.dtype)
    terms = {}
    if mse:
        terms['mse'] = weighted_mean((output.depth - target) ** 2, valid)
    if structure:
        terms['structure'] = structure_consistency(output.depth, target, valid)
    return terms


def gradient_matching(error: Tensor, weight: Tensor, scales: int = 4) -> Tensor:
    """
    Return the mean absolute gradient of a (B, 1, H, W) error at several scales.

    A difference of two pixels counts with the smaller of their weights. Scale s compares every
    2^s-th pixel, after Li and Snavely, MegaDepth, CVPR 2018, Eq. 4.
    """
    total = error.new_zeros(())
    for scale in range(scales):
        step = 2**scale
        e, w = error[..., ::step, ::step], weight[..., ::step, ::step]
        right = torch.minimum(w[..., 1:], w[..., :-1])
        down = torch.minimum(w[..., 1:, :], w[..., :-1, :])
        total = total + weighted_mean((e[..., 1:] - e[..., :-1]).abs(), right)
        total = total + weighted_mean((e[..., 1:, :] - e[..., :-1, :]).abs(), down)
    return total / scales


def mean_target(target: Tensor) -> Tensor:
    """(B, 1, 1, 1) mean known target depth of each frame [m], at least 0.1; 0 = unknown."""
    valid = (target > 0).to(target.dtype)
    known = valid.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    return ((target * valid).sum(dim=(2, 3), keepdim=True) / known).clamp(min=0.1)


def robust_loss(output: NetworkOutput, target: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """
    Return the terms of the shipped recipe, relative to each frame's mean target depth.

    Absolute and squared error, gradient matching, the same at half the weight for the stages of
    a network that refines, and the Gaussian negative log-likelihood of the error. The error in
    the likelihood is detached: confidence learns from the depth, never the other way round.

    Parameters
    ----------
    output:
        a network's answer, (B, 1, H, W).
    target:
        (B, 1, H, W) metres, 0 = unknown.
    weight:
        (B, 1, H, W), not negative; what a pixel counts. Unknown targets count 0 in any case.

    """
    valid = (target > 0).to(target.dtype)
    weight = weight * valid
    scale = mean_target(target)
    error = (output.depth - target) / scale
    terms = {
        'absolute': weighted_mean(error.abs(), weight),
        'squared': 2 * weighted_mean(error.clamp(-1, 1) ** 2, weight),
        'gradient': 0.5 * gradient_matching(error, weight),
    }
    for i, stage in enumerate(output.stages):
        terms[f'stage_{i}'] = 0.5 * weighted_mean(((stage - target) / scale).abs(), weight)
    if output.log_variance is not None:
        relative = output.log_variance - 2 * torch.log(scale)
        squared = error.detach() ** 2
        likelihood = 0.5 * (squared * torch.exp(-relative) + relative)
        terms['likelihood'] = 0.02 * weighted_mean(likelihood, weight)
    return terms
