# SPDX-License-Identifier: Apache-2.0
"""Masks: the nearest in time is taken, the depth under it is missing, what is no mask is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image
from support.live import header_at
from support.messages import depth_image, rgb_image

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import EncodingError, ShapeError
from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.messages.images import fill
from magadepth_ros.messages.masks import Masks, mask_of
from magadepth_ros.topics import CameraTopics

MILLI = 1_000_000


def mask(stamp_ns: int = 0, pixels: np.ndarray | None = None, encoding: str = 'mono8') -> Image:
    message = Image(header=header_at(stamp_ns))
    fill(message, np.zeros((4, 6), np.uint8) if pixels is None else pixels, encoding)
    return message


def frame(height: int = 8, width: int = 12) -> RgbdFrame:
    return RgbdFrame(
        np.zeros((height, width, 3), np.uint8), np.full((height, width), 2.0, np.float32)
    )


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=16, unique=True),
    st.integers(0, 500),
    st.integers(0, 200),
)
def test_the_nearest_mask_within_the_limit_is_taken(stamps, wanted, limit):
    masks = Masks()
    for stamp in stamps:
        masks.add(mask(stamp * MILLI))
    found = masks.nearest(wanted * MILLI, limit / 1000)
    gaps = [abs(stamp - wanted) for stamp in stamps]
    if found is None:
        assert min(gaps) > limit
    else:
        stamp = found.header.stamp.sec * 1000 + found.header.stamp.nanosec // MILLI
        assert abs(stamp - wanted) == min(gaps) <= limit


def test_masks_are_in_use_once_one_has_come_and_old_ones_are_forgotten():
    masks = Masks()
    assert not masks.in_use and masks.nearest(0, 10.0) is None
    for stamp in range(100):
        masks.add(mask(stamp * 1000 * MILLI))
    assert masks.in_use
    assert masks.nearest(0, 1.0) is None and masks.nearest(99_000 * MILLI, 0.0) is not None


@pytest.mark.parametrize('scale', [1, 2])
def test_depth_under_the_mask_is_missing_and_the_rest_stays(scale):
    pixels = np.zeros((8 // scale, 12 // scale), np.uint8)
    pixels[0, 0], pixels[-1, -1] = 1, 255
    before = frame()
    after = before.without(mask_of(mask(0, pixels)))
    expected = np.kron(pixels > 0, np.ones((scale, scale))) > 0
    np.testing.assert_array_equal(after.depth == 0, expected)
    assert (before.depth == 2.0).all() and (after.depth[~expected] == 2.0).all()


def test_a_mask_of_another_shape_or_encoding_is_named():
    with pytest.raises(ShapeError, match='the mask is 6x6 and depth 12x8'):
        frame().without(mask_of(mask(0, np.zeros((6, 6), np.uint8))))
    with pytest.raises(EncodingError, match='expected mono8 or 8UC1'):
        mask_of(mask(0, np.zeros((4, 6), np.uint16), '16UC1'))
    cut = mask()
    cut.data = cut.data[:5]
    with pytest.raises(EncodingError, match='cut short'):
        mask_of(cut)


def test_a_reader_masks_the_frames_that_have_a_mask_near_and_says_of_a_broken_one():
    reader = FrameReader(CameraTopics('/rgb', '/info', '/depth'))
    header = header_at(5_000 * MILLI)
    rgb = rgb_image(header, np.zeros((8, 12, 3), np.uint8))
    depth = depth_image(header, np.full((8, 12), 2.0, np.float32))
    assert not reader.read(rgb, depth, 0.1).masked
    reader.masks.add(mask(4_950 * MILLI, np.full((8, 12), 255, np.uint8)))
    assert not reader.read(rgb, depth, 0.04).masked
    frame = reader.read(rgb, depth, 0.06)
    assert frame.masked and not frame.depth.any()
    reader.masks.add(mask(4_990 * MILLI, np.zeros((5, 5), np.uint8)))
    frame = reader.read(rgb, depth, 0.06)
    assert not frame.masked and 'the mask is 5x5' in frame.mask_fault
    assert (frame.depth == 2.0).all()
