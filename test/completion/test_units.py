# SPDX-License-Identifier: Apache-2.0
"""Depth without one plausible value is described, millimetres as such."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from support.models import write_tiny_model

from magadepth_ros.completion import Completer
from magadepth_ros.completion.units import out_of_range


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        ([1850.0, 0.0, 1850.0], 'the median is 1,850 m: is this millimetres?'),
        ([12.0, 14.0, np.nan], 'no depth lies in 0.1 to 10 m; the median is 13 m'),
        ([0.02, np.inf, -3.0], 'the median is 0.02 m'),
    ],
)
def test_values_outside_the_range_are_described(values, says):
    depth = np.array([values, [0, 0, 0]], np.float32)
    assert out_of_range(depth, 0.1, 10.0).endswith(says)


@pytest.mark.parametrize('values', [[0.0, np.nan, np.inf], [1850.0, 2.0, 0.0]])
def test_no_values_or_one_plausible_one_are_no_fault(values):
    assert out_of_range(np.array([values], np.float32), 0.1, 10.0) == ''


def test_the_library_warns_once_of_millimetres(tmp_path, caplog):
    rgb = np.zeros((48, 64, 3), np.uint8)
    depth = np.full((48, 64), 1850.0, np.float32)
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    with Completer.open(model) as completer, caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert np.isnan(completer.complete(rgb, depth).depth).all()
        completer.complete(rgb, np.zeros_like(depth))
    assert [r.message for r in caplog.records if 'is this millimetres?' in r.message] == [
        'nothing is completed: no depth lies in 0.1 to 10 m; '
        'the median is 1,850 m: is this millimetres?'
    ]
