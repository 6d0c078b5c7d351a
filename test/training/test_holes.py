# SPDX-License-Identifier: Apache-2.0
"""Ways of hiding: what each may hide, where, and that a frame is never lost altogether."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

from magadepth_training import holes
from magadepth_training.holes import HidingConfig, hide

HEIGHT, WIDTH = 60, 80
ALL = {name: 1.0 for name in HidingConfig.__dataclass_fields__ if name != 'sparse'}


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def scene():
    """Return a picture and a depth: a wall at 3 m, a box at 1 m before it, a hole at a side."""
    depth = np.full((HEIGHT, WIDTH), 3.0, np.float32)
    depth[20:40, 30:50] = 1.0
    depth[:, :4] = 0
    rgb = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    rgb[20:40, 30:50] = (90, 30, 20)
    return rgb, depth


@pytest.mark.parametrize('seed', range(12))
def test_only_measured_pixels_are_hidden_and_a_twentieth_stays(seed):
    rgb, depth = scene()
    lend = np.random.default_rng(seed).random(depth.shape) < 0.3

    hidden = hide(np.random.default_rng(seed), rgb, depth, lend, HidingConfig(**ALL, sparse=0))

    assert hidden.any()
    assert not (hidden & (depth <= 0)).any()
    assert (~hidden & (depth > 0)).sum() >= 0.05 * (depth > 0).sum()


def test_the_same_seed_hides_the_same():
    rgb, depth = scene()
    one, other = (
        hide(np.random.default_rng(3), rgb, depth, depth <= 0, HidingConfig()) for _ in range(2)
    )

    np.testing.assert_array_equal(one, other)


def test_nothing_is_hidden_where_no_way_is_used(rng):
    rgb, depth = scene()
    never = HidingConfig(**dict.fromkeys(HidingConfig.__dataclass_fields__, 0.0))

    assert not hide(rng, rgb, depth, depth <= 0, never).any()


def test_a_frame_without_depth_is_survived(rng):
    rgb, depth = scene()
    nothing = np.zeros_like(depth)

    assert not hide(rng, rgb, nothing, depth <= 0, HidingConfig(**ALL, sparse=0)).any()


@pytest.mark.parametrize('seed', range(8))
def test_a_shadow_lies_beside_the_near_thing_as_wide_as_the_step_of_disparity(seed):
    _, depth = scene()

    hidden = holes.shadow(np.random.default_rng(seed), depth)

    assert not hidden[depth == 1.0].any() and not hidden[depth == 0].any()
    rows = {row.tobytes() for row in hidden[22:38]}
    columns = {column.tobytes() for column in hidden[:, 32:48].T}
    assert len(rows) == 1 or len(columns) == 1


def test_a_wider_base_casts_a_wider_shadow():
    disparity = np.where(np.arange(40) < 20, 9.0, 3.0)[None]

    hidden = holes._shadow_of(disparity, np.ones((1, 40), bool), mirrored=True)

    # The near side ends at 19; what a step of 6 px covers lies right of it.
    assert np.flatnonzero(hidden[0]).tolist() == [20, 21, 22, 23, 24]


def test_rims_follow_depth_edges(rng):
    _, depth = scene()

    hidden = holes.rims(rng, depth)

    assert hidden[20, 30:50].any()
    assert not hidden[:10, 60:].any() and not hidden[28:32, 38:42].any()


def test_colour_and_segment_take_what_hangs_together():
    rgb, depth = scene()
    box = np.zeros(depth.shape, bool)
    box[18:42, 28:52] = True
    for seed in range(20):
        for way, picture in ((holes.colour, rgb), (holes.segment, depth)):
            hidden = way(np.random.default_rng(seed), picture)
            inside, outside = hidden[22:38, 32:48].any(), hidden[~box].any()
            assert not (inside and outside)


def test_a_range_is_cut_off_at_one_end():
    _, depth = scene()
    ramp = np.where(depth > 0, np.linspace(1, 5, WIDTH, dtype=np.float32), 0)
    for seed in range(10):
        hidden = holes.cut_off(np.random.default_rng(seed), ramp)
        kept = (ramp > 0) & ~hidden
        assert ramp[hidden & (ramp > 0)].min() > ramp[kept].max() or (
            ramp[hidden & (ramp > 0)].max() < ramp[kept].min()
        )


def test_borrowed_holes_are_those_of_the_other_frame(rng):
    missing = np.zeros((HEIGHT, WIDTH), bool)
    assert not holes.borrowed(rng, missing).any()

    missing[25:35, 30:50] = True
    shares = [holes.borrowed(np.random.default_rng(seed), missing).mean() for seed in range(30)]

    assert 0.01 < np.mean(shares) < 0.3


def test_a_few_pixels_are_a_few(rng):
    assert 100 < (~holes.all_but_a_few(rng, 240, 320)).sum() < 2500


@pytest.mark.parametrize('way', [holes.ellipses, holes.polygons, holes.blobs, holes.border])
def test_shapes_cover_a_part(way):
    shares = [way(np.random.default_rng(seed), HEIGHT, WIDTH).mean() for seed in range(20)]

    assert 0.005 < np.mean(shares) < 0.5
