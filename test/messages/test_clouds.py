# SPDX-License-Identifier: Apache-2.0
"""PointCloud2 out of an image: read back by its own field table, as any subscriber does."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.project import CloudProjector
from magadepth_ros.errors import EncodingError
from magadepth_ros.messages.clouds import cloud_memory, fill_cloud


@pytest.mark.parametrize('in_place', [False, True])
def test_a_subscriber_finds_points_and_colours_by_the_fields(in_place):
    depth = np.array([[2.0, np.nan], [4.0, 1.0]], np.float32)
    rgb = np.array([[[255, 0, 1], [2, 3, 4]], [[5, 6, 7], [8, 9, 10]]], np.uint8)
    msg = PointCloud2()
    memory = cloud_memory(msg, 2, 2) if in_place else None
    cloud = CloudProjector().project(
        depth, rgb, CameraModel(2, 2, 100.0, 50.0, 0.5, 0.5), out=memory
    )
    fill_cloud(msg, Header(frame_id='f'), cloud)
    assert (msg.height, msg.width, msg.is_dense, msg.header.frame_id) == (2, 2, False, 'f')
    assert msg.row_step == msg.width * msg.point_step
    assert len(msg.data) == msg.height * msg.row_step
    assert all(f.datatype == PointField.FLOAT32 and f.count == 1 for f in msg.fields)
    points = np.frombuffer(msg.data, np.uint8).reshape(2, 2, msg.point_step)
    found = {f.name: points[..., f.offset : f.offset + 4].copy() for f in msg.fields}
    metres = {name: found[name].view('<f4')[..., 0] for name in 'xyz'}
    np.testing.assert_allclose(metres['x'], [[-0.01, np.nan], [-0.02, 0.005]])
    np.testing.assert_allclose(metres['y'], [[-0.02, np.nan], [0.04, 0.01]])
    np.testing.assert_array_equal(metres['z'], depth)
    packed = found['rgb'].view('<u4')[..., 0]
    np.testing.assert_array_equal(packed >> 16 & 255, rgb[..., 0])
    np.testing.assert_array_equal(packed >> 8 & 255, rgb[..., 1])
    np.testing.assert_array_equal(packed & 255, rgb[..., 2])


def test_a_message_keeps_its_memory_while_the_size_stays():
    msg = PointCloud2()
    first = cloud_memory(msg, 4, 6)
    fill_cloud(msg, Header(), first)

    assert np.shares_memory(first, cloud_memory(msg, 4, 6))
    assert cloud_memory(msg, 2, 3).shape == (2, 3, 4)
    assert len(msg.data) == 2 * 3 * 16


def test_a_cloud_that_is_not_square_says_how_it_lies():
    msg = PointCloud2()
    fill_cloud(msg, Header(), np.zeros((2, 3, 4), np.float32))

    assert (msg.height, msg.width, msg.row_step, len(msg.data)) == (2, 3, 48, 96)
    assert msg.is_bigendian == (sys.byteorder == 'big')


def test_a_cloud_may_have_a_confidence():
    msg = PointCloud2()
    depth = np.array([[1.0, np.nan], [3.0, 4.0]], np.float32)
    confidence = np.array([[1.0, 0.0], [0.25, 0.5]], np.float32)
    memory = cloud_memory(msg, 2, 2, 5)
    rgb, camera = np.zeros((2, 2, 3), np.uint8), CameraModel(2, 2, 9.0, 9.0, 0.5, 0.5)
    cloud = CloudProjector().project(depth, rgb, camera, out=memory, confidence=confidence)
    fill_cloud(msg, Header(), cloud)
    assert [(f.name, f.offset) for f in msg.fields][-1] == ('confidence', 16)
    points = np.frombuffer(msg.data, '<f4').reshape(2, 2, msg.point_step // 4)
    np.testing.assert_array_equal(points[..., 4], confidence)


def test_points_without_order_are_dense():
    msg = PointCloud2()
    fill_cloud(msg, Header(), np.ones((1, 7, 3), np.float32))
    assert [f.name for f in msg.fields] == ['x', 'y', 'z']
    assert (msg.height, msg.width, msg.point_step, len(msg.data)) == (1, 7, 12, 84)
    assert msg.is_dense
    fill_cloud(msg, Header(), np.ones((1, 0, 3), np.float32))
    assert (msg.width, len(msg.data)) == (0, 0)


@pytest.mark.parametrize(
    ('shape', 'dtype'),
    [((4, 3), 'f4'), ((4, 4), 'f4'), ((2, 2, 2), 'f4'), ((2, 2, 6), 'f4'), ((2, 2, 4), 'f8')],
)
def test_another_form_is_refused(shape, dtype):
    with pytest.raises(EncodingError, match=r'\(H, W, 3 to 5\) float32'):
        fill_cloud(PointCloud2(), Header(), np.zeros(shape, dtype))
