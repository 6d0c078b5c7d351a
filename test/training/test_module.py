# SPDX-License-Identifier: Apache-2.0
"""The errors by which weights are chosen."""

from __future__ import annotations

import torch

from magadepth_training.module import hidden_errors


def test_errors_are_those_of_hidden_pixels_and_a_wrong_truth_counts_1():
    depth, target = torch.zeros(2, 1, 10, 10), torch.full((2, 1, 10, 10), 2.0)
    depth[:, :, :2] = 2.0
    depth[1, :, :9] = 2.0  # too few hidden pixels: the frame does not count
    target[0, 0, 2, 0] = 0.1  # the truth is wrong: 1.9 m of error are 19 times its depth
    completed = torch.full_like(target, 2.2)
    completed[:, :, :2] = 9.0
    completed[0, 0, 2, 0] = 2.0
    rel, rmse, frames = hidden_errors(completed, {'depth': depth, 'target': target}).tolist()
    assert frames == 1
    assert abs(rel - (79 * 0.1 + 1) / 80) < 1e-6
    assert abs(rmse - ((79 * 0.2**2 + 1.9**2) / 80) ** 0.5) < 1e-6
