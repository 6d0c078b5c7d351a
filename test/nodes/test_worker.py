# SPDX-License-Identifier: Apache-2.0
"""What goes out without an engine, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_ros.nodes.outputs import _next
from magadepth_ros.nodes.worker import measured_only


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
