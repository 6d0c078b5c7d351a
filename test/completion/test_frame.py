# SPDX-License-Identifier: Apache-2.0
"""A frame is checked once, when it is made, and its RGB has the size of its depth."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import DataError, ShapeError

DEPTH = np.zeros((48, 64), np.float32)


def test_rgb_of_another_size_is_brought_to_the_depth_and_of_another_shape_refused():
    same = np.zeros((48, 64, 3), np.uint8)
    assert RgbdFrame(same, DEPTH).rgb is same
    for height, width in ((96, 128), (24, 32)):
        frame = RgbdFrame(np.full((height, width, 3), (9, 80, 200), np.uint8), DEPTH)
        assert frame.rgb.shape == same.shape and (frame.rgb == (9, 80, 200)).all()
        assert frame.size == (64, 48)
    with pytest.raises(ShapeError, match=r'128x72.*64x48.*alignment'):
        RgbdFrame(np.zeros((72, 128, 3), np.uint8), DEPTH)


@pytest.mark.parametrize(
    ('rgb', 'depth', 'word'),
    [
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.float32), 'rgb is'),
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32), 'rgb is'),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint16), 'metres'),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 1), np.float32), 'metres'),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 12), np.float32), '12x8'),
        (np.zeros((1, 8, 3), np.uint8), np.zeros((1, 8), np.float32), 'too small'),
    ],
)
def test_wrong_arrays_are_refused(rgb, depth, word):
    with pytest.raises(DataError, match=word):
        RgbdFrame(rgb, depth)


def test_engines_and_opencv_get_contiguous_memory():
    frame = RgbdFrame(np.zeros((64, 48, 3), np.uint8).transpose(1, 0, 2), DEPTH.T.copy().T)
    assert frame.rgb.flags.c_contiguous and frame.depth.flags.c_contiguous
