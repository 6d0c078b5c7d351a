# SPDX-License-Identifier: Apache-2.0
"""Networks that choose: the fill they start from, what they keep, and that all of them learns."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip('torch')

from support.networks import (
    HEIGHT,
    SHRUNK_CHOOSER,
    WIDTH,
    frames,
    shaken,
    tiny_chooser,
    tiny_s2ml,
)

from magadepth_training.losses import choice_loss
from magadepth_training.networks.registry import create_network
from magadepth_training.networks.surfaces.candidates import Candidates
from magadepth_training.networks.surfaces.choice import FACTOR, Choice, chosen
from magadepth_training.networks.surfaces.chooser import halve_log_depth, squeezed
from magadepth_training.networks.surfaces.observations import COUNT

LITTLE = [tiny_chooser(), tiny_s2ml()]


def network(config):
    torch.manual_seed(0)
    return create_network(config)


@pytest.mark.parametrize('config', LITTLE, ids=lambda c: c.name)
@pytest.mark.parametrize('far', [0.05, 1.0, 8.0])
def test_output_is_complete_in_metres_and_measured_pixels_stay(config, far):
    rgb, depth = frames()

    output = shaken(network(config))(rgb, far * depth)

    assert output.depth.shape == output.log_variance.shape == depth.shape
    assert output.depth.dtype == torch.float32
    assert (output.depth > 0).all() and torch.isfinite(output.log_variance).all()
    measured = depth > 0
    torch.testing.assert_close(output.depth[measured], far * depth[measured])


@pytest.mark.parametrize('config', LITTLE, ids=lambda c: c.name)
def test_an_untrained_network_is_nearly_the_guided_fill(config):
    rgb, depth = frames()
    fill = create_network('guided_fill', height=HEIGHT, width=WIDTH)

    output, filled = network(config).eval()(rgb, depth), fill(rgb, depth)

    others = output.candidates.depths[:, 1:] * output.candidates.scale
    assert (output.depth - filled.depth).abs().mean() < 0.3 * (others - filled.depth).abs().mean()


@pytest.mark.parametrize('factor', [0.1, 0.5, 2.0, 20.0])
def test_a_scene_of_another_size_is_completed_alike(factor):
    rgb, depth = frames()
    net = shaken(network(tiny_chooser()), spread=0.2)

    one, scaled = net(rgb, depth), net(rgb, factor * depth)

    torch.testing.assert_close(scaled.depth, factor * one.depth, atol=1e-4, rtol=1e-4)
    grown = scaled.log_variance - one.log_variance
    wanted = 2 * torch.log(torch.tensor(factor)).expand_as(grown)
    torch.testing.assert_close(grown, wanted, atol=2e-3, rtol=0)


@pytest.mark.parametrize('config', LITTLE, ids=lambda c: c.name)
@pytest.mark.parametrize('measured', ['nothing', 'one pixel', 'everything'])
def test_extreme_inputs_give_finite_outputs_and_gradients(config, measured):
    rgb, depth = frames()
    depth = torch.full_like(depth, 2.0) if measured == 'everything' else torch.zeros_like(depth)
    if measured == 'one pixel':
        depth[..., 5, 7] = 2.0
    net = network(config).train()
    target = torch.full_like(depth, 1.5)

    with torch.autocast('cpu', dtype=torch.bfloat16):
        output = net(rgb, depth)
    sum(choice_loss(output, depth, target).values()).backward()

    assert torch.isfinite(output.depth).all() and torch.isfinite(output.log_variance).all()
    grads = [p.grad for p in net.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(g).all() for g in grads)


def test_frames_of_a_batch_do_not_mix():
    rgb, depth = frames(batch=3)
    net = shaken(network(tiny_chooser()))

    whole, alone = net(rgb, depth).depth, net(rgb[1:2], depth[1:2]).depth

    torch.testing.assert_close(whole[1:2], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('fields', [{}, {'conv': 'vanilla'}, {'fusion': 'concat'}])
def test_every_parameter_learns(fields):
    # Large enough for a window of 7x7 at 1/16 that lies inside by more than a half.
    rgb, depth = frames(height=96, width=128)
    depth[0, :, :, 70:] = 0  # a hole that every layer still sees
    net = network(tiny_chooser(height=96, width=128, **fields)).train()
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0)
    target = 1.2 * net(rgb, depth).depth.detach()
    for _ in range(4):
        optimizer.zero_grad()
        sum(choice_loss(net(rgb, depth), depth, target).values()).backward()
        optimizer.step()

    assert not [n for n, p in net.named_parameters() if torch.equal(p, before[n])]


def test_the_expected_error_grows_with_the_fills_doubt_and_where_candidates_compete():
    valid, scale = torch.tensor([[[[0.0, 0.0, 0.0, 1.0]]]]), torch.full((1, 1, 1, 1), 2.0)
    depths = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.2, 1.2, 1.2, 1.0]])[None, :, None]
    deviation = torch.tensor([0.01, 0.04, 0.01, 0.0])[None, None, None]
    logits = torch.tensor([[9.0, 9.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])[None, :, None]
    candidates = Candidates(depths, torch.log(depths), deviation, valid, scale, [])

    output = chosen(candidates, Choice(logits, torch.zeros_like(valid)))

    error = torch.exp(0.5 * output.log_variance) / output.depth
    sure, doubtful, competing, _ = error.flatten()
    assert sure < doubtful < competing
    # The depth is the geometric mean: half of the mixture is 9 % nearer, half 9 % farther.
    torch.testing.assert_close(output.depth.flatten()[2], torch.tensor(2 * 1.2**0.5))
    wanted = 0.001 + 0.7 * ((0.5 * math.log(1.2)) ** 1.5 + 0.01**1.5)
    torch.testing.assert_close(competing, torch.tensor(wanted), atol=1e-5, rtol=0)


def test_a_frame_without_depth_is_in_greatest_doubt():
    rgb, depth = frames()
    depth[0] = 0

    doubt = network(tiny_chooser()).eval()(rgb, depth).log_variance

    assert doubt[0].min() > doubt[1:].max()


def test_input_size_must_be_a_multiple_of_16():
    with pytest.raises(ValueError, match='multiples of 16'):
        create_network('magadepth_small', **{**SHRUNK_CHOOSER, 'height': 24})


def test_the_log_depth_is_halved_by_the_mean_of_the_measured():
    depth = torch.tensor([[1.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])[None, None]

    logs, missing = halve_log_depth(depth)

    torch.testing.assert_close(logs[0, 0], torch.tensor([[0.5 * 1.3862944, 0.0]]))
    assert missing[0, 0].tolist() == [[0.0, 1.0]]


def test_the_squeeze_is_that_of_cells_of_two_by_two_pixels():
    squeeze = shaken(network(tiny_chooser())).squeeze
    shown = torch.rand(2, COUNT, 8, 12, generator=torch.Generator().manual_seed(6))

    torch.testing.assert_close(
        squeezed(squeeze, shown), squeeze(torch.nn.functional.pixel_unshuffle(shown, 2))
    )


def test_the_head_shuffles_four_pixels_of_each_answer_to_full_size():
    head = shaken(network(tiny_chooser())).head
    features = torch.rand(2, 4, 3, 5, generator=torch.Generator().manual_seed(7))

    choice = head(features)

    whole = torch.nn.functional.pixel_shuffle(head.answer(features), 2)
    torch.testing.assert_close(choice.logits, whole[:, :-1])
    torch.testing.assert_close(choice.factor, FACTOR * torch.tanh(whole[:, -1:]))


def test_it_chooses_among_the_first_of_the_candidates_alone():
    rgb, depth = frames()
    config = replace(tiny_chooser(), candidates=3)

    output = shaken(network(config))(rgb, depth)

    assert output.choice.logits.shape[1] == output.candidates.depths.shape[1] == 3
    offered = output.candidates.depths * output.candidates.scale * torch.exp(output.choice.factor)
    missing = depth <= 0
    for bound, compare in (('amin', torch.le), ('amax', torch.ge)):
        limit = getattr(offered, bound)(dim=1, keepdim=True)
        slack = 1e-4 if bound == 'amax' else -1e-4
        assert compare(limit, output.depth - slack)[missing].all()


@pytest.mark.parametrize('count', [0, 13])
def test_a_number_of_candidates_that_there_is_not_is_refused(count):
    with pytest.raises(ValueError, match='1 to 12'):
        network(replace(tiny_chooser(), candidates=count))
