# SPDX-License-Identifier: Apache-2.0
"""Eq. 8 and 9 and the robust losses against hand-computed cases and naive loops."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.losses import (
    gradient_matching,
    laplacian,
    paper_loss,
    robust_loss,
    structure_consistency,
    weighted_mean,
)
from magadepth_training.networks.output import NetworkOutput


def maps(batch=2, height=6, width=7, unknown=0.2):
    """Return a predicted and a true depth [m], the true one with unknown pixels of 0."""
    generator = torch.Generator().manual_seed(8)
    predicted = 1 + torch.rand(batch, 1, height, width, generator=generator)
    target = 1 + torch.rand(batch, 1, height, width, generator=generator)
    target[torch.rand(target.shape, generator=generator) < unknown] = 0
    return predicted, target


def image(*rows):
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def test_every_frame_counts_alike_however_many_pixels_it_has():
    values = torch.stack([torch.full((1, 2, 2), 1.0), torch.full((1, 2, 2), 5.0)])
    weight = torch.ones(2, 1, 2, 2)
    weight[0, 0, 0] = 0

    assert weighted_mean(values, weight).item() == pytest.approx(3)


def test_weights_are_relative_within_a_frame():
    values = image([1, 4])

    assert weighted_mean(values, image([1, 3])).item() == pytest.approx(3.25)
    assert weighted_mean(values, image([0.1, 0.3])).item() == pytest.approx(3.25)


def test_a_frame_that_counts_nothing_is_left_out():
    values = torch.stack([torch.full((1, 2, 2), 7.0), torch.full((1, 2, 2), 5.0)])
    weight = torch.ones(2, 1, 2, 2)
    weight[0] = 0

    assert weighted_mean(values, weight).item() == pytest.approx(5)
    assert weighted_mean(values, torch.zeros_like(weight)).item() == 0


def test_laplacian_by_hand():
    depth = image([0, 2, 0], [3, 10, 5], [0, 7, 0])

    assert laplacian(depth).tolist() == [[[[2 + 3 + 5 + 7 - 40]]]]


def test_laplacian_of_a_plane_is_0():
    v, u = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing='ij')

    assert not laplacian((2 + 0.5 * u - 0.25 * v)[None, None]).any()


def naive_structure(predicted, target):
    """Eq. 8 averaged over the pixels whose stencil is known, then over frames."""

    def curvature(d, y, x):
        return d[y - 1, x] + d[y + 1, x] + d[y, x - 1] + d[y, x + 1] - 4 * d[y, x]

    frames = []
    for p, t in zip(predicted[:, 0].tolist(), target[:, 0].tolist()):
        p, t = torch.tensor(p), torch.tensor(t)
        errors = [
            float(curvature(p, y, x) - curvature(t, y, x)) ** 2
            for y in range(1, t.shape[0] - 1)
            for x in range(1, t.shape[1] - 1)
            if (t[y - 1 : y + 2, x - 1 : x + 2] > 0).all()
        ]
        frames.append(sum(errors) / len(errors))
    return sum(frames) / len(frames)


@pytest.mark.parametrize('unknown', [0.0, 0.03])
def test_structure_consistency_is_equation_8(unknown):
    predicted, target = maps(height=9, width=10, unknown=unknown)

    got = structure_consistency(predicted, target, (target > 0).float())

    assert got.item() == pytest.approx(naive_structure(predicted, target), rel=1e-5)


@pytest.mark.parametrize(('row', 'column'), [(2, 2), (1, 2), (3, 2), (2, 1), (2, 3)])
def test_a_stencil_with_an_unknown_target_does_not_count(row, column):
    predicted, target = torch.zeros(1, 1, 5, 5), torch.ones(1, 1, 5, 5)
    predicted[..., 2, 2] = 100  # felt by the stencils at and around the centre
    whole = structure_consistency(predicted, target, torch.ones_like(target))
    valid = torch.zeros_like(target)
    valid[..., 1:4, 1:4] = 1  # the centre's stencil alone

    centre = structure_consistency(predicted, target, valid)
    valid[..., row, column] = 0
    cut = structure_consistency(predicted, target, valid)

    assert centre.item() == pytest.approx(400.0**2)
    assert cut == 0
    assert whole > 0


def test_equation_9_by_hand():
    """Flat truth of 2 m, one inner pixel 0.5 m off, of 3x3: MSE 0.25 / 9, Laplacian -2."""
    target = torch.full((1, 1, 3, 3), 2.0)
    predicted = target.clone()
    predicted[..., 1, 1] += 0.5

    terms = paper_loss(NetworkOutput(predicted), target)

    assert terms['mse'].item() == pytest.approx(0.25 / 9)
    assert terms['structure'].item() == pytest.approx(4)
    assert terms.keys() == {'mse', 'structure'}


def test_terms_of_equation_9_are_switched():
    predicted, target = maps()
    output = NetworkOutput(predicted)

    assert paper_loss(output, target, structure=False).keys() == {'mse'}
    assert paper_loss(output, target, mse=False).keys() == {'structure'}


@pytest.mark.parametrize('loss', ['paper', 'robust'])
def test_what_is_predicted_at_unknown_targets_does_not_matter(loss):
    predicted, target = maps(height=12, width=14, unknown=0.03)
    other = torch.where(target > 0, predicted, predicted + 50)

    def total(depth):
        output = NetworkOutput(depth, torch.zeros_like(depth), (depth,))
        if loss == 'paper':
            terms = paper_loss(output, target)
        else:
            terms = robust_loss(output, target, torch.ones_like(target))
        assert all(value > 0 or name == 'likelihood' for name, value in terms.items())
        return terms

    one, two = total(predicted), total(other)
    for name in one:
        torch.testing.assert_close(one[name], two[name])


@pytest.mark.parametrize('loss', [paper_loss, robust_loss])
def test_a_perfect_depth_costs_nothing_and_no_target_neither(loss):
    _, target = maps(unknown=0)
    more = () if loss is paper_loss else (torch.ones_like(target),)

    for truth in (target, torch.zeros_like(target)):
        terms = loss(NetworkOutput(target), truth, *more)
        assert all(value == 0 for value in terms.values())


def naive_gradients(error, weight, scales):
    total = 0.0
    for scale in range(scales):
        step = 2**scale
        e, w = error[0, 0, ::step, ::step], weight[0, 0, ::step, ::step]
        for dy, dx in ((0, 1), (1, 0)):
            sum_, count = 0.0, 0.0
            for y in range(e.shape[0] - dy):
                for x in range(e.shape[1] - dx):
                    pair = min(float(w[y, x]), float(w[y + dy, x + dx]))
                    sum_ += pair * abs(float(e[y + dy, x + dx] - e[y, x]))
                    count += pair
            total += sum_ / count if count else 0
    return total / scales


def test_gradient_matching_is_the_naive_loop():
    predicted, target = maps(batch=1, height=17, width=18)
    weight = (target > 0) * torch.rand(target.shape, generator=torch.Generator().manual_seed(1))

    got = gradient_matching(predicted - target, weight, scales=3)

    assert got.item() == pytest.approx(naive_gradients(predicted - target, weight, 3), rel=1e-5)


def test_a_constant_offset_has_no_gradient():
    assert gradient_matching(torch.full((1, 1, 16, 16), 0.3), torch.ones(1, 1, 16, 16)) == 0


def test_robust_terms_by_hand():
    """Everywhere 10 % off a flat wall of 2 m."""
    target = torch.full((1, 1, 16, 16), 2.0)
    output = NetworkOutput(1.1 * target, stages=(0.5 * target,))

    terms = robust_loss(output, target, torch.ones_like(target))

    expected = {'absolute': 0.1, 'squared': 2 * 0.01, 'gradient': 0, 'stage_0': 0.25}
    assert {n: v.item() for n, v in terms.items()} == pytest.approx(expected, abs=1e-6)


def test_robust_loss_is_relative_to_the_scene():
    predicted, target = maps(unknown=0.1)
    weight = torch.ones_like(target)
    near = robust_loss(NetworkOutput(predicted), target, weight)
    far = robust_loss(NetworkOutput(3 * predicted), 3 * target, weight)

    for name in near:
        torch.testing.assert_close(near[name], far[name])


def test_weights_say_where_errors_count():
    target = torch.full((1, 1, 8, 8), 2.0)
    predicted = target.clone()
    predicted[..., :4] += 0.2
    weight = torch.ones_like(target)
    weight[..., :4] = 0

    assert robust_loss(NetworkOutput(predicted), target, weight)['absolute'] == 0
    assert robust_loss(NetworkOutput(predicted), target, 1 - weight)[
        'absolute'
    ].item() == pytest.approx(0.1)


def test_likelihood_teaches_the_variance_and_not_the_depth():
    predicted, target = maps(unknown=0)
    predicted.requires_grad_()
    log_variance = torch.zeros_like(target, requires_grad=True)

    terms = robust_loss(NetworkOutput(predicted, log_variance), target, torch.ones_like(target))
    terms['likelihood'].backward()

    assert predicted.grad is None or not predicted.grad.any()
    assert log_variance.grad.any()


def test_likelihood_is_least_where_the_variance_is_the_squared_error():
    """A wall of 2 m, 0.3 m off: the best log-variance is ln 0.09."""
    target = torch.full((1, 1, 8, 8), 2.0)
    best = math.log(0.3**2)

    def likelihood(log_variance):
        output = NetworkOutput(target + 0.3, torch.full_like(target, log_variance))
        return robust_loss(output, target, torch.ones_like(target))['likelihood'].item()

    assert likelihood(best) < min(likelihood(best - 0.1), likelihood(best + 0.1))
