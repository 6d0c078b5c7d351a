# SPDX-License-Identifier: Apache-2.0
"""The joint loss: what its spectral terms measure, and what unknown targets may not do."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from support.networks import frames, tiny_s2ml

from magadepth_training.losses import choice_loss
from magadepth_training.networks.registry import create_network
from magadepth_training.spectral_loss import joint_loss, spectral_terms


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
    known = torch.ones_like(target)
    known[..., 4:8, 4:8] = 0

    sum(spectral_terms(predicted, target, known)).backward()

    assert predicted.grad[..., 4:8, 4:8].abs().max() == 0
    assert (predicted.grad != 0).float().mean() > 0.5


def test_the_joint_loss_is_that_of_the_choice_and_two_spectral_terms():
    rgb, depth = frames()
    net = create_network(tiny_s2ml())
    output = net(rgb, depth)
    target = 1.1 * output.depth.detach()

    joint = joint_loss(output, depth, target)

    for name, value in choice_loss(output, depth, target).items():
        torch.testing.assert_close(joint.pop(name), value)
    assert joint.keys() == {'amplitude', 'phase'}
    assert all(value > 0 for value in joint.values())


def test_without_any_known_target_the_loss_is_zero_and_finite():
    rgb, depth = frames()
    net = create_network(tiny_s2ml()).train()

    loss = sum(joint_loss(net(rgb, depth), depth, torch.zeros_like(depth)).values())
    loss.backward()

    assert loss < 1e-4
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
