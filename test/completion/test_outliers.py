# SPDX-License-Identifier: Apache-2.0
"""Flying pixels and speckle go, at every size; wires, sparse depth and objects stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from magadepth_ros.completion import Completer, CompletionSettings
from magadepth_ros.completion.outliers import find_suspects, refute

SIZES = [(240, 320), (240, 424), (270, 480), (480, 640), (720, 1280)]


def suspects(depth):
    return find_suspects(depth, depth > 0, 0.05)


@pytest.fixture(scope='module')
def completer():
    """Open the shipped model, told to replace outliers."""
    with Completer.open(
        'guided_fill', threads=1, settings=CompletionSettings(replace_outliers=True)
    ) as completer:
        yield completer


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('offset', [0, 1])
def test_a_ring_of_flying_pixels_goes_wherever_it_lies(completer, size, offset):
    near = np.zeros(size, np.uint8)
    rows, columns = ([n // 4 // 4 * 4 + offset, n * 3 // 4 // 4 * 4 + offset] for n in size)
    near[slice(*rows), slice(*columns)] = 1
    ring = (cv2.dilate(near, np.ones((3, 3))) > 0) & (near == 0)
    truth = np.where(near > 0, np.float32(1.0), np.float32(2.0))
    rgb = np.where(near[..., None] > 0, np.uint8(200), np.uint8(60)).repeat(3, axis=2)

    result = completer.complete(rgb, np.where(ring, np.float32(1.5), truth))

    floats = ring & (np.abs(result.depth - 1.5) < 0.4)
    # Its corners have too many friends.
    assert floats.sum() <= 8
    assert np.abs(result.depth - truth)[~ring].max() < 1e-6


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('speckle', [0.7, 1.2, 3.0, 9.0])
def test_speckle_goes_at_every_size_and_is_filled_with_the_wall(completer, size, speckle):
    depth = np.full(size, 2.0, np.float32)
    lone = np.random.default_rng(0).random(size) < 0.002
    lone &= cv2.blur(lone.astype(np.float32), (3, 3)) < 0.2  # one in each nine
    depth[lone] = speckle

    result = completer.complete(np.full((*size, 3), 128, np.uint8), depth)

    assert lone.any() and np.abs(result.depth - 2.0).max() < 0.02
    assert np.array_equal(result.filled, lone)


def test_a_wire_in_front_stays(completer):
    depth = np.full((240, 320), 2.0, np.float32)
    depth[:, 100] = depth[60, :] = 1.0

    result = completer.complete(np.full((240, 320, 3), 128, np.uint8), depth)

    assert np.array_equal(result.depth, depth)


@pytest.mark.parametrize('noise', [0.0, 0.01])
@pytest.mark.parametrize('roll', [0.0, 0.3])
def test_a_floor_seen_at_a_grazing_angle_is_not_suspect(noise, roll):
    rows, columns = np.mgrid[:240, :320]
    below = (rows - 120) * np.cos(roll) + (columns - 160) * np.sin(roll)
    with np.errstate(divide='ignore'):
        floor = (0.15 * 300 / below).astype(np.float32)
    floor[(below <= 0) | (floor > 10)] = 0
    floor *= np.random.default_rng(0).normal(1, noise, floor.shape).astype(np.float32)
    floor[:, 100:103] = 0

    found = suspects(floor)

    # Its last rows, of which every second one is out of range, go on nowhere.
    assert found.sum() < 0.01 * (floor > 0).sum()


def test_measurements_that_all_contradict_each_other_are_shown(completer):
    depth = np.zeros((240, 320), np.float32)
    depth[100:103, 100:103] = np.arange(1, 10).reshape(3, 3) * 0.7

    result = completer.complete(np.full((240, 320, 3), 128, np.uint8), depth)

    assert np.array_equal(result.depth[depth > 0], depth[depth > 0])
    assert result.measured_share == 9 / depth.size


def test_sparse_depth_and_the_rim_of_holes_are_not_suspect():
    rng = np.random.default_rng(1)
    dense = rng.uniform(1, 5, (96, 128)).astype(np.float32)
    assert not suspects(np.where(rng.random(dense.shape) < 0.01, dense, np.float32(0))).any()
    wall = np.full((96, 128), 2.0, np.float32)
    wall[rng.random(wall.shape) < 0.5] = 0
    assert not suspects(wall).any()


def test_a_suspect_that_the_prediction_agrees_with_stays():
    depth = np.full((9, 9), 2.0, np.float32)
    depth[4, 4] = 1.0
    lone = suspects(depth)
    assert lone.sum() == 1 and lone[4, 4]
    agrees = np.full_like(depth, 2.0)
    agrees[4, 4] = 1.02

    assert not refute(lone, depth, agrees, 0.05).any()
    assert np.array_equal(refute(lone, depth, np.full_like(depth, 2.0), 0.05), lone)


@pytest.mark.parametrize(('ramp', 'side'), [(1.4, 1.0), (1.6, 2.0)])
def test_a_ramp_under_a_suspect_is_put_on_the_nearer_surface(ramp, side):
    depth = np.full((9, 9), 2.0, np.float32)
    depth[:, :4], depth[:, 4] = 1.0, 1.5
    floating = suspects(depth)
    assert np.array_equal(floating[:, 4], np.ones(9, bool)) and floating.sum() == 9
    predicted = np.full_like(depth, ramp)

    assert np.array_equal(refute(floating, depth, predicted, 0.05), floating)
    assert (predicted[:, 4] == side).all() and (predicted[:, 5] == np.float32(ramp)).all()
