# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image to arrays and back: every encoding, padding, byte order and broken headers."""

from __future__ import annotations

import array
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.messages import depth_image, rgb_image

from magadepth_ros.completion.buffers import Buffers
from magadepth_ros.errors import EncodingError
from magadepth_ros.messages.encodings import COLOUR, DEPTH, SUBSAMPLED
from magadepth_ros.messages.images import (
    fill,
    image_to_depth,
    image_to_rgb,
    reused,
)

# Of one pixel OpenCV 4.5 makes no colours.
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9)).filter(lambda size: size != (1, 1))


def message(
    pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False
) -> Image:
    """Build a message byte by byte, as a driver in another language would."""
    rows = pixels.astype(pixels.dtype.newbyteorder('>' if big_endian else '<'))
    row = rows.reshape(rows.shape[0], -1).view(np.uint8)
    padded = np.pad(row, ((0, 0), (0, padding)), constant_values=0xAB)
    msg = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    msg.step = padded.shape[1]
    msg.is_bigendian = int(big_endian)
    msg.data = array.array('B', padded.tobytes())
    return msg


@settings(max_examples=200, deadline=None)
@given(data=st.data(), size=SIZES, padding=st.integers(0, 5))
def test_colour_orders_and_padding_give_the_same_rgb(data, size, padding):
    rgb = data.draw(hnp.arrays(np.uint8, (*size, 3)))
    alpha = np.full((*size, 1), 9, np.uint8)
    assert np.array_equal(image_to_rgb(message(rgb, 'rgb8', padding)), rgb)
    assert np.array_equal(image_to_rgb(message(rgb[..., ::-1].copy(), 'bgr8', padding)), rgb)
    rgba = np.concatenate([rgb, alpha], -1)
    assert np.array_equal(image_to_rgb(message(rgba, 'rgba8', padding)), rgb)
    bgra = np.concatenate([rgb[..., ::-1], alpha], -1)
    assert np.array_equal(image_to_rgb(message(bgra, 'bgra8', padding)), rgb)
    grey = rgb[..., 0]
    for encoding in ('mono8', '8UC1'):
        found = image_to_rgb(message(grey, encoding, padding))
        assert np.array_equal(found, np.dstack([grey] * 3))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), size=SIZES, padding=st.integers(0, 5), big=st.booleans())
def test_sixteen_bit_colour_keeps_its_high_byte(data, size, padding, big):
    rgb = data.draw(hnp.arrays(np.uint16, (*size, 3)))
    rgba = np.concatenate([rgb, np.full((*size, 1), 2304, np.uint16)], -1)
    for encoding, pixels in (
        ('rgb16', rgb),
        ('bgr16', rgb[..., ::-1]),
        ('rgba16', rgba),
        ('bgra16', rgba[..., [2, 1, 0, 3]]),
    ):
        found = image_to_rgb(message(pixels.copy(), encoding, padding, big))
        assert np.array_equal(found, rgb >> 8), encoding
    grey = rgb[..., 0]
    expected = np.dstack([grey >> 8] * 3)
    assert np.array_equal(image_to_rgb(message(grey, 'mono16', padding, big)), expected)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), size=SIZES, padding=st.integers(0, 5), big=st.booleans())
def test_depth_of_either_byte_order_is_metres(data, size, padding, big):
    raw = data.draw(hnp.arrays(np.uint16, size))
    for encoding in ('16UC1', 'mono16'):
        depth = image_to_depth(message(raw, encoding, padding, big))
        assert depth.dtype == np.float32
        np.testing.assert_allclose(depth, raw / 1000.0, rtol=1e-6)
    floats = data.draw(hnp.arrays(np.float32, size))
    np.testing.assert_array_equal(image_to_depth(message(floats, '32FC1', padding, big)), floats)


