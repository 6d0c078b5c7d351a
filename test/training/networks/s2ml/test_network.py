# SPDX-License-Identifier: Apache-2.0
"""S2ML: gradients in every branch, bounded features, the whole picture in view."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.s2ml.network import S2ML, S2MLConfig
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


def test_a_nearer_scene_is_the_same_scene():
    rgb, depth = frames()
    net = network()

    far, near = net(rgb, depth).depth, net(rgb, depth / 2).depth

    torch.testing.assert_close(near, far / 2, atol=1e-4, rtol=0)


def test_gradients_reach_every_parameter_of_both_branches():
    rgb, depth = frames()
    net = network().train()
    target = torch.full_like(depth, 2.5)
    with torch.no_grad():  # an untrained head hands nothing back
        net.head.answer.weight.normal_(std=0.1)

    sum(joint_loss(net(rgb, depth), depth, target).values()).backward()

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
    sum(joint_loss(output, depth, target).values()).backward()

    assert output.depth.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_features_stay_bounded_along_the_cascade_however_large_the_weights():
    rgb, depth = frames()
    net = network(dataclasses.replace(SMALL, pairs=4)).train()
    spreads = []
    for pair in net.pairs:
        pair.register_forward_hook(
            lambda _m, _i, out: spreads.append(out[0].detach().std().item())
        )
        with torch.no_grad():
            for parameter in pair.parameters():
                if parameter.ndim == 4:
                    parameter.mul_(5)

    net(rgb, depth)

    assert max(spreads) < 5


def test_one_pixel_reaches_the_whole_picture_through_the_spectrum():
    rgb, depth = frames(batch=1)
    rgb.requires_grad_()
    net = network()
    with torch.no_grad():  # an untrained head says the same of every picture
        net.head.answer.weight.normal_(std=0.1)

    net(rgb, depth).depth[0, 0, 10, 12].backward()

    assert (rgb.grad[0, :, -4:, -4:] != 0).any()


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


def test_depth_and_picture_teach_each_other_s_spectrum():
    rgb, depth = frames()
    net = network()
    before, after = [], []
    first, second = net.pairs[0], net.pairs[1]
    first.register_forward_pre_hook(lambda _m, given: before.append(given))
    second.register_forward_pre_hook(lambda _m, given: after.append(given))

    net(rgb, depth)

    for old, new in zip(before[0], after[0]):
        assert (old - new).abs().max() > 1e-3
