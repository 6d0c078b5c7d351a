# SPDX-License-Identifier: Apache-2.0
"""The arrays around an inference: sizes that differ, and what goes out without an engine."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_ros.errors import EncodingError
from magadepth_ros.nodes.outputs import _next
from magadepth_ros.nodes.worker import at_size_of, measured_only


def test_the_picture_follows_the_depth_and_not_the_other_way():
    rgb = np.zeros((480, 640, 3), np.uint8)
    assert at_size_of(rgb, np.zeros((480, 640), np.float32)) is rgb
    assert at_size_of(rgb, np.zeros((240, 320), np.float32)).shape == (240, 320, 3)
    assert at_size_of(rgb, np.zeros((960, 1280), np.float32)).shape == (960, 1280, 3)
    wide = np.zeros((720, 1280, 3), np.uint8)
    assert at_size_of(wide, np.zeros((360, 640), np.float32)).shape == (360, 640, 3)
    with pytest.raises(EncodingError, match=r'1280x720.*640x576.*alignment'):
        at_size_of(wide, np.zeros((576, 640), np.float32))


def test_without_an_engine_only_plausible_measurements_go_out():
    depth = np.array([[0, np.nan, np.inf, 65.535, 0.05, -1, 2.0, 9.9]], np.float32)
    result = measured_only(depth, (0.1, 10.0))
    np.testing.assert_array_equal(result.depth, np.array([[np.nan] * 6 + [2.0, 9.9]], np.float32))
    np.testing.assert_array_equal(result.confidence, [[0] * 6 + [1, 1]])
    assert not result.filled.any()


def test_a_rate_limit_keeps_its_rate_with_frames_that_do_not_divide_it():
    due, sent = 0.0, 0
    for frame in range(300):
        now = 100.0 + frame / 30
        if now >= due:
            sent += 1
            due = _next(due, now, 7.0)
    assert sent == pytest.approx(70, abs=2)
    assert _next(5.0, 100.0, 0.0) == 0.0
