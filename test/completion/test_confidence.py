# SPDX-License-Identifier: Apache-2.0
"""Confidence is one half where its definition says."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_ros.completion.confidence import (
    confidence_from_distance,
    confidence_from_log_variance,
)


def test_half_at_a_twentieth_of_the_width_from_a_measurement():
    depth = np.zeros((50, 100), np.float32)
    depth[:, 0] = 2.0

    confidence = confidence_from_distance(depth)

    assert (confidence[:, 0] == 1.0).all()
    assert confidence[25, 5] == pytest.approx(0.5, abs=0.02)


def test_an_expected_error_counts_relative_to_the_depth():
    four_centimetres = np.full((1, 3), 2 * np.log(0.04), np.float32)
    depth = np.array([[1.0, 2.0, 4.0]], np.float32)

    confidence = confidence_from_log_variance(four_centimetres, depth)

    assert confidence == pytest.approx(np.array([[1 / 3, 1 / 2, 2 / 3]]))
