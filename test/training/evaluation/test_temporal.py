# SPDX-License-Identifier: Apache-2.0
"""Flicker takes off true motion and ignores moving pixels; lag counts the frames of a delay."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_training.datasets.sample import Sample
from magadepth_training.evaluation.temporal import Steadiness

RGB = np.zeros((20, 60, 3), np.uint8)
MISSING = np.zeros((20, 60), np.float32)


def seen(target: np.ndarray, scene: str = 'a') -> Sample:
    return Sample(RGB, MISSING, target, scene=scene)


def test_flicker_takes_off_true_motion_and_begins_anew_with_each_scene() -> None:
    target = np.full((20, 60), 2.0, np.float32)
    steady = Steadiness()
    assert steady.update(seen(target), target + 0.1) == {}
    figures = steady.update(seen(target + 0.01), target + 0.11)
    assert figures['flicker'] == pytest.approx(0, abs=1e-6) and 'lag' not in figures
    assert steady.update(seen(target, 'b'), target + 0.5) == {}
    assert steady.update(seen(target, 'b'), target + 0.2)['flicker'] == pytest.approx(0.3)


def test_flicker_leaves_out_what_is_measured_in_both_frames_and_what_is_not_filled() -> None:
    target = np.full((20, 60), 2.0, np.float32)
    measured = Sample(RGB, target, target, scene='a')
    steady = Steadiness()
    steady.update(measured, target)
    assert steady.update(measured, target + 1) == {}
    assert steady.update(seen(target), np.zeros_like(target)) == {}
    assert steady.update(seen(target), target) == {}
    assert steady.update(measured, target + 1)['flicker'] == pytest.approx(1)


@pytest.mark.parametrize('delay', [0, 1, 3])
def test_lag_of_a_moving_step_is_the_delay_of_its_prediction(delay: int) -> None:
    """A near thing grows by 5 columns a frame; a prediction that comes late shows it so."""

    def step(at: int) -> np.ndarray:
        target = np.full((20, 60), 3.0, np.float32)
        target[:, : 5 * max(at, 0)] = 1.0
        return target

    steady = Steadiness()
    figures = [steady.update(seen(step(i)), step(i - delay)) for i in range(10)]
    assert [f.get('lag') for f in figures[delay + 1 :]] == pytest.approx([delay] * (9 - delay))
    assert all(f['flicker'] == 0 for f in figures[delay + 1 :] if delay == 0)
