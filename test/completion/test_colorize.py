# SPDX-License-Identifier: Apache-2.0
"""Colours of depth: fixed meaning, unknown black."""

from __future__ import annotations

import numpy as np

from magadepth_ros.completion.colorize import colorize


def test_near_is_warm_far_is_cold_and_unknown_is_black():
    depth = np.array([[0.5, 4.0, np.nan, 0.0, np.inf, -1.0, 0.1, 9.0]], np.float32)
    colours = colorize(depth, 0.5, 4.0)[0].astype(int)
    near, far = colours[0], colours[1]
    assert near[0] > near[2] and far[2] > far[0]
    assert not colours[2:6].any()
    assert (colours[6] == near).all() and (colours[7] == far).all()
    assert colours[0].any() and colours[1].any()


def test_a_distance_has_one_colour_whatever_else_is_seen():
    alone = colorize(np.full((2, 2), 2.0, np.float32), 0.3, 5.0)
    among = colorize(np.array([[2.0, 0.4], [4.9, np.nan]], np.float32), 0.3, 5.0)
    assert (alone[0, 0] == among[0, 0]).all()
    assert alone.shape == (2, 2, 3) and alone.dtype == np.uint8
