# SPDX-License-Identifier: Apache-2.0
"""
The joint spatial and spectral loss of S2ML.

The abstract (see `networks.s2ml`) names such a loss without a formula. The choice here rests on
the law of cosines for two complex coefficients P and T of a unitary transform:

    |P - T|^2 = (|P| - |T|)^2 + |P| |T| |P/|P| - T/|T||^2

The amplitude term is the mean of the first root, the phase term that of the second: both are
parts of the error in the depth's own unit, so plain weights do, and a coefficient without energy
says nothing about its phase.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .losses import mean_target, robust_loss
from .networks.output import NetworkOutput

EPSILON = 1e-4


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
    weight: Tensor,
    amplitude: float = 0.1,
    phase: float = 0.1,
) -> dict[str, Tensor]:
    """
    Return the terms of the joint loss, relative to each frame's mean target depth.

    The spatial part is `robust_loss`: L1, squared error and gradients, L1 at every stage of the
    cascade, and the likelihood. The spectral part compares the last depth only: the stages are
    at 1/4 of the size and cannot have its fine frequencies.

    Parameters
    ----------
    output, target, weight:
        as of `robust_loss`: (B, 1, H, W), metres with 0 = unknown, what a pixel counts.
    amplitude, phase:
        weights of the two spectral terms.

    """
    terms = robust_loss(output, target, weight)
    valid = (target > 0).to(target.dtype)
    scale = mean_target(target)
    known = (weight * valid).clamp(max=1)
    errors = spectral_terms(output.depth / scale, target / scale, known)
    return {**terms, 'amplitude': amplitude * errors[0], 'phase': phase * errors[1]}
