# SPDX-License-Identifier: Apache-2.0
"""The whole network: metres out, the fill it starts from, and the input size it insists on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from support.networks import SHRUNK, frames, shaken, tiny

from magadepth_training.networks.registry import create_network, network_names
from magadepth_training.networks.residual import (
    LOG_VARIANCE_RANGE,
    NEAREST,
    relative_to_fill,
    start_at_zero,
)

SHIPPED = [name for name in network_names() if name.startswith('magadepth')]


def shrunk(name, **fields):
    torch.manual_seed(0)
    return create_network(name, **SHRUNK, **fields)


def is_residual(network):
    return network.config.residual


@pytest.mark.parametrize('name', SHIPPED)
@pytest.mark.parametrize('far', [0.02, 1.0, 8.0])
def test_output_is_complete_in_metres(name, far):
    rgb, depth = frames()
    net = shaken(shrunk(name))

    output = net(rgb, far * depth)

    assert output.depth.shape == depth.shape
    assert output.depth.dtype == torch.float32
    assert (output.depth > 0).all()
    assert torch.isfinite(output.depth).all()
    if not is_residual(net):
        assert (output.depth <= net.config.max_depth).all()


@pytest.mark.parametrize('log_variance', [False, True])
def test_log_variance_comes_where_it_is_configured(log_variance):
    rgb, depth = frames()

    net = create_network(tiny(residual=True, log_variance=log_variance)).eval()
    output = net(rgb, depth)

    if log_variance:
        assert output.log_variance.shape == depth.shape
        assert torch.isfinite(output.log_variance).all()
    else:
        assert output.log_variance is None


def test_log_variance_grows_with_the_square_of_the_scene():
    rgb, depth = frames()
    net = shaken(shrunk('magadepth_small'))

    near, far = net(rgb, depth).log_variance, net(rgb, 2 * depth).log_variance

    torch.testing.assert_close(far - near, torch.full_like(far, 2 * 0.693147), atol=1e-3, rtol=0)


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
        create_network(tiny())(rgb, depth)


def test_input_size_must_be_a_multiple_of_8():
    with pytest.raises(ValueError, match='multiples of 8'):
        create_network(tiny(height=36))


def test_untrained_residual_network_equals_its_fill():
    rgb, depth = frames()
    net = create_network(tiny(residual=True, full_size_skip=True))

    for output in (net.train()(rgb, depth), net.eval()(rgb, depth)):
        torch.testing.assert_close(output.depth, relative_to_fill(rgb, depth).fill)


@pytest.mark.parametrize('emptied', [True, False])
def test_a_network_that_adds_nothing_computes_nothing_but_the_fill(emptied, monkeypatch):
    rgb, depth = frames()
    net = shaken(create_network(tiny(residual=True, log_variance=True)))
    if emptied:
        start_at_zero(net.decoder.answer)
        start_at_zero(net.decoder.log_variance[-1])
    ran = []
    net.colour_encoder.register_forward_hook(lambda *_: ran.append(True))

    with_it = net.train()(rgb, depth)
    assert ran.pop()
    net.eval()(rgb, depth)

    assert ran == ([] if emptied else [True])
    assert with_it.depth.requires_grad


def test_weights_that_come_after_the_mode_count():
    rgb, depth = frames()
    config = tiny(residual=True, log_variance=True)
    trained, late = shaken(create_network(config)), create_network(config).eval()

    late.load_state_dict(trained.state_dict())

    torch.testing.assert_close(late(rgb, depth).depth, trained(rgb, depth).depth)
    assert (late(rgb, depth).depth - relative_to_fill(rgb, depth).fill).abs().mean() > 1e-3


@pytest.mark.parametrize('part', ['full_size_skip', 'guided', 'log_variance'])
def test_what_needs_the_fill_is_refused_without_it(part):
    with pytest.raises(ValueError, match='need residual'):
        create_network(tiny(**{part: True}))


@pytest.mark.parametrize('name', [n for n in SHIPPED if is_residual(shrunk(n))])
def test_shipped_residual_networks_start_from_an_interpolation(name):
    rgb, depth = frames()

    output = shrunk(name).eval()(rgb, depth).depth

    measured = depth > 0
    torch.testing.assert_close(output[measured], depth[measured])
    for frame, given in zip(output, depth):
        assert frame.min() > 0.999 * given[given > 0].min()
        assert frame.max() < 1.001 * given.max()


@pytest.mark.parametrize('name', [n for n in SHIPPED if is_residual(shrunk(n))])
@pytest.mark.parametrize('factor', [0.1, 0.5, 2.0, 20.0])
def test_residual_network_is_invariant_to_the_scale_of_the_scene(name, factor):
    rgb, depth = frames()
    net = shaken(shrunk(name), spread=0.2)

    one, scaled = net(rgb, depth).depth, net(rgb, factor * depth).depth

    inside = one > 10 * NEAREST
    assert inside.float().mean() > 0.5
    assert (one - relative_to_fill(rgb, depth).fill).abs().mean() > 1e-3
    torch.testing.assert_close(scaled[inside], factor * one[inside], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('name', SHIPPED)
@pytest.mark.parametrize('measured', ['nothing', 'one pixel', 'everything'])
def test_extreme_inputs_give_finite_outputs_and_gradients(name, measured):
    rgb, depth = frames()
    depth = torch.full_like(depth, 2.0) if measured == 'everything' else torch.zeros_like(depth)
    if measured == 'one pixel':
        depth[..., 5, 7] = 2.0
    net = shrunk(name).train()

    output = net(rgb, depth)
    (output.depth - 1.5).square().mean().backward()

    assert torch.isfinite(output.depth).all()
    assert output.log_variance is None or torch.isfinite(output.log_variance).all()
    grads = [p.grad for p in net.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize('name', SHIPPED)
def test_frames_of_a_batch_do_not_mix(name):
    rgb, depth = frames(batch=3)
    net = shaken(shrunk(name))

    whole, alone = net(rgb, depth).depth, net(rgb[1:2], depth[1:2]).depth

    torch.testing.assert_close(whole[1:2], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', SHIPPED)
def test_every_parameter_learns(name):
    """A few steps from the start move all of them, those before the zeroed head too."""
    from magadepth_training.losses import robust_loss

    rgb, depth = frames()
    depth[0, :, :, 12:] = 0  # a hole that every layer still sees
    net = shrunk(name).train()
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0)
    target = torch.full_like(depth, 2.0)
    for _ in range(4):
        optimizer.zero_grad()
        sum(robust_loss(net(rgb, depth), target, torch.ones_like(target)).values()).backward()
        optimizer.step()

    still = [n for n, p in net.named_parameters() if torch.equal(p, before[n])]

    # The hole ends before the coarsest layers: without missing pixels no epsilon.
    assert not [n for n in still if 'epsilon' not in n]


def test_a_frame_without_depth_is_in_greatest_doubt():
    rgb, depth = frames()
    depth[0] = 0

    frame = relative_to_fill(rgb, depth)

    assert (frame.doubt[0] == LOG_VARIANCE_RANGE[1]).all()
    assert frame.doubt[1:].max() < LOG_VARIANCE_RANGE[1]
