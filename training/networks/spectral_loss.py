# SPDX-License-Identifier: Apache-2.0
"""
The joint spatial and spectral loss of S2ML.

The abstract (see `s2ml`) names such a loss without a formula. The choice here rests on the law of
cosines for two complex coefficients P and T of a unitary transform:

    |P - T|^2 = (|P| - |T|)^2 + |P| |T| |P/|P| - T/|T||^2

The amplitude term is the mean of the first root, the phase term that of the second: both are
parts of the error in the depth's own unit, so plain weights do, and a coefficient without energy
says nothing about its phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .output import NetworkOutput

EPSILON = 1e-4


@dataclass(frozen=True)
class JointWeights:
    """Weights of the terms; the last stage's L1 counts ``stage``, each earlier ``decay`` less."""

    absolute: float = 1.0
    amplitude: float = 0.1
    phase: float = 0.1
    stage: float = 0.5
    decay: float = 0.8
    likelihood: float = 0.02


def spectral_terms(predicted: Tensor, target: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """
    Compare two depths by amplitude and by phase.

    Where the target is unknown, the prediction stands on both sides, without a gradient: the
    outline of a hole in the target is no frequency that the network should learn.

    Parameters
    ----------
    predicted, target:
        (B, 1, H, W), any one unit.
    known:
        (B, 1, H, W) in 0..1, how far a target counts.

    Returns
    -------
    tuple
        mean amplitude error and mean phase error, scalars in that unit.

    """
    with torch.autocast(predicted.device.type, enabled=False):
        predicted, target, known = predicted.float(), target.float(), known.float()
        neutral = predicted.detach()
        ours = torch.fft.rfft2(torch.lerp(neutral, predicted, known), norm='ortho')
        theirs = torch.fft.rfft2(torch.lerp(neutral, target, known), norm='ortho')
        our_size, their_size = ours.abs(), theirs.abs()
        amplitude = (our_size - their_size).abs().mean()
        ours, theirs = torch.view_as_real(ours), torch.view_as_real(theirs)
        apart = ours / (our_size[..., None] + EPSILON) - theirs / (their_size[..., None] + EPSILON)
        # Detached, and the smaller of the two rather than their root: the gradient stays bounded
        # where the prediction has hardly any energy.
        energy = torch.minimum(our_size, their_size).detach()
        phase = (energy * torch.sqrt(apart.square().sum(dim=-1) + EPSILON**2)).mean()
        return amplitude, phase


def joint_loss(
    output: NetworkOutput,
    target: Tensor,
    weight: Tensor | None = None,
    weights: JointWeights | None = None,
) -> dict[str, Tensor]:
    """
    Return the weighted terms, relative to each frame's mean target depth; their sum is the loss.

    Parameters
    ----------
    output:
        a network's answer, (B, 1, H, W).
    target:
        (B, 1, H, W) metres, 0 = unknown.
    weight:
        (B, 1, H, W), not negative, what a pixel counts; 1 without it. Unknown targets count 0.
    weights:
        of the terms.

    """
    weights = weights or JointWeights()
    valid = (target > 0).float()
    weight = valid if weight is None else weight * valid
    count = valid.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    scale = (target.sum(dim=(2, 3), keepdim=True) / count).clamp(min=0.1)
    total = weight.sum().clamp(min=1e-6)

    def absolute(depth: Tensor) -> Tensor:
        return ((depth - target).abs() / scale * weight).sum() / total

    amplitude, phase = spectral_terms(output.depth / scale, target / scale, weight.clamp(max=1))
    terms = {
        'absolute': weights.absolute * absolute(output.depth),
        'amplitude': weights.amplitude * amplitude,
        'phase': weights.phase * phase,
    }
    for i, stage in enumerate(output.stages):
        steps_to_last = len(output.stages) - 1 - i
        terms[f'stage_{i}'] = weights.stage * weights.decay**steps_to_last * absolute(stage)
    if output.log_variance is not None:
        relative = output.log_variance - 2 * torch.log(scale)
        squared = ((output.depth.detach() - target) / scale) ** 2
        likelihood = 0.5 * (squared * torch.exp(-relative) + relative)
        terms['likelihood'] = weights.likelihood * (likelihood * weight).sum() / total
    return terms
