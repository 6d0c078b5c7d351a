# SPDX-License-Identifier: Apache-2.0
"""Every baseline on planes and steps, and three of them against naive loops."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_ros.errors import DataError
from magadepth_training.evaluation.baselines import BASELINES, select_baselines

PARTIAL = ('realsense_left', 'realsense_farthest', 'realsense_nearest')


def scene(height: int = 40, width: int = 56) -> tuple[np.ndarray, np.ndarray]:
    """Two surfaces at 1 m and 3 m, of two colours."""
    rgb = np.full((height, width, 3), 40, np.uint8)
    rgb[:, width // 2 :] = 200
    depth = np.ones((height, width), np.float32)
    depth[:, width // 2 :] = 3
    return rgb, depth


@pytest.mark.parametrize('name', BASELINES)
def test_holes_within_a_surface_take_its_depth(name: str) -> None:
    rgb, truth = scene()
    depth = truth.copy()
    depth[10:18, 5:15] = 0
    depth[20:26, 40:46] = 0
    before = depth.copy()
    filled = BASELINES[name](rgb, depth)
    assert filled.shape == depth.shape and filled.dtype == np.float32
    hole = depth == 0
    np.testing.assert_allclose(filled[hole], truth[hole], atol=0.01)
    np.testing.assert_array_equal(depth, before)


@pytest.mark.parametrize('name', [n for n in BASELINES if n not in PARTIAL])
def test_all_is_filled_within_the_measured_range(name: str) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (50, 60, 3), np.uint8)
    depth = np.where(rng.random((50, 60)) < 0.05, rng.uniform(1, 2, (50, 60)), 0)
    depth[:15] = 0
    filled = BASELINES[name](rgb, depth.astype(np.float32))
    assert (filled >= 0.99).all() and (filled <= 2.01).all()


@pytest.mark.parametrize('name', BASELINES)
def test_nothing_measured_gives_nothing(name: str) -> None:
    rgb, depth = scene()
    assert not BASELINES[name](rgb, np.zeros_like(depth)).any()


@pytest.mark.parametrize('name', BASELINES)
def test_complete_depth_stays(name: str) -> None:
    rgb, depth = scene()
    filled = BASELINES[name](rgb, depth)
    away = np.abs(np.arange(depth.shape[1]) - depth.shape[1] // 2) > 6
    np.testing.assert_allclose(filled[:, away], depth[:, away], atol=2e-3)


@pytest.mark.parametrize('name', ['levin', 'joint_bilateral'])
def test_guided_methods_follow_the_colour_edge(name: str) -> None:
    rgb, truth = scene()
    depth = truth.copy()
    depth[15:25, 14:36] = 0
    filled = BASELINES[name](rgb, depth)
    np.testing.assert_allclose(filled, truth, atol=0.05)


def test_levin_solves_the_published_system() -> None:
    """The sparse solution against a dense system that is built pixel by pixel."""
    rng = np.random.default_rng(5)
    height, width = 7, 9
    rgb = rng.integers(0, 255, (height, width, 3), np.uint8)
    depth = np.where(rng.random((height, width)) < 0.4, rng.uniform(1, 4, (height, width)), 0)
    grey = (rgb / 255.0) @ (0.299, 0.587, 0.114)
    system = np.eye(height * width)
    right = np.zeros(height * width)
    for i in range(height):
        for j in range(width):
            here = i * width + j
            around = [
                (a, b)
                for a in range(max(0, i - 1), min(height, i + 2))
                for b in range(max(0, j - 1), min(width, j + 2))
                if (a, b) != (i, j)
            ]
            squares = np.array([(grey[a, b] - grey[i, j]) ** 2 for a, b in around])
            spread = 0.6 * np.var([grey[i, j], *(grey[a, b] for a, b in around)])
            spread = max(spread, -squares.min() / np.log(0.01), 2e-6)
            weights = np.exp(-squares / spread)
            for (a, b), weight in zip(around, weights / weights.sum()):
                system[here, a * width + b] -= weight
            if depth[i, j] > 0:
                system[here, here] += 1
                right[here] = depth[i, j]
    expected = np.linalg.solve(system, right).reshape(height, width)
    filled = BASELINES['levin'](rgb, depth.astype(np.float32))
    np.testing.assert_allclose(filled, expected, atol=1e-4)


@pytest.mark.parametrize('mode', [0, 1, 2])
def test_realsense_modes_against_the_raster_scan(mode: int) -> None:
    rng = np.random.default_rng(mode)
    depth = np.where(rng.random((12, 14)) < 0.5, rng.uniform(1, 4, (12, 14)), 0)
    depth = depth.astype(np.float32)
    expected = depth.copy()
    for i in range(12):
        for j in range(1, 14):
            if expected[i, j] > 0:
                continue
            left = expected[i, j - 1]
            if mode == 0:
                expected[i, j] = left
            elif 0 < i < 11:
                up, down = expected[i - 1, j], expected[i + 1, j]
                around = [up, expected[i - 1, j - 1], left, expected[i + 1, j - 1], down]
                if mode == 1:
                    expected[i, j] = max(around)
                elif up > 0:
                    expected[i, j] = min(x for x in around if x > 0)
    name = ('realsense_left', 'realsense_farthest', 'realsense_nearest')[mode]
    np.testing.assert_array_equal(
        BASELINES[name](np.zeros((12, 14, 3), np.uint8), depth), expected
    )


def test_selection_by_name() -> None:
    assert select_baselines(['all']).keys() == BASELINES.keys()
    assert select_baselines(['none']) == {}
    assert list(select_baselines(['levin', 'nearest'])) == ['levin', 'nearest']
    with pytest.raises(DataError, match='choose all, none or of nearest'):
        select_baselines(['lewin'])