@settings(max_examples=200, deadline=None)
@given(
    depth=hnp.arrays(
        np.float32, SIZES, elements=st.floats(-1, 100, width=32) | st.just(float('nan'))
    )
)
def test_outgoing_depth_reads_back(depth):
    header = Header(frame_id='camera_color_optical_frame')
    metres = depth_image(header, depth)
    assert (metres.encoding, metres.step, metres.is_bigendian) == (
        '32FC1',
        4 * depth.shape[1],
        0,
    )
    assert metres.header is header or metres.header == header
    np.testing.assert_array_equal(image_to_depth(metres), depth)
    millimetres = image_to_depth(depth_image(header, depth, '16UC1'))
    holds = (depth > 0.0006) & (depth < 65.534)
    np.testing.assert_allclose(millimetres[holds], depth[holds], atol=0.00051)
    assert not millimetres[~(depth > 0)].any()
    assert not millimetres[depth > 65.535].any()


def test_rgb8_and_native_float_depth_are_views():
    rgb = rgb_image(Header(), np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    seen = image_to_rgb(rgb)
    rgb.data[0] = 200
    assert seen[0, 0, 0] == 200
    assert not seen.flags.writeable
    depth = depth_image(Header(), np.ones((4, 5), np.float32))
    seen = image_to_depth(depth)
    depth.data[0:4] = array.array('B', np.float32(3).tobytes())
    assert seen[0, 0] == 3


def test_filling_a_message_again_keeps_its_memory():
    msg = Image()
    fill(msg, np.zeros((4, 5), np.float32), '32FC1')
    before = np.frombuffer(msg.data, np.uint8)
    fill(msg, np.ones((4, 5), np.float32), '32FC1')
    assert np.shares_memory(before, np.frombuffer(msg.data, np.uint8))
    np.testing.assert_array_equal(image_to_depth(msg), 1)
    fill(msg, np.ones((2, 3, 3), np.uint8), 'rgb8')
    assert (len(msg.data), msg.step) == (18, 9)


def test_a_result_is_published_without_a_copy_and_an_excerpt_of_it_as_one():
    msg, buffers = reused(Image), Buffers()
    depth = buffers.take((4, 5))
    depth[:] = 2.0

    fill(msg, depth, '32FC1')
    assert np.shares_memory(np.frombuffer(msg.data, np.uint8), depth)

    fill(msg, depth[:2], '32FC1')
    assert not np.shares_memory(np.frombuffer(msg.data, np.uint8), depth)
    np.testing.assert_array_equal(image_to_depth(msg), np.full((2, 5), 2.0))


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview, np.asarray])
def test_any_buffer_serves_as_data(kind):
    class Message:
        """Has an Image's fields; newer distributions have another type behind ``data``."""

        height, width, step, is_bigendian, encoding = 2, 2, 4, 0, '16UC1'
        data = kind(np.array([[1, 2], [3, 4]], '<u2').tobytes())

        if kind is np.asarray:
            data = np.frombuffer(bytes(np.array([[1, 2], [3, 4]], '<u2').tobytes()), np.uint8)

    np.testing.assert_allclose(image_to_depth(Message()), [[0.001, 0.002], [0.003, 0.004]])


def test_floats_at_an_odd_address_are_moved():
    memory = np.zeros(17, np.uint8)
    memory[1:] = np.array([1, 2, 3, 4], '<f4').view(np.uint8)
    shape = dict(height=2, width=2, step=8, is_bigendian=0, encoding='32FC1')

    depth = image_to_depth(SimpleNamespace(**shape, data=memory[1:]))

    assert depth.flags.aligned and depth.tolist() == [[1, 2], [3, 4]]


