# SPDX-License-Identifier: Apache-2.0
"""Which pixels are scored, and where the depth edges are."""

from __future__ import annotations

import numpy as np

from magadepth_training.evaluation.regions import (
    EDGE_RADIUS_PX,
    distance_to_known,
    edge_band,
    nearest_known,
    phantoms,
    regions,
    thin_things,
)


def test_score_decides_and_without_one_the_input_does() -> None:
    depth = np.float32([[1, 0, np.nan, 0]])
    target = np.float32([[1, 1, 1, 0]])
    masks = regions(depth, target, None)
    assert masks['fill'].tolist() == [[False, True, True, False]]
    assert masks['keep'].tolist() == [[True, False, False, False]]
    masks = regions(depth, target, np.uint8([[2, 0, 1, 1]]))
    assert masks['fill'].tolist() == [[False, False, True, False]]
    assert masks['all'].tolist() == [[True, False, True, False]]


def test_edge_band_lies_around_a_step_and_not_on_a_slope() -> None:
    step = np.ones((20, 40), np.float32)
    step[:, 20:] = 2
    band = edge_band(step)
    assert set(np.flatnonzero(band[10])) == set(range(19 - EDGE_RADIUS_PX, 21 + EDGE_RADIUS_PX))
    slope = np.tile(np.linspace(1, 2, 40, dtype=np.float32), (20, 1))
    assert not edge_band(slope).any()
    assert not edge_band(np.zeros((5, 5), np.float32)).any()


def test_an_edge_inside_a_narrow_hole_is_found() -> None:
    target = np.ones((20, 40), np.float32)
    target[:, 20:] = 2
    target[:, 18:22] = 0
    assert edge_band(target)[10, 20]


def test_holes_are_parted_by_their_area_and_by_the_distance_to_what_is_measured() -> None:
    target = np.ones((100, 200), np.float32)
    depth = target.copy()
    depth[10:14, 10:14] = 0  # 16 of 20,000 pixels
    depth[30:40, 30:40] = 0  # 100
    depth[50:90, 100:180] = 0  # 3,200
    depth[49, 99] = 0  # touches the corner: the same hole
    masks = regions(depth, target, None)
    sizes = [masks[f'{size}_hole'].sum() for size in ('small', 'medium', 'large')]
    assert sizes == [16, 100, 3201] and masks['large_hole'][49, 99]
    assert set(zip(*np.nonzero(masks['deep']))) == {
        (i, j) for i in range(55, 85) for j in range(105, 175)
    }


def test_thin_things_are_poles_and_no_walls_or_slopes() -> None:
    target = np.tile(np.linspace(3, 4, 200, dtype=np.float32), (100, 1))
    target[:, 50:53] = 1.5
    target[:, 120:160] = 1.5
    pole = np.zeros(target.shape, bool)
    pole[:, 50:53] = True
    np.testing.assert_array_equal(thin_things(target), pole)
    target[:, 51] = 0
    np.testing.assert_array_equal(thin_things(target), pole)


def test_phantoms_against_a_search_of_each_hole() -> None:
    rng = np.random.default_rng(4)
    target = rng.uniform(1, 3, (24, 30)).astype(np.float32)
    depth = np.where(rng.random(target.shape) < 0.55, target, 0)
    depth[:, 11] = target[:, 11]
    prediction = rng.uniform(0.5, 3, target.shape).astype(np.float32)
    prediction[rng.random(target.shape) < 0.1] = 0
    fill = rng.random(target.shape) < 0.8
    expected = np.zeros(target.shape, bool)
    for start in np.argwhere(depth == 0):
        hole, rim, waiting = {tuple(start)}, [], [tuple(start)]
        while waiting:
            i, j = waiting.pop()
            for a in range(max(i - 1, 0), min(i + 2, 24)):
                for b in range(max(j - 1, 0), min(j + 2, 30)):
                    if depth[a, b] > 0:
                        rim.append(depth[a, b])
                    elif (a, b) not in hole:
                        hole.add((a, b))
                        waiting.append((a, b))
        at, p = tuple(start), prediction[tuple(start)]
        expected[at] = fill[at] and 0 < p < 0.95 * min(min(rim), target[at])
    assert 20 < expected.sum() < fill.sum() / 2
    np.testing.assert_array_equal(phantoms(prediction, target, depth, fill), expected)


def test_nearest_and_distance_against_a_search() -> None:
    rng = np.random.default_rng(1)
    depth = np.where(rng.random((15, 17)) < 0.1, rng.uniform(1, 5, (15, 17)), 0).astype(np.float32)
    known = np.argwhere(depth > 0)
    filled, distance = nearest_known(depth), distance_to_known(depth)
    for i in range(15):
        for j in range(17):
            gaps = np.hypot(*(known - (i, j)).T)
            assert abs(distance[i, j] - gaps.min()) < 1e-4
            # OpenCV's 5x5 mask measures to within a few percent, so a near tie may go either way.
            allowed = known[gaps <= gaps.min() * 1.05 + 1e-6]
            assert filled[i, j] in depth[tuple(allowed.T)]


def test_nothing_measured_stays_nothing() -> None:
    empty = np.zeros((4, 5), np.float32)
    assert not nearest_known(empty).any()
    assert (distance_to_known(empty) > 5).all()
