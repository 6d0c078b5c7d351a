# SPDX-License-Identifier: Apache-2.0
"""CompressedImage: colour in, compressedDepth there and back, and everything broken refused."""

from __future__ import annotations

import array
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from magadepth_ros.errors import EncodingError
from magadepth_ros.messages import rvl
from magadepth_ros.messages.compressed import (
    compressed_to_depth,
    compressed_to_rgb,
    depth_to_compressed,
    rgb_to_compressed,
)

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))


def compressed(data: bytes, form: str) -> CompressedImage:
    return CompressedImage(format=form, data=array.array('B', data))


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode('.png', pixels)[1].tobytes()


def tables_first(jpeg: bytes) -> bytes:
    """Put the Huffman tables before the frame header, as some encoders do."""
    frame, tables, scan = (
        jpeg.index(marker) for marker in (b'\xff\xc0', b'\xff\xc4', b'\xff\xda')
    )
    return jpeg[:frame] + jpeg[tables:scan] + jpeg[frame:tables] + jpeg[scan:]


def reference_rvl(values: list[int]) -> bytes:
    """Encode number by number, as the paper's listing does."""
    nibbles: list[int] = []

    def number(value: int) -> None:
        while True:
            low, value = value & 7, value >> 3
            nibbles.append(low | (8 if value else 0))
            if not value:
                return

    at, previous = 0, 0
    while at < len(values):
        start = at
        while at < len(values) and values[at] == 0:
            at += 1
        number(at - start)
        stop = at
        while stop < len(values) and values[stop]:
            stop += 1
        number(stop - at)
        for value in values[at:stop]:
            delta = value - previous
            number(2 * delta if delta >= 0 else -2 * delta - 1)
            previous = value
        at = stop
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        sum(nibble << 4 * (7 - i) for i, nibble in enumerate(nibbles[at : at + 8]))
        for at in range(0, len(nibbles), 8)
    ]
    return struct.pack(f'<{len(words)}I', *words)


@settings(max_examples=200, deadline=None)
@given(
    values=hnp.arrays(
        np.uint16, st.integers(1, 80), elements=st.sampled_from([0, 0, 1, 700, 65535])
    )
    | hnp.arrays(np.uint16, st.integers(1, 80))
)
def test_rvl_is_the_papers_code_and_reads_back(values):
    coded = rvl.encode(values)
    assert coded == reference_rvl(values.tolist())
    found = rvl.decode(np.frombuffer(coded, np.uint8), len(values))
    np.testing.assert_array_equal(found, values)


@settings(max_examples=150, deadline=None)
@given(depth=hnp.arrays(np.uint16, SIZES), kind=st.sampled_from(['png', 'rvl']))
def test_millimetre_depth_is_lossless(depth, kind):
    metres = depth.astype(np.float32) / 1000
    metres[depth == 65535] = np.nan
    msg = depth_to_compressed(Header(frame_id='f'), metres, '16UC1', kind)
    assert msg.format == f'16UC1; compressedDepth {kind}'
    assert msg.header.frame_id == 'f'
    found = compressed_to_depth(msg)
    np.testing.assert_allclose(found, np.nan_to_num(metres), rtol=1e-6)


@settings(max_examples=150, deadline=None)
@given(
    depth=hnp.arrays(
        np.float32, SIZES, elements=st.floats(0.1875, 9.875, width=32) | st.just(float('nan'))
    ),
    kind=st.sampled_from(['png', 'rvl']),
)
def test_float_depth_survives_within_its_quantisation(depth, kind):
    sent = depth_to_compressed(Header(), depth, '32FC1', kind, nearest=0.16, farthest=10.0)
    found = compressed_to_depth(sent)
    known = np.isfinite(depth)
    np.testing.assert_array_equal(np.isfinite(found), known)
    # One step of inverse depth, 1/10100 per metre squared, is halved by rounding.
    assert (np.abs(found - depth)[known] <= depth[known] ** 2 / 10100 * 0.51 + 1e-5).all()


