# SPDX-License-Identifier: Apache-2.0
"""Hiding removes measured pixels, never adds any, and does so in every one of its ways."""

from __future__ import annotations

import pytest
import torch

from magadepth_training.scenes.dice import Dice
from magadepth_training.sensors import HidingConfig, common, hide_measured, hiding

OFF = dict.fromkeys(
    ('ellipses', 'polygons', 'occlusion', 'borrowed', 'speckle', 'colour', 'dark', 'segment',
     'border', 'sparse'), 0.0,
)  # fmt: skip


def frames(batch: int = 8, height: int = 60, width: int = 80):
    gen = torch.Generator().manual_seed(0)
    depth = torch.linspace(1.0, 3.0, width).repeat(batch, 1, height, 1)
    depth[:, :, 15:45, 25:40] = 0.8
    depth[torch.rand(depth.shape, generator=gen) < 0.1] = 0.0
    rgb = torch.rand((batch, 3, 6, 8), generator=gen)
    rgb = torch.nn.functional.interpolate(rgb, size=(height, width), mode='nearest')
    return depth, rgb


def hide(depth, rgb, seed=1, **settings):
    gen = torch.Generator().manual_seed(seed)
    return hide_measured(depth, rgb, generator=gen, config=HidingConfig(**settings))


def test_only_removes():
    depth, rgb = frames(32)
    given, hidden = hide(depth, rgb)
    assert hidden.dtype == torch.bool and hidden.shape == depth.shape
    assert torch.equal(given[~hidden], depth[~hidden])
    assert (given[hidden] == 0).all() and (depth[hidden] > 0).all()
    assert 0.1 < hidden.float().mean() < 0.7


@pytest.mark.parametrize('way', sorted(OFF))
def test_each_way_hides_something_and_not_everything(way):
    depth, rgb = frames(16)
    _, hidden = hide(depth, rgb, **{**OFF, way: 1.0})
    share = hidden.float().mean()
    assert 0.002 < share < (1.0 if way == 'sparse' else 0.6)


def test_nothing_is_hidden_when_all_is_off():
    depth, rgb = frames()
    given, hidden = hide(depth, rgb, **OFF)
    assert not hidden.any() and torch.equal(given, depth)


def test_works_without_rgb_and_is_deterministic():
    depth, _ = frames()
    a, b = hide(depth, None, 3)[0], hide(depth, None, 3)[0]
    assert torch.equal(a, b)
    assert not torch.equal(a, hide(depth, None, 4)[0])


def test_borrowed_holes_come_from_the_other_frames():
    depth, rgb = frames(2)
    depth[0], depth[1] = 1.0, 0.0
    given, _ = hide(depth, rgb, **{**OFF, 'borrowed': 1.0})
    assert (given == 0).all()


def test_holes_cast_no_shadow():
    depth = torch.full((16, 1, 60, 80), 2.0)
    depth[:, :, 20:30, 30:45] = 0.0
    dice = Dice(torch.Generator().manual_seed(0), torch.device('cpu'), 16)

    hidden = hiding.occlusion(dice, depth)

    # Widened by a pixel, what lies in the hole reaches its rim.
    assert not hidden[common.window_max((depth == 0).float(), 3) == 0].any()


def test_a_segment_lies_about_its_pixel():
    depth, _ = frames(16)
    dice, same = (Dice(torch.Generator().manual_seed(3), depth.device, 16) for _ in range(2))

    hidden = hiding.segment(dice, depth)

    assert hidden.flatten(1).gather(1, same.integers(60 * 80, 1)).all()
