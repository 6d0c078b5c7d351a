# SPDX-License-Identifier: Apache-2.0
"""S2ML: shapes, the identity it starts from, gradients in every branch, and its export."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.guided_fill import guided_fill
from magadepth_training.networks.s2ml import S2ML, S2MLConfig
from magadepth_training.spectral_loss import joint_loss

SMALL = S2MLConfig(
    name='s2ml_test',
    height=32,
    width=48,
    channels=16,
    fine_channels=8,
    pairs=2,
    window=4,
    head_channels=4,
)


def frames(batch=2, config=SMALL):
    """Make random pictures and holey depths of 1 to 4 m."""
    generator = torch.Generator().manual_seed(3)
    rgb = torch.rand(batch, 3, config.height, config.width, generator=generator)
    depth = 1 + 3 * torch.rand(batch, 1, config.height, config.width, generator=generator)
    depth[:, :, 8:20, 10:30] = 0
    return rgb, depth


def network(config=SMALL):
    torch.manual_seed(0)
    return S2ML(config).eval()


def test_output_is_complete_depth_with_variance_and_a_stage_for_every_pair():
    rgb, depth = frames()

    output = network()(rgb, depth)

    assert output.depth.shape == output.log_variance.shape == depth.shape
    assert [stage.shape for stage in output.stages] == [depth.shape] * SMALL.pairs
    assert (output.depth > 0).all() and torch.isfinite(output.depth).all()


def test_untrained_network_is_nearly_the_fill():
    rgb, depth = frames()

    output = network()(rgb, depth)

    fill = guided_fill(rgb, depth, (depth > 0).float()).depth
    assert (output.depth - fill).abs().mean() < 0.05


def test_a_nearer_scene_is_the_same_scene():
    rgb, depth = frames()
    net = network()

    far, near = net(rgb, depth).depth, net(rgb, depth / 2).depth

    torch.testing.assert_close(near, far / 2, atol=1e-4, rtol=0)


def test_frames_without_any_depth_give_finite_numbers():
    rgb, depth = frames()

    output = network()(rgb, torch.zeros_like(depth))

    assert torch.isfinite(output.depth).all()
    assert torch.isfinite(output.log_variance).all()


def test_gradients_reach_every_parameter_of_both_branches():
    rgb, depth = frames()
    net = network().train()
    target = torch.full_like(depth, 2.5)

    sum(joint_loss(net(rgb, depth), target, torch.ones_like(target)).values()).backward()

    still = [n for n, p in net.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert not still
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize('missing', ['hole', 'all', 'none'])
def test_bfloat16_training_stays_finite(missing):
    rgb, depth = frames()
    target = torch.full_like(depth, 2.5)
    if missing == 'all':
        depth = torch.zeros_like(depth)
    elif missing == 'none':
        depth = target
    net = network().train()

    with torch.autocast('cpu', dtype=torch.bfloat16):
        output = net(rgb, depth)
    sum(joint_loss(output, target, torch.ones_like(target)).values()).backward()

    assert output.depth.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_variance_learns_from_the_features_without_changing_them():
    rgb, depth = frames()
    net = network().train()

    net(rgb, depth).log_variance.square().mean().backward()

    learning = {n for n, p in net.named_parameters() if p.grad is not None}
    assert learning
    assert all(name.startswith('head.variance.') for name in learning)


def test_features_stay_bounded_along_the_cascade_however_large_the_weights():
    rgb, depth = frames()
    net = network(dataclasses.replace(SMALL, pairs=4)).train()
    spreads = []
    for pair in net.pairs:
        pair.register_forward_hook(
            lambda _m, _i, out: spreads.append(out[0].detach().std().item())
        )
        with torch.no_grad():
            for parameter in (*pair.spectral.parameters(), *pair.spatial.parameters()):
                if parameter.ndim == 4:
                    parameter.mul_(5)

    net(rgb, depth)

    assert max(spreads) < 5


def test_one_pixel_reaches_the_whole_picture_through_the_spectrum():
    rgb, depth = frames(batch=1)
    rgb.requires_grad_()

    network()(rgb, depth).depth[0, 0, 0, 0].backward()

    assert (rgb.grad[0, :, -4:, -4:] != 0).any()


def test_the_log_variance_can_be_left_out():
    config = dataclasses.replace(SMALL, log_variance=False)

    assert network(config)(*frames()).log_variance is None


def test_wrong_input_size_names_the_expected_one():
    rgb, depth = frames()

    with pytest.raises(ValueError, match='32, 48'):
        network()(rgb[..., :40], depth)


@pytest.mark.parametrize('change', [{'height': 36}, {'channels': 12}])
def test_sizes_that_do_not_divide_are_refused(change):
    with pytest.raises(ValueError, match='multiple'):
        dataclasses.replace(SMALL, **change)


def test_shipped_size_stays_affordable():
    parameters = sum(p.numel() for p in S2ML(S2MLConfig()).parameters())

    assert parameters < 8e6
