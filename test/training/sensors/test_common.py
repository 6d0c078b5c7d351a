# SPDX-License-Identifier: Apache-2.0
"""Shadows fall on the right side and have the width that the geometry gives them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from magadepth_training.scenes.draws import Draws
from magadepth_training.sensors import common


@pytest.mark.parametrize('side', [1.0, -1.0])
def test_shadow_width_is_the_difference_of_disparities(side):
    disparity = torch.full((1, 1, 4, 80), 5.0)
    disparity[..., 30:50] = 17.0  # a near post before a wall
    hidden = common.shadow(disparity, torch.tensor([side]))[0, 0, 2]
    expected = torch.zeros(80, dtype=torch.bool)
    expected[slice(18, 30) if side > 0 else slice(50, 62)] = True
    assert (hidden != expected).sum() <= 1


def test_shadow_agrees_with_a_naive_projection():
    gen = torch.Generator().manual_seed(2)
    steps = torch.randint(2, 15, (1, 1, 1, 10), generator=gen).float()
    disparity = steps.repeat_interleave(8, -1)
    hidden = common.shadow(disparity, torch.ones(1))[0, 0, 0]
    d = disparity[0, 0, 0]
    landing = [float(x - d[x]) for x in range(80)]
    naive = [any(landing[j] < landing[i] for j in range(i + 1, 80)) for i in range(80)]
    assert hidden.tolist() == naive


def test_a_plane_casts_no_shadow():
    disparity = torch.linspace(4.0, 30.0, 80).expand(1, 1, 3, 80)
    assert not common.shadow(disparity, torch.ones(1)).any()


def test_field_has_about_unit_variance_and_blobs():
    draws = Draws(torch.Generator().manual_seed(0), torch.device('cpu'), 8)
    noise = common.field(draws, 120, 160, 8.0)
    assert abs(noise.std() - 1.0) < 0.15
    step = (noise[..., 1:] - noise[..., :-1]).std()
    assert step < 0.35


def test_displace_by_nothing_is_the_identity():
    image = torch.rand(2, 1, 5, 7)
    zero = torch.zeros_like(image)
    assert torch.equal(common.displace(image, zero, zero), image)
    assert torch.equal(common.displace(image, zero + 1, zero)[..., :-1], image[..., 1:])


def test_border_covers_the_middle():
    draws = Draws(torch.Generator().manual_seed(0), torch.device('cpu'), 16)
    inside = common.border(draws, torch.full((16, 1, 60, 80), 2.0), (0.05, 0.15), 1.0)
    assert inside[:, :, 20:40, 25:55].all()
    assert 0.02 < (~inside).float().mean() < 0.4


def test_border_has_a_band_at_each_side_wider_where_things_are_near():
    def lost(depth, probability):
        draws = Draws(torch.Generator().manual_seed(0), torch.device('cpu'), 16)
        return ~common.border(draws, torch.full((16, 1, 60, 80), depth), (0.1, 0.15), probability)

    near, far = lost(0.5, 1.0), lost(50.0, 1.0)
    for side in (far[..., 1, :], far[..., -2, :], far[..., 1], far[..., -2]):
        assert side.all(-1).any()
    assert near[far].all() and near.sum() > 1.2 * far.sum()
    assert not lost(0.5, 0.0).any()


def test_a_surface_across_each_line_of_sight_is_faced():
    v, u = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing='ij')
    rays = torch.stack([(u - 20.0) / 50.0, (v - 30.0) / 40.0, torch.ones_like(u)])[None]

    cosine = common.facing(-functional.normalize(rays), torch.tensor([[50.0, 40.0, 20.0, 30.0]]))

    assert torch.allclose(cosine, torch.ones_like(cosine))


def test_lone_pixels_are_closed_or_dropped_and_areas_stay():
    lone = torch.zeros((1, 1, 30, 40), dtype=torch.bool)
    lone[..., 5, 5] = lone[..., 0, 0] = True
    area = torch.zeros_like(lone)
    area[..., 10:20, 20:30] = True

    assert torch.equal(common.close_small(~(lone | area)), ~area)
    assert torch.equal(common.despeckle(lone | area, 3, 0.4), area)