def test_yuv_and_bayer_are_the_colours_they_were_made_of():
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[:] = (200, 60, 30)
    red, green, blue = (200.0, 60.0, 30.0)
    # BT.601 in studio swing, which is what cameras send.
    y = round(16 + 0.257 * red + 0.504 * green + 0.098 * blue)
    u = round(128 - 0.148 * red - 0.291 * green + 0.439 * blue)
    v = round(128 + 0.439 * red - 0.368 * green - 0.071 * blue)
    yuyv = np.tile(np.array([[y, u], [y, v]], np.uint8), (8, 4, 1))
    for encoding, packed in (
        ('yuv422_yuy2', yuyv),
        ('yuyv', yuyv),
        ('uyvy', yuyv[..., ::-1].copy()),
        ('yuv422', yuyv[..., ::-1].copy()),
    ):
        found = image_to_rgb(message(packed, encoding)).astype(int)
        assert np.abs(found - rgb).max() <= 3, encoding
    # Channel under the pixel at (row, column) of the 2x2 tile, as the encoding's name spells it.
    for name in ('rggb', 'bggr', 'gbrg', 'grbg'):
        tile = np.array(['rgb'.index(letter) for letter in name]).reshape(2, 2)
        mosaic = np.take_along_axis(rgb, np.tile(tile, (4, 4))[..., None], -1)[..., 0]
        found = image_to_rgb(message(mosaic, f'bayer_{name}8')).astype(int)
        assert np.abs(found[2:-2, 2:-2] - rgb[2:-2, 2:-2]).max() <= 1, name
        wide = (mosaic.astype(np.uint16) << 8) | 7
        found = image_to_rgb(message(wide, f'bayer_{name}16')).astype(int)
        assert np.abs(found[2:-2, 2:-2] - rgb[2:-2, 2:-2]).max() <= 1, name


FIELDS = st.fixed_dictionaries(
    {
        'height': st.integers(0, 12) | st.sampled_from([2**31, 2**32 - 1]),
        'width': st.integers(0, 12) | st.sampled_from([2**31, 2**32 - 1]),
        'step': st.integers(0, 60) | st.just(2**32 - 1),
        'is_bigendian': st.integers(0, 255),
        'encoding': st.sampled_from([*COLOUR, *DEPTH, '', '8UC3', 'jpeg', '64FC1', 'äß']),
        'data': st.binary(max_size=300),
    }
)


@settings(max_examples=600, deadline=None)
@given(fields=FIELDS)
def test_a_message_is_read_or_refused_never_worse(fields):
    msg = Image(**{**fields, 'data': array.array('B', fields['data'])})
    for read, table in ((image_to_rgb, COLOUR), (image_to_depth, DEPTH)):
        try:
            found = read(msg)
        except EncodingError as error:
            assert str(error)
            continue
        assert found.shape[:2] == (msg.height, msg.width)
        layout = table[msg.encoding]
        assert msg.step >= msg.width * layout.bytes_per_pixel
        assert len(msg.data) >= msg.step * (msg.height - 1) + msg.width * layout.bytes_per_pixel
        assert msg.encoding not in SUBSAMPLED or msg.width % 2 == 0


def test_cv_bridge_serves_what_the_table_does_not_know(monkeypatch):
    class CvBridge:
        """What vision_opencv's class does with a good and with a broken message."""

        def imgmsg_to_cv2(self, msg: Image, desired: str) -> np.ndarray:
            if not msg.width:
                raise TypeError('broken')
            return np.full((msg.height, msg.width, 3), len(desired), np.uint8)

    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    strange = Image(height=2, width=3, encoding='nv21', step=3)
    with pytest.raises(EncodingError, match='install cv_bridge'):
        image_to_rgb(strange)
    monkeypatch.setitem(sys.modules, 'cv_bridge', SimpleNamespace(CvBridge=CvBridge))
    np.testing.assert_array_equal(image_to_rgb(strange), np.full((2, 3, 3), 4))
    with pytest.raises(EncodingError, match='broken'):
        image_to_rgb(Image(encoding='nv21'))


def test_errors_say_what_came_and_what_to_do():
    good = rgb_image(Header(), np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(EncodingError, match='remap depth/image to a depth topic'):
        image_to_depth(good)
    good.data = good.data[:30]
    with pytest.raises(EncodingError, match=r'expected 60 bytes.*got 30'):
        image_to_rgb(good)
