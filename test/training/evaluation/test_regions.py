# SPDX-License-Identifier: Apache-2.0
"""Which pixels are scored, and where the depth edges are."""

from __future__ import annotations

import numpy as np

from magadepth_training.evaluation.regions import (
    EDGE_RADIUS_PX,
    distance_to_known,
    edge_band,
    nearest_known,
    regions,
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
