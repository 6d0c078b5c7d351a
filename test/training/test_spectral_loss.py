# SPDX-License-Identifier: Apache-2.0
"""The joint loss: what its spectral terms measure, and what unknown targets may not do."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.output import NetworkOutput
from magadepth_training.spectral_loss import (
    joint_loss,
    spectral_terms,
)


@pytest.fixture
def target():
    generator = torch.Generator().manual_seed(0)
    return 2 + torch.rand(2, 1, 12, 16, generator=generator)


def test_amplitude_and_phase_terms_split_the_error_of_a_wave():
    x = torch.arange(16) * (2 * torch.pi / 16)
    wave = (4 + torch.cos(2 * x)).expand(1, 1, 8, 16)
    known = torch.ones_like(wave)

    stronger = spectral_terms((4 + 2 * torch.cos(2 * x)).expand_as(wave), wave, known)
    moved = spectral_terms((4 + torch.cos(2 * x + 1)).expand_as(wave), wave, known)

    # A stronger wave is an error of amplitude, a moved one an error of phase.
    assert stronger[0] > 0.05
    assert stronger[1] < 1e-3
    assert moved[0] < 1e-3
    assert moved[1] > 0.05


def test_terms_vanish_only_without_error(target):
    known = torch.ones_like(target)

    same = spectral_terms(target, target, known)
    rolled = spectral_terms(torch.roll(target, 3, 3), target, known)

    assert max(same) < 1e-3
    # A cyclic shift changes no amplitude.
    assert rolled[0] < 1e-3
    assert rolled[1] > 0.01


def test_unknown_targets_neither_cost_nor_pull(target):
    predicted = (target + 0.3).requires_grad_()
    holey = target.clone()
    holey[..., 4:8, 4:8] = 0

    terms = joint_loss(NetworkOutput(predicted, None, (predicted,)), holey, torch.ones_like(holey))
    sum(terms.values()).backward()

    assert predicted.grad[..., 4:8, 4:8].abs().max() == 0
    assert (predicted.grad != 0).float().mean() > 0.5


def test_without_any_known_target_the_loss_is_zero_and_finite(target):
    predicted = target.clone().requires_grad_()
    variance = torch.zeros_like(target, requires_grad=True)

    nothing = torch.zeros_like(target)
    output = NetworkOutput(predicted, variance)
    loss = sum(joint_loss(output, nothing, torch.ones_like(target)).values())
    loss.backward()

    assert loss < 1e-4
    assert torch.isfinite(predicted.grad).all()


def test_terms_are_relative_to_the_scale_of_the_scene(target):
    weight = torch.ones_like(target)

    near = joint_loss(NetworkOutput(target * 1.1), target, weight)
    far = joint_loss(NetworkOutput(target * 3.3), target * 3, weight)

    for name in near:
        torch.testing.assert_close(near[name], far[name], rtol=1e-3, atol=1e-5)


def test_measured_pixels_count_less_where_their_weight_is_less(target):
    predicted = target.clone()
    predicted[..., :6, :] += 0.2
    low = torch.ones_like(target)
    low[..., :6, :] = 0.1

    full = joint_loss(NetworkOutput(predicted), target, torch.ones_like(target))
    less = joint_loss(NetworkOutput(predicted), target, low)

    assert less['amplitude'] < 0.5 * full['amplitude']
    assert less['phase'] < 0.5 * full['phase']
