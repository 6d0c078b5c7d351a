# SPDX-License-Identifier: Apache-2.0
"""Hole-aware resizing and cropping: no depth is invented, and K follows the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magadepth_training.datasets.augment import Augmentation, mirror
from magadepth_training.datasets.resize import (
    Box,
    centre_box,
    crop_and_resize,
    resize_depth,
)
from magadepth_training.datasets.sample import Sample


def holey(seed: int, height: int, width: int) -> np.ndarray:
    """Two surfaces, 1 m and 4 m, with random holes."""
    rng = np.random.default_rng(seed)
    depth = np.where(np.add.outer(np.arange(height), np.arange(width)) % 9 < 4, 1.0, 4.0)
    return np.where(rng.random((height, width)) < 0.4, 0, depth).astype(np.float32)


@given(
    st.integers(0, 99),
    st.integers(4, 40),
    st.integers(4, 40),
    st.integers(2, 60),
    st.integers(2, 60),
)
def test_no_depth_between_surfaces_or_towards_holes(
    seed: int, height: int, width: int, new_height: int, new_width: int
) -> None:
    depth = holey(seed, height, width)
    for pooled in (False, True):
        resized = resize_depth(depth, new_height, new_width, pooled)
        assert resized.shape == (new_height, new_width) and resized.dtype == depth.dtype
        assert np.isclose(resized[..., None], [0, 1, 4], atol=1e-5).any(axis=-1).all()


def test_pooling_averages_measured_pixels_and_needs_half_of_the_cell() -> None:
    depth = np.float32([[1.00, 1.01, 0, 0], [0, 1.02, 1, 0]])
    np.testing.assert_allclose(resize_depth(depth, 1, 2, pooled=True), [[1.01, 0]], atol=1e-6)
    millimetres = (depth * 1000).astype(np.uint16)
    np.testing.assert_array_equal(resize_depth(millimetres, 1, 2, pooled=True), [[1010, 0]])


def test_nearest_takes_the_centre_of_a_cell() -> None:
    depth = np.tile(np.arange(1, 10, dtype=np.float32), (9, 1))
    np.testing.assert_array_equal(resize_depth(depth, 3, 3)[0], [2, 5, 8])


def test_intrinsics_keep_pointing_at_the_same_surface() -> None:
    height, width = 48, 64
    K = (60.0, 62.0, 30.0, 25.0)
    u = np.mgrid[:height, :width][1]
    # A wall whose depth is 2 + 0.3 X: from a pixel's depth and K, X must come out again.
    depth = (2 / (1 - 0.3 * (u - K[2]) / K[0])).astype(np.float32)
    sample = Sample(np.zeros((height, width, 3), np.uint8), depth, depth, None, K=K)
    for changed in (
        crop_and_resize(sample, Box(4, 8, 40, 40), 20, 20),
        mirror(sample),
        crop_and_resize(sample, Box(0, 10, 24, 32), 48, 64),
    ):
        assert changed.K is not None
        fx, _, cx, _ = changed.K
        columns = np.arange(changed.depth.shape[1])
        x = (columns - cx) / fx * changed.depth
        sign = -1 if changed.K[2] == width - 1 - K[2] else 1
        # A nearest pixel is up to half a pixel off.
        np.testing.assert_allclose(changed.depth, 2 + 0.3 * sign * x, atol=0.03)


@pytest.mark.parametrize('shape', [(480, 640), (240, 320), (100, 300), (300, 100)])
def test_centre_box_has_the_ratio_and_fits(shape: tuple[int, int]) -> None:
    box = centre_box(shape, 192, 288)
    assert box.top >= 0 and box.top + box.height <= shape[0]
    assert box.left >= 0 and box.left + box.width <= shape[1]
    assert box.height == shape[0] or box.width == shape[1]
    assert abs(box.width / box.height - 1.5) < 0.02


def test_augmentation_keeps_metres_and_keeps_pictures_together() -> None:
    rng = np.random.default_rng(0)
    marks = rng.integers(1, 255, (48, 64)).astype(np.uint8)
    depth = marks / np.float32(100)
    sample = Sample(np.repeat(marks[..., None], 3, 2), depth, depth, marks)
    augmentation = Augmentation(light=0)
    for seed in range(20):
        varied = augmentation.apply(sample, 96, 128, np.random.default_rng(seed))
        assert varied.target is not None and varied.score is not None
        np.testing.assert_array_equal(varied.depth, varied.target)
        # Enlarged by nearest pixel: every value is an old one, at the place of its score.
        np.testing.assert_allclose(varied.depth, varied.score / np.float32(100), atol=1e-6)
