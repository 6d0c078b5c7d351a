# SPDX-License-Identifier: Apache-2.0
"""Losses: the paper's (Eq. 8 and 9), and the loss of the choosing networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .networks.output import NetworkOutput


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """
    Return the weighted mean of each frame's (B, 1, H, W) values, averaged over the frames.

    Every frame counts alike, whatever its number of weighted pixels; frames without any are left
    out.
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
    output: NetworkOutput, target: Tensor, *, mse: float = 1.0, structure: float = 1.0
) -> dict[str, Tensor]:
    """Return the weighed terms of Eq. 9 [m^2] where ``target`` (B, 1, H, W) m is known (> 0)."""
    valid = (target > 0).to(target.dtype)
    terms = {}
    if mse:
        terms['mse'] = mse * weighted_mean((output.depth - target) ** 2, valid)
    if structure:
        terms['structure'] = structure * structure_consistency(output.depth, target, valid)
    return terms


FILL_ERROR_OFFSET = 0.02
"""Added to the fill's error in the divisor, so that well-filled frames have similar weights."""

TEMPERATURE = 0.015
"""Difference of log depth by which the target weight of a candidate falls to 1/e."""

LEAST_RANGE = 0.02
"""Least range of the candidates' log errors at which the choice matters."""


def choice_loss(
    output: NetworkOutput,
    depth: Tensor,
    target: Tensor,
    *,
    cross_entropy: float = 0.03,
    structure: float = 0.0,
) -> dict[str, Tensor]:
    """
    Return the terms for a network that chooses among candidates.

    The terms are: the relative absolute error at hidden pixels, where each frame's error is
    divided by the error of the fill there (so that frames which no method can fill do not
    dominate); the cross-entropy to a softmin of the candidates' errors, where the candidates
    differ; and, with a weight for it, the paper's structure term (Eq. 8) of the relative depth.

    Parameters
    ----------
    output:
        a network's answer, with ``choice`` and ``candidates``.
    depth, target:
        (B, 1, H, W) metres; 0 = missing, 0 = unknown.

    """
    known = (target > 0).to(target.dtype)
    hidden = known * (depth <= 0)
    true = torch.where(target > 0, target, output.depth.detach())
    error = output.depth / true - 1
    candidates, choice = output.candidates, output.choice
    fill = candidates.depths[:, :1] * candidates.scale
    count = hidden.sum(dim=(1, 2, 3)).clamp(min=1)
    fill_error = (hidden * (fill / true - 1).abs()).sum(dim=(1, 2, 3)) / count
    balanced = hidden / (fill_error.reshape(-1, 1, 1, 1) + FILL_ERROR_OFFSET)
    counts = (hidden.sum(dim=(1, 2, 3)) >= 20).to(count.dtype)
    share = counts / counts.sum().clamp(min=1) / count

    def mean(values: Tensor, weight: Tensor) -> Tensor:
        return ((values * weight).sum(dim=(1, 2, 3)) * share).sum()

    terms = {'relative': mean(error.abs(), balanced)}
    log_errors = (candidates.logs - torch.log(true / candidates.scale)).abs()
    least, largest = log_errors.aminmax(dim=1, keepdim=True)
    matters = (largest - least > LEAST_RANGE) * hidden
    wanted = torch.softmax(-log_errors / TEMPERATURE, dim=1)
    entropy = F.cross_entropy(choice.logits, wanted, reduction='none')[:, None]
    terms['choice'] = cross_entropy * mean(entropy, matters)
    if structure:
        relative = output.depth / candidates.scale, true / candidates.scale
        terms['structure'] = structure * structure_consistency(*relative, known)
    return terms
