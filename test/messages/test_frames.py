# SPDX-License-Identifier: Apache-2.0
"""Stamps and images of messages, of ROS and of rosbags, whole and serialised."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='makes messages as bags have them')

from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from support.bags import STORE, image, make

from magadepth_ros.errors import DataError
from magadepth_ros.messages.compressed import depth_to_compressed, rgb_to_compressed
from magadepth_ros.messages.frames import FrameReader, depth_of, rgb_of
from magadepth_ros.messages.images import fill
from magadepth_ros.stamps import serialised_stamp_ns, stamp_ns
from magadepth_ros.topics import CameraTopics

STAMP = 1_800_000_000_123_456_789
RGB = np.full((16, 24, 3), 120, np.uint8)
DEPTH = np.linspace(0.5, 3.0, 16 * 24, dtype=np.float32).reshape(16, 24)


@pytest.mark.parametrize('kind', [Image, PointCloud2])
def test_a_stamp_is_the_same_before_and_after_deserialising(kind):
    header = Header(frame_id='camera')
    header.stamp.sec, header.stamp.nanosec = divmod(STAMP, 10**9)
    message = kind(header=header)
    assert stamp_ns(message) == serialised_stamp_ns(serialize_message(message)) == STAMP


@pytest.mark.parametrize('little_endian', [True, False])
def test_a_stamp_of_a_bag_is_read_in_either_byte_order(little_endian):
    message = image(STAMP, 'camera', DEPTH, '32FC1')
    data = STORE.serialize_cdr(message, message.__msgtype__, little_endian=little_endian)
    assert stamp_ns(message) == serialised_stamp_ns(data) == STAMP


def test_a_message_without_a_whole_header_is_refused():
    with pytest.raises(DataError, match='12 bytes or more, got 11'):
        serialised_stamp_ns(bytes(11))


def test_images_are_read_packed_or_not_from_ros_or_from_a_bag():
    rgb, depth = Image(), Image()
    fill(rgb, RGB, 'rgb8')
    fill(depth, DEPTH, '32FC1')
    packed_rgb = rgb_to_compressed(Header(), RGB)
    packed_depth = depth_to_compressed(Header(), DEPTH, '16UC1')
    kind = 'sensor_msgs/msg/CompressedImage'
    bagged = [
        make(kind, header=None, format=packed.format, data=np.frombuffer(packed.data, np.uint8))
        for packed in (packed_rgb, packed_depth)
    ]
    for message in (rgb, packed_rgb, image(STAMP, 'camera', RGB, 'rgb8'), bagged[0]):
        np.testing.assert_allclose(rgb_of(message), RGB, atol=2)
    for message in (depth, packed_depth, image(STAMP, 'camera', DEPTH, '32FC1'), bagged[1]):
        np.testing.assert_allclose(depth_of(message), DEPTH, atol=0.00051)


def test_frames_of_two_cameras_are_of_two_streams():
    messages = image(STAMP, 'camera', RGB, 'rgb8'), image(STAMP, 'camera', DEPTH, '32FC1')
    readers = [FrameReader(CameraTopics(f'/{name}/rgb', '', '/depth')) for name in ('a', 'b')]
    one, other = (reader.read(*messages).stream for reader in readers)
    assert one and other and one != other
    assert readers[0].read(*messages).stream == one
