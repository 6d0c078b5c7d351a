# SPDX-License-Identifier: Apache-2.0
"""The paper's network: metres out, complete, and the input size it insists on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from support.networks import frames, shaken, tiny

from magadepth_training.losses import paper_loss
from magadepth_training.networks.registry import create_network


def network(**fields):
    torch.manual_seed(0)
    return create_network(tiny(**fields))


@pytest.mark.parametrize('far', [0.02, 1.0, 8.0])
def test_output_is_complete_in_metres(far):
    rgb, depth = frames()
    net = shaken(network())

    output = net(rgb, far * depth)

    assert output.depth.shape == depth.shape
    assert output.depth.dtype == torch.float32
    assert (output.depth > 0).all() and (output.depth <= net.config.max_depth).all()
    assert output.log_variance is None


@pytest.mark.parametrize('wrong', ['rgb', 'depth', 'channels'])
def test_wrong_size_names_the_expected_one_and_what_fits_frames_to_it(wrong):
    rgb, depth = frames()
    if wrong == 'rgb':
        rgb = rgb[..., :40]
    elif wrong == 'depth':
        depth = depth[..., :24, :]
    else:
        depth = depth.expand(-1, 3, -1, -1)

    with pytest.raises(ValueError, match=r'32, 48\).*Completer'):
        network()(rgb, depth)


def test_input_size_must_be_a_multiple_of_8():
    with pytest.raises(ValueError, match='multiples of 8'):
        network(height=36)


@pytest.mark.parametrize('measured', ['nothing', 'one pixel', 'everything'])
def test_extreme_inputs_give_finite_outputs_and_gradients(measured):
    rgb, depth = frames()
    depth = torch.full_like(depth, 2.0) if measured == 'everything' else torch.zeros_like(depth)
    if measured == 'one pixel':
        depth[..., 5, 7] = 2.0
    net = network().train()

    output = net(rgb, depth)
    (output.depth - 1.5).square().mean().backward()

    assert torch.isfinite(output.depth).all()
    grads = [p.grad for p in net.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(g).all() for g in grads)


def test_frames_of_a_batch_do_not_mix():
    rgb, depth = frames(batch=3)
    net = shaken(network())

    whole, alone = net(rgb, depth).depth, net(rgb[1:2], depth[1:2]).depth

    torch.testing.assert_close(whole[1:2], alone, atol=1e-5, rtol=1e-5)


def test_every_parameter_learns():
    rgb, depth = frames()
    depth[0, :, :, 12:] = 0  # a hole that every layer still sees
    net = network().train()
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0)
    target = torch.full_like(depth, 2.0)
    for _ in range(4):
        optimizer.zero_grad()
        sum(paper_loss(net(rgb, depth), target).values()).backward()
        optimizer.step()

    assert not [n for n, p in net.named_parameters() if torch.equal(p, before[n])]
