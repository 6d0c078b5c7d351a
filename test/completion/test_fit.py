# SPDX-License-Identifier: Apache-2.0
"""Fitting any camera to the engine's input: nothing is cropped, depth never mixes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magadepth_ros.completion.fit import (
    fit_depth,
    fit_rgb,
    geometry,
    halve_depth,
)

SIZES = [
    (480, 640),
    (480, 848),
    (720, 1280),
    (1280, 720),
    (128, 128),
    (576, 640),
    (424, 512),
    (96, 77),
    (13, 200),
    (1080, 9),
]
side = st.integers(2, 300)


def fitted(depth: np.ndarray, height: int = 48, width: int = 64) -> np.ndarray:
    out = np.full((height, width), -7.0, np.float32)
    fit_depth(depth, geometry(*depth.shape, height, width), out)
    return out


@settings(max_examples=150, deadline=None)
@given(side, side, st.integers(8, 96), st.integers(8, 96))
def test_the_whole_image_lies_in_the_input(h, w, height, width):
    geo = geometry(h, w, height, width)
    assert geo.inner_height >= 1 and geo.inner_width >= 1
    assert geo.top >= 0 and geo.top + geo.inner_height <= height
    assert geo.left >= 0 and geo.left + geo.inner_width <= width
    assert geo.inner_height == height or geo.inner_width == width


@pytest.mark.parametrize('size', SIZES)
def test_a_pixel_arrives_where_the_geometry_says(size):
    height, width = 48, 64
    geo = geometry(*size, height, width)
    columns, rows = np.meshgrid(
        np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32)
    )
    step = max(size[0] / geo.inner_height, size[1] / geo.inner_width, 1.0)
    us, vs = np.meshgrid(np.arange(geo.inner_width), np.arange(geo.inner_height))
    for field, place, shrink in (
        (columns, us, size[1] / geo.inner_width),
        (rows, vs, size[0] / geo.inner_height),
    ):
        # Far from the origin, so that neighbours belong to one surface and are averaged.
        out = fitted(field + 10000.0)[geo.inner] - 10000.0
        expected = (place + 0.5) * shrink - 0.5
        assert np.abs(out - expected).max() <= 0.5 * step + 0.51
        # Rounding to whole pixels shifts single ones, not a picture that has more than a few.
        assert min(out.shape) < 16 or abs((out - expected).mean()) < 0.02 * step


@settings(max_examples=100, deadline=None)
@given(side, side, st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_small_depth_consists_of_values_of_the_large_one(h, w, seed, holes):
    rng = np.random.default_rng(seed)
    depth = rng.choice(np.array([1.0, 2.0, 4.0], np.float32), (h, w))
    depth[rng.random((h, w)) < holes] = 0.0
    out = fitted(depth)
    assert np.isin(out, [0.0, 1.0, 2.0, 4.0]).all()
    if not depth.any():
        assert not out.any()


@pytest.mark.parametrize('size', [(96, 128), (192, 256), (384, 512)])
def test_a_single_valid_pixel_survives_unchanged(size):
    depth = np.zeros(size, np.float32)
    depth[size[0] // 3, size[1] // 5] = 1.2345
    out = fitted(depth)
    assert np.count_nonzero(out) == 1 and out.max() == np.float32(1.2345)


def test_median_of_the_valid_never_the_mean_over_an_edge():
    def cell(*values):
        return halve_depth(np.array(values, np.float32).reshape(2, 2))[0, 0]

    assert cell(0, 0, 0, 0) == 0.0
    assert cell(0, 0, 3, 0) == 3.0
    assert cell(1, 0, 0, 3) == 1.0
    assert cell(1, 1, 3, 3) == 1.0
    assert cell(3, 1, 3, 3) == 3.0
    assert cell(0, 1, 3, 3) == 3.0
    assert cell(2.00, 2.02, 0, 0) == pytest.approx(2.01)
    assert cell(2.00, 2.06, 0, 0) == np.float32(2.00)
    assert cell(2.00, 2.01, 2.02, 2.03) == pytest.approx(2.015)
    assert cell(2.00, 2.01, 2.02, 9.00) == pytest.approx(2.015)


def test_bars_are_missing_in_depth_and_repeat_the_border_in_rgb():
    geo = geometry(90, 160, 48, 64)
    assert geo.padded and (geo.top, geo.inner_height) == (6, 36)
    out = fitted(np.full((90, 160), 2.0, np.float32))
    assert (out[geo.inner] == 2.0).all() and not out[:6].any() and not out[42:].any()
    rgb = np.zeros((90, 160, 3), np.uint8)
    rgb[:8] = (255, 0, 51)
    planes = np.empty((3, 48, 64), np.float32)
    fit_rgb(rgb, geo, planes)
    assert planes[:, 0, 0] == pytest.approx([1.0, 0.0, 0.2])
    assert not planes[:, 47].any()


@pytest.mark.parametrize('size', SIZES)
def test_rgb_is_averaged_over_its_area(size):
    rgb = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    geo = geometry(*size, 48, 64)
    planes = np.empty((3, 48, 64), np.float32)
    small = fit_rgb(rgb, geo, planes)
    assert small.shape == (geo.inner_height, geo.inner_width, 3)
    assert planes.min() >= 0 and planes.max() <= 1
    means = planes[:, geo.inner[0], geo.inner[1]].mean(axis=(1, 2))
    assert means == pytest.approx(rgb.mean(axis=(0, 1)) / 255, abs=0.03)


def test_rgb_is_averaged_where_its_size_is_no_multiple():
    rgb = np.zeros((72, 96, 3), np.uint8)
    rgb[::2] = 255
    planes = np.empty((3, 48, 64), np.float32)

    fit_rgb(rgb, geometry(72, 96, 48, 64), planes)

    assert planes.min() > 0.1 and planes.max() < 0.9
