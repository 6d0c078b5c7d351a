# SPDX-License-Identifier: Apache-2.0
"""Eq. 8 and 9 and the robust losses against hand-computed cases and naive loops."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.losses import (
    FILL_ERROR_OFFSET,
    choice_loss,
    laplacian,
    paper_loss,
    structure_consistency,
    weighted_mean,
)
from magadepth_training.networks.output import NetworkOutput
from magadepth_training.networks.surfaces.candidates import Candidates
from magadepth_training.networks.surfaces.choice import Choice


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

    assert paper_loss(output, target, structure=0).keys() == {'mse'}
    assert paper_loss(output, target, mse=0).keys() == {'structure'}


def test_what_is_predicted_at_unknown_targets_does_not_matter():
    predicted, target = maps(height=12, width=14, unknown=0.03)
    other = torch.where(target > 0, predicted, predicted + 50)

    one, two = (paper_loss(NetworkOutput(depth), target) for depth in (predicted, other))

    for name in one:
        assert one[name] > 0
        torch.testing.assert_close(one[name], two[name])


def test_a_perfect_depth_costs_nothing_and_no_target_neither():
    _, target = maps(unknown=0)

    for truth in (target, torch.zeros_like(target)):
        assert all(value == 0 for value in paper_loss(NetworkOutput(target), truth).values())


def choosing(relative, others=(1.5, 0.8), logits=None):
    """
    Return an output whose frames, of mean depth 2 m, are 2 * ``relative`` metres deep.

    The first candidate, the fill, is at 2.4 m, the others at 2 * ``others`` metres.
    """
    shape = relative.shape
    depths = torch.stack([torch.full(shape, c)[:, 0] for c in (1.2, *others)], dim=1)
    scale = torch.full((shape[0], 1, 1, 1), 2.0)
    candidates = Candidates(
        depths, torch.log(depths), torch.ones(shape), torch.zeros(shape), scale, []
    )
    logits = torch.zeros_like(depths) if logits is None else logits
    choice = Choice(logits, torch.zeros(shape))
    return NetworkOutput(2 * relative, None, choice, candidates)


def test_the_relative_term_by_hand():
    """A wall of 2 m, taken for 2.2 m, that the fill takes for 2.4 m: 0.1 / (0.2 + 0.02)."""
    target, depth = torch.full((1, 1, 8, 8), 2.0), torch.zeros(1, 1, 8, 8)

    terms = choice_loss(choosing(torch.full((1, 1, 8, 8), 1.1)), depth, target)

    assert terms['relative'].item() == pytest.approx(0.1 / (0.2 + FILL_ERROR_OFFSET), rel=1e-5)


def test_only_hidden_pixels_with_a_target_count():
    target, depth = torch.full((1, 1, 8, 8), 2.0), torch.zeros(1, 1, 8, 8)
    depth[..., :2] = 2.0
    target[..., 6:] = 0
    relative = torch.full((1, 1, 8, 8), 1.1)
    other = relative.clone()
    other[..., :2] = 7.0
    other[..., 6:] = 9.0

    one, two = (choice_loss(choosing(r), depth, target) for r in (relative, other))

    for name in one:
        torch.testing.assert_close(one[name], two[name])


def test_a_frame_without_hidden_pixels_costs_nothing():
    target = torch.full((2, 1, 8, 8), 2.0)
    relative = torch.full((2, 1, 8, 8), 1.1)
    depth = torch.zeros_like(target)
    alone = choice_loss(choosing(relative[:1]), depth[:1], target[:1])
    depth[1] = target[1]

    both = choice_loss(choosing(relative), depth, target)
    nothing = choice_loss(choosing(relative[:1]), target[:1], target[:1])

    for name, value in alone.items():
        torch.testing.assert_close(both[name], value)
    assert all(value == 0 for value in nothing.values())


def test_the_cross_entropy_is_least_where_the_right_candidate_is_chosen():
    target, depth = torch.full((1, 1, 8, 8), 1.6), torch.zeros(1, 1, 8, 8)

    def entropy(chosen):
        logits = torch.full((1, 3, 8, 8), -5.0)
        logits[:, chosen] = 5.0
        output = choosing(torch.full((1, 1, 8, 8), 0.8), logits=logits)
        return choice_loss(output, depth, target)['choice'].item()

    assert entropy(2) < 0.01 * min(entropy(0), entropy(1))


def test_where_the_candidates_agree_there_is_nothing_to_choose():
    target, depth = torch.full((1, 1, 8, 8), 2.0), torch.zeros(1, 1, 8, 8)
    output = choosing(torch.full((1, 1, 8, 8), 1.1), others=(1.2, 1.2))

    assert choice_loss(output, depth, target)['choice'] == 0


def test_the_loss_knows_no_metres():
    target, depth = torch.full((1, 1, 8, 8), 2.0), torch.zeros(1, 1, 8, 8)
    near = choosing(torch.full((1, 1, 8, 8), 1.1))
    far = near._replace(
        depth=3 * near.depth,
        candidates=near.candidates._replace(scale=3 * near.candidates.scale),
    )

    one, two = choice_loss(near, depth, target), choice_loss(far, depth, 3 * target)

    for name in one:
        torch.testing.assert_close(one[name], two[name])
