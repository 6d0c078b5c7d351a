# SPDX-License-Identifier: Apache-2.0
"""Clouds: every point lies on its pixel's line of sight, in bytes PointCloud2 readers expect."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.project import CloudProjector, points_above, stride_for

K = (500.0, 510.0, 31.2, 23.7)


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_points_project_back_to_their_pixels(h, w, stride, seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.3, 8, (h, w)).astype(np.float32)
    depth[rng.random((h, w)) < 0.3] = np.nan
    rgb = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    cloud = CloudProjector().project(depth, rgb, CameraModel(w, h, *K), stride)
    rows, columns = np.mgrid[0:h:stride, 0:w:stride]
    assert cloud.shape == (*rows.shape, 4) and cloud.dtype == np.float32
    z = cloud[..., 2]
    assert np.array_equal(z, depth[::stride, ::stride], equal_nan=True)
    known = ~np.isnan(z)
    assert np.isnan(cloud[~known][:, :2]).all()
    u, v = cloud[..., 0] / z * K[0] + K[2], cloud[..., 1] / z * K[1] + K[3]
    assert np.abs(u - columns)[known] == pytest.approx(0, abs=1e-3)
    assert np.abs(v - rows)[known] == pytest.approx(0, abs=1e-3)
    colours = cloud[..., 3].copy().view('<u4')
    expected = rgb[::stride, ::stride].astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    assert np.array_equal(colours, expected)


def test_colour_is_never_nan_and_fields_lie_where_they_say():
    rgb = np.full((4, 4, 3), 255, np.uint8)
    camera, projector = CameraModel(4, 4, *K), CloudProjector()
    cloud = projector.project(np.full((4, 4), 2.0, np.float32), rgb, camera)
    assert np.isfinite(cloud).all()
    assert cloud.strides[1] == 16
    assert not projector.project(np.ones((4, 4), np.float32), black(4, 4), camera)[..., 3].any()


def test_buffer_and_rays_follow_a_change_of_camera():
    projector = CloudProjector()

    def project(width: int, height: int, intrinsics: tuple[float, ...] = K) -> np.ndarray:
        depth, rgb = np.ones((height, width), np.float32), black(height, width)
        return projector.project(depth, rgb, CameraModel(width, height, *intrinsics))

    first = project(8, 6)
    x = first[2, 3, 0].copy()
    assert project(8, 6, (250.0, 255.0, 31.2, 23.7))[2, 3, 0] == pytest.approx(2 * x)
    assert first[2, 3, 0] == x
    assert project(6, 8).shape == (8, 6, 4)
    for size in range(2, 14):
        assert project(5, size).shape == (size, 5, 4)


@pytest.mark.parametrize('stride', [1, 3])
def test_points_of_a_distorted_image_project_back_to_their_pixels(stride):
    rational = (0.5, -2.6, 0.0004, -0.0003, 1.5, 0.38, -2.4, 1.4)
    camera = CameraModel(160, 120, 130.0, 131.0, 80.2, 58.9, 'rational_polynomial', rational)
    # The depth has half the size of what the camera_info describes.
    depth = np.random.default_rng(0).uniform(0.5, 5, (60, 80)).astype(np.float32)
    cloud = CloudProjector().project(depth, black(60, 80), camera, stride)
    x, y, z = (cloud[..., axis] for axis in range(3))
    u, v = camera.scaled(80, 60).project(x / z, y / z)
    rows, columns = np.mgrid[0:60:stride, 0:80:stride]
    assert np.abs(u - columns).max() < 0.02 and np.abs(v - rows).max() < 0.02
    straight = CameraModel(80, 60, 65.0, 65.5, 39.85, 29.2)
    pinhole = CloudProjector().project(depth, black(60, 80), straight, stride)
    assert np.abs(pinhole - cloud)[..., :2].max() > 0.01


@pytest.mark.parametrize(('least', 'expected'), [(0.0, [1, 3, 4]), (0.5, [1, 4]), (1.0, [1])])
def test_points_that_can_be_trusted_are_measured_or_confident(least, expected):
    depth = np.array([[1.0, np.nan], [3.0, 4.0]], np.float32)
    confidence = np.array([[1.0, 0.0], [0.25, 0.5]], np.float32)
    cloud = CloudProjector().project(depth, black(2, 2), CameraModel(2, 2, 9.0, 9.0, 0.5, 0.5))
    points = points_above(cloud, confidence, least)
    assert points.shape == (1, len(expected), 3)
    np.testing.assert_array_equal(points[0, :, 2], expected)
    rows = {tuple(point) for point in cloud[..., :3].reshape(-1, 3).tolist()}
    assert {tuple(point) for point in points[0].tolist()} <= rows


@pytest.mark.parametrize(('shape', 'stride'), [((480, 640), 1), ((480, 848), 2), ((720, 1280), 2)])
def test_clouds_of_large_images_have_a_quarter_of_the_points(shape, stride):
    assert stride_for(shape) == stride
