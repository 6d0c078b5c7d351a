# SPDX-License-Identifier: Apache-2.0
"""
The joint spatial and spectral loss of S2ML.

The abstract (see `networks.s2ml.network`) names such a loss without a formula. The choice here
rests on the law of cosines for two complex coefficients P and T of a unitary transform:

    |P - T|^2 = (|P| - |T|)^2 + |P| |T| |P/|P| - T/|T||^2

The amplitude term is the mean of the first root, the phase term the mean of the second. Both are
errors in the depth's own unit, so that plain weights suffice. A coefficient without energy adds
nothing to the phase term.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .losses import choice_loss
from .networks.output import NetworkOutput

EPSILON = 1e-4
WEIGHT = 0.1
"""Weight of the two spectral terms in `joint_loss`."""


def spectral_terms(predicted: Tensor, target: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """
    Compare two depths by amplitude and by phase.

    Where the target is unknown, the prediction is compared with itself, without a gradient, so
    that the network does not learn the outlines of the target's holes as frequencies.

    Parameters
    ----------
    predicted, target:
        (B, 1, H, W), any one unit.
    known:
        (B, 1, H, W) in 0..1, weight of the target.

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
    depth: Tensor,
    target: Tensor,
    *,
    cross_entropy: float = 0.03,
    structure: float = 0.0,
) -> dict[str, Tensor]:
    """Return the terms of `choice_loss` and the two spectral ones, relative to the mean depth."""
    terms = choice_loss(output, depth, target, cross_entropy=cross_entropy, structure=structure)
    scale, known = output.candidates.scale, (target > 0).to(target.dtype)
    amplitude, phase = spectral_terms(output.depth / scale, target / scale, known)
    return {**terms, 'amplitude': WEIGHT * amplitude, 'phase': WEIGHT * phase}