@pytest.mark.parametrize('nearest', [0.0, 0.1, 0.3])
def test_the_whole_range_of_a_model_is_sent(nearest):
    depth = np.geomspace(nearest or 0.1, 65.0, 400, dtype=np.float32)[None]

    sent = depth_to_compressed(Header(), depth, nearest=nearest, farthest=65.0)

    assert compressed_to_depth(sent) == pytest.approx(depth, rel=0.01)


def test_beyond_the_range_sent_depth_is_unknown():
    depth = np.array([[0.05, 0.1, 10.0, 10.5]], np.float32)

    found = compressed_to_depth(depth_to_compressed(Header(), depth, nearest=0.1, farthest=10.0))

    assert found == pytest.approx(np.array([[np.nan, 0.1, 10.0, np.nan]]), rel=1e-3, nan_ok=True)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', [8, 16])
def test_a_compressed_mosaic_becomes_colours(pattern, bits):
    mosaic = np.zeros((16, 24), np.uint8)
    for place, colour in zip([(0, 0), (0, 1), (1, 0), (1, 1)], pattern, strict=True):
        mosaic[place[0] :: 2, place[1] :: 2] = {'r': 200, 'g': 120, 'b': 40}[colour]
    pixels = mosaic if bits == 8 else mosaic.astype(np.uint16) * 257

    rgb = compressed_to_rgb(compressed(png(pixels), f'bayer_{pattern}{bits}; png compressed '))

    assert (rgb[2:-2, 2:-2] == (200, 120, 40)).all()


def test_an_unknown_mosaic_is_refused():
    with pytest.raises(EncodingError, match='bayer_rgbw8'):
        compressed_to_rgb(compressed(png(np.zeros((8, 8), np.uint8)), 'bayer_rgbw8; png'))


def test_image_transports_own_header_is_understood():
    # The numbers that compressed_depth_image_transport writes with its defaults (100, 10 m).
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    raw = np.array([[0, round(a / 2.0 + b), round(a / 5.0 + b)]], np.uint16)
    data = struct.pack('<iff', 0, a, b) + png(raw)
    for form in ('32FC1; compressedDepth', '32FC1; compressedDepth png'):
        found = compressed_to_depth(compressed(data, form))
        assert np.isnan(found[0, 0])
        np.testing.assert_allclose(found[0, 1:], [2.0, 5.0], atol=0.002)


@pytest.mark.parametrize('a', [0.0, -1.0, np.nan, np.inf])
def test_a_broken_quantisation_is_refused(a):
    data = struct.pack('<iff', 0, a, 1.0) + png(np.ones((4, 4), np.uint16))

    with pytest.raises(EncodingError, match='quantisation'):
        compressed_to_depth(compressed(data, '32FC1; compressedDepth png'))


def test_sixteen_bits_are_millimetres_bare_or_behind_a_header():
    data = png(np.array([[0, 1500]], np.uint16))
    for form, head in (('16UC1; png', b''), ('mono16; compressedDepth png', bytes(12))):
        found = compressed_to_depth(compressed(head + data, form))
        np.testing.assert_allclose(found, [[0, 1.5]])


def test_colour_keeps_its_channels():
    rgb = np.zeros((16, 16, 3), np.uint8)
    rgb[:] = (200, 60, 30)
    sent = rgb_to_compressed(Header(frame_id='f'), rgb)
    found = compressed_to_rgb(sent)
    assert sent.header.frame_id == 'f'
    assert np.abs(found.astype(int) - rgb).max() <= 4
    reordered = compressed(tables_first(bytes(sent.data)), sent.format)
    np.testing.assert_array_equal(compressed_to_rgb(reordered), found)
    lossless = compressed(png(rgb[..., ::-1]), 'rgb8; png compressed bgr8')
    np.testing.assert_array_equal(compressed_to_rgb(lossless), rgb)
    # Handed to the encoder as it was: its «blue» is red.
    as_rgb = compressed(png(rgb), 'rgb8; png compressed rgb8')
    np.testing.assert_array_equal(compressed_to_rgb(as_rgb), rgb)
    grey = compressed(png(rgb[..., 0]), 'mono8; png compressed ')
    np.testing.assert_array_equal(compressed_to_rgb(grey), np.full((16, 16, 3), 200))


