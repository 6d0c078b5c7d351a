# SPDX-License-Identifier: Apache-2.0
"""Restoring a small prediction: edges follow the RGB, measurements pull the offset out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magadepth_ros.completion.fit import fit_depth, fit_rgb, geometry
from magadepth_ros.completion.restore import follow_measured, restore_depth, restore_smooth
from magadepth_ros.simulation import simulated_views


def small_of(rgb: np.ndarray, depth: np.ndarray, height: int, width: int):
    geo = geometry(*depth.shape, height, width)
    small_depth = np.empty((height, width), np.float32)
    fit_depth(depth, geo, small_depth)
    return small_depth, fit_rgb(rgb, geo, np.empty((3, height, width), np.float32))


def test_plane_comes_back_unchanged():
    y, x = np.mgrid[0:48, 0:64].astype(np.float32)
    plane = 2.0 + 0.004 * x + 0.002 * y
    rgb = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    restored = restore_depth(plane, rgb[::2, ::2].copy(), rgb)
    yy, xx = np.mgrid[0:96, 0:128].astype(np.float32)
    expected = 2.0 + 0.004 * ((xx + 0.5) / 2 - 0.5) + 0.002 * ((yy + 0.5) / 2 - 0.5)
    assert np.abs(restored - expected)[2:-2, 2:-2].max() < 1e-4


def test_smeared_edge_is_put_back_where_the_colour_changes():
    truth = np.full((96, 128), 3.0, np.float32)
    truth[:, :61] = 1.0
    rgb = np.zeros((96, 128, 3), np.uint8)
    rgb[:, :61] = 200
    small, small_rgb = small_of(rgb, truth, 48, 64)
    smeared = cv2.GaussianBlur(small, (0, 0), 1.0)
    restored = restore_depth(smeared, small_rgb, rgb)
    floating = np.abs(restored - truth) > 0.2
    before = np.abs(restore_smooth(smeared, truth.shape) - truth) > 0.2
    assert before.mean(axis=0).sum() >= 5
    assert floating.mean(axis=0).sum() <= 2


@pytest.mark.parametrize('edge', [60, 61, 62, 63])
def test_colour_tells_where_an_edge_lies_between_small_pixels(edge):
    truth, rgb = np.full((96, 128), 3.0, np.float32), np.zeros((96, 128, 3), np.uint8)
    truth[:, :edge], rgb[:, :edge] = 1.0, 200
    small, small_rgb = (
        cv2.resize(a, (32, 24), interpolation=cv2.INTER_AREA) for a in (truth, rgb)
    )
    smeared = cv2.GaussianBlur(small, (0, 0), 1.0)

    with_colour = np.abs(restore_depth(smeared, small_rgb, rgb) - truth)
    without = np.abs(restore_depth(smeared, np.zeros_like(small_rgb), np.zeros_like(rgb)) - truth)

    assert with_colour.sum() < 0.85 * without.sum()


def test_a_dark_line_beside_an_edge_stays_on_its_own_surface():
    truth, rgb = np.full((96, 128), 3.0, np.float32), np.zeros((96, 128, 3), np.uint8)
    truth[:, :64], rgb[:, :64] = 1.0, 200
    small, small_rgb = truth[::2, ::2].copy(), rgb[::2, ::2].copy()
    rgb[:, 61] = 0

    restored = restore_depth(small, small_rgb, rgb)

    assert restored[:, :62] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize('size', [(96, 128), (101, 135), (192, 256)])
def test_only_wanted_pixels_are_sharpened_and_those_as_without_the_wish(size):
    truth, rgb = np.full(size, 3.0, np.float32), np.zeros((*size, 3), np.uint8)
    truth[:, : size[1] // 2], rgb[:, : size[1] // 2] = 1.0, 200
    small, small_rgb = small_of(rgb, truth, 48, 64)
    smeared = cv2.GaussianBlur(small, (0, 0), 1.0)
    wanted = np.zeros(size, bool)
    wanted[10:40] = True

    everywhere = restore_depth(smeared, small_rgb, rgb)
    there = restore_depth(smeared, small_rgb, rgb, wanted)

    assert np.array_equal(there[wanted], everywhere[wanted])
    assert np.array_equal(there[~wanted], restore_smooth(smeared, size)[~wanted])
    assert (there != restore_smooth(smeared, size)).any()


@pytest.mark.parametrize('seed', [0, 1])
def test_better_than_bilinear_on_simulated_scenes(seed):
    rgb, _, truth, *_ = next(simulated_views(320, 240, 1, seed))
    small, small_rgb = small_of(rgb, truth, 120, 160)
    smeared = cv2.GaussianBlur(small, (0, 0), 1.0)
    error = restore_depth(smeared, small_rgb, rgb) - truth
    bilinear = restore_smooth(smeared, truth.shape) - truth
    assert np.sqrt(np.mean(error**2)) < 0.85 * np.sqrt(np.mean(bilinear**2))
    assert (np.abs(error) > 0.1).mean() < 0.75 * (np.abs(bilinear) > 0.1).mean()


def test_offset_is_pulled_out_of_holes_but_other_surfaces_are_not_followed():
    x = np.mgrid[0:48, 0:64][1].astype(np.float32)
    truth = 2.0 + 0.01 * x
    predicted = truth * 1.03
    measured = truth.copy()
    measured[10:30, 20:50] = 0.0
    measured[40:44, 5:10] = 9.0
    followed = follow_measured(predicted, measured)
    error = np.abs(followed - truth)
    assert error[10:30, 20:50].max() < 0.02 < np.abs(predicted - truth).min()
    assert error[40:44, 5:10].max() < 0.03


def test_nothing_measured_leaves_the_prediction():
    predicted = np.random.default_rng(0).uniform(1, 4, (30, 41)).astype(np.float32)
    assert np.array_equal(follow_measured(predicted, np.zeros_like(predicted)), predicted)
