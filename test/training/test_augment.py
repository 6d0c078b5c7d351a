# SPDX-License-Identifier: Apache-2.0
"""Random views and colours: depth keeps its values, and colour and depth stay together."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.augment import random_colours, random_view, uniform

HEIGHT, WIDTH = 24, 32


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ramp(batch):
    """Return a picture whose red is x and green y, and the same two as depths; 0.1 to 0.9."""
    v, u = torch.meshgrid(
        torch.linspace(0.1, 0.9, 2 * HEIGHT), torch.linspace(0.1, 0.9, 2 * WIDTH), indexing='ij'
    )
    rgb = torch.stack([u, v, torch.full_like(u, 0.5)]).expand(batch, -1, -1, -1)
    return rgb.contiguous(), [u.expand(batch, 1, -1, -1), v.expand(batch, 1, -1, -1)]


def views(batch=24, seed=0, **settings):
    rgb, depths = ramp(batch)
    return random_view(rgb, depths, HEIGHT, WIDTH, seeded(seed), **settings)


def test_sizes():
    rgb, depths = views(batch=3)

    assert rgb.shape == (3, 3, HEIGHT, WIDTH)
    assert [d.shape for d in depths] == [(3, 1, HEIGHT, WIDTH)] * 2


def test_no_depth_is_invented():
    depth = torch.randint(0, 5, (16, 1, 2 * HEIGHT, 2 * WIDTH), generator=seeded()).float()
    depth[8:] *= 1.37

    _, (seen,) = random_view(torch.rand(16, 3, 48, 64), [depth], HEIGHT, WIDTH, seeded(1))

    for frame, given in zip(seen, depth):
        assert torch.isin(frame, torch.cat([given.unique(), torch.zeros(1)])).all()


def test_colour_and_depth_are_cut_turned_and_mirrored_alike():
    rgb, (x, y) = views()
    known = x > 0

    # Away from the frame's border, where the picture fades into the outside.
    inner = torch.nn.functional.avg_pool2d(known.float(), 3, 1, 1) == 1
    assert inner.float().mean() > 0.8
    for channel, depth in ((0, x), (1, y)):
        assert (rgb[:, channel : channel + 1] - depth)[inner].abs().max() < 0.03


def test_outside_the_frame_is_black_and_missing():
    rgb, (x, _) = views(batch=64, max_rotation=45, min_scale=0.9)

    outside = torch.nn.functional.max_pool2d((x > 0).float(), 5, 1, 2) == 0
    assert outside.any()
    assert not rgb[outside.expand_as(rgb)].any()


def test_about_half_is_mirrored_and_half_seen_whole():
    _, (x, _) = views(batch=200)

    mirrored = x[:, 0, HEIGHT // 2, -4] < x[:, 0, HEIGHT // 2, 3]
    whole = (x[:, 0, :, 0] - x[:, 0, :, -1]).abs().amin(dim=1) > 0.75
    assert 0.35 < mirrored.float().mean() < 0.65
    assert 0.35 < whole.float().mean() < 0.65


def test_turning_keeps_angles():
    """A circle stays one: as wide as high, in frames that are wider than high."""
    v, u = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing='ij')
    circle = ((v - 47.5) ** 2 + (u - 63.5) ** 2 < 20**2).float().expand(40, 1, -1, -1)

    _, (seen,) = random_view(
        circle.expand(-1, 3, -1, -1), [circle], 96, 128, seeded(), max_rotation=45
    )

    widths = seen.amax(dim=(1, 2)).sum(dim=1)
    heights = seen.amax(dim=(1, 3)).sum(dim=1)
    inside = (seen[:, 0, 0].sum(1) + seen[:, 0, -1].sum(1)) == 0
    inside &= (seen[:, 0, :, 0].sum(1) + seen[:, 0, :, -1].sum(1)) == 0
    assert inside.sum() > 10
    assert (widths - heights)[inside].abs().max() <= 3


def test_a_seed_gives_the_same_views_and_another_gives_others():
    one, two, three = views(seed=1), views(seed=1), views(seed=2)

    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1][0], two[1][0])
    assert not torch.equal(one[0], three[0])


def test_colours_stay_in_range_and_vary():
    rgb = torch.rand(16, 3, HEIGHT, WIDTH, generator=seeded())
    rgb[0], rgb[1] = 0, 1

    varied = random_colours(rgb, seeded(1))

    assert varied.shape == rgb.shape
    assert torch.isfinite(varied).all()
    assert (varied >= 0).all()
    assert (varied <= 1).all()
    assert (varied - rgb).abs().mean(dim=(1, 2, 3)).gt(0.005).sum() > 12
    assert torch.equal(varied, random_colours(rgb, seeded(1)))


def test_numbers_are_drawn_from_the_range():
    drawn = uniform(1000, -2, 3, seeded(), torch.device('cpu'))

    assert drawn.shape == (1000,)
    assert -2 <= drawn.min() < -1.9
    assert 2.9 < drawn.max() <= 3