def test_jpeg_or_colour_depth_is_refused_with_the_reason():
    jpeg = cv2.imencode('.jpg', np.zeros((8, 8), np.uint8))[1].tobytes()
    for data, form in ((jpeg, '16UC1; jpeg compressed '), (jpeg, '16UC1; compressedDepth png')):
        with pytest.raises(EncodingError, match=r'JPEG keeps 8 of 16 bits|jpeg'):
            compressed_to_depth(compressed(data, form))
    head = struct.pack('<iff', 0, 0, 0)
    with pytest.raises(EncodingError, match='8-bit'):
        compressed_to_depth(compressed(head + jpeg, '16UC1; compressedDepth png'))
    with pytest.raises(EncodingError, match='one channel'):
        compressed_to_depth(compressed(png(np.zeros((8, 8, 3), np.uint16)), '16UC1; png'))


def test_what_opencv_would_decode_as_if_whole_is_refused():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for suffix in ('.png', '.jpg'):
        whole = cv2.imencode(suffix, picture)[1].tobytes()
        with pytest.raises(EncodingError, match='cut short'):
            compressed_to_rgb(compressed(whole[: len(whole) * 2 // 3], 'rgb8; compressed bgr8'))


def test_a_claimed_giant_is_refused_before_it_takes_memory():
    bomb = bytearray(png(np.zeros((2, 2), np.uint16)))
    bomb[16:24] = struct.pack('>II', 60000, 60000)
    with pytest.raises(EncodingError, match='60000x60000'):
        compressed_to_rgb(compressed(bytes(bomb), 'mono8; png compressed '))
    jpeg = bytearray(cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    at = jpeg.index(b'\xff\xc0')
    jpeg[at + 5 : at + 9] = struct.pack('>HH', 65000, 65000)
    for giant in (bytes(jpeg), tables_first(bytes(jpeg))):
        with pytest.raises(EncodingError, match='65000x65000'):
            compressed_to_rgb(compressed(giant, 'rgb8; jpeg compressed bgr8'))
    data = struct.pack('<iff', 0, 0, 0) + struct.pack('<II', 2**31, 2**31)
    with pytest.raises(EncodingError, match='RVL'):
        compressed_to_depth(compressed(data, '16UC1; compressedDepth rvl'))


FORMATS = [
    '16UC1; compressedDepth png',
    '16UC1; compressedDepth rvl',
    '32FC1; compressedDepth png',
    '32FC1; compressedDepth rvl',
    'rgb8; jpeg compressed bgr8',
    'png',
    '',
]


@settings(max_examples=400, deadline=None)
@given(
    start=st.sampled_from(['png', 'jpg', 'png16', 'rvl', 'nothing']),
    form=st.sampled_from(FORMATS),
    cut=st.integers(0, 400),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    noise=st.binary(max_size=40),
)
def test_damaged_data_are_read_or_refused_never_worse(start, form, cut, flips, noise):
    picture = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
    depth = np.arange(72, dtype=np.float32).reshape(8, 9) / 10
    data = bytearray(
        {
            'png': lambda: png(picture),
            'jpg': lambda: cv2.imencode('.jpg', picture)[1].tobytes(),
            'png16': lambda: bytes(depth_to_compressed(Header(), depth, '16UC1').data),
            'rvl': lambda: bytes(depth_to_compressed(Header(), depth, '16UC1', 'rvl').data),
            'nothing': lambda: noise,
        }[start]()
    )
    for at, value in flips:
        if at < len(data):
            data[at] = value
    data = bytes(data[: len(data) - cut] if cut < 60 else data)
    for read in (compressed_to_rgb, compressed_to_depth):
        try:
            found = read(compressed(data, form))
        except EncodingError as error:
            assert str(error)
        else:
            assert found.ndim in (2, 3)
