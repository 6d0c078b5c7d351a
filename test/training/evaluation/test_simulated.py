# SPDX-License-Identifier: Apache-2.0
"""The simulated robot: what it sees is true where it is measured, and somebody walks by."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_training.evaluation.evaluator import evaluate
from magadepth_training.evaluation.methods import baseline_methods
from magadepth_training.evaluation.simulated import FRAMES, ROOMS, SIMULATED, SimulatedRobot


@pytest.mark.parametrize('name', SIMULATED)
def test_depth_has_holes_and_is_true_elsewhere(name: str) -> None:
    source = SimulatedRobot(name)
    assert len(source) == ROOMS * FRAMES
    for index in (0, FRAMES // 2, FRAMES):
        sample, again = source[index], SimulatedRobot(name)[index]
        assert sample.target is not None and (sample.target > 0).all()
        measured = sample.depth > 0
        assert 0.02 < 1 - measured.mean() < 0.6
        error = np.abs(sample.depth - sample.target)[measured] / sample.target[measured]
        assert np.median(error) < 0.01
        np.testing.assert_array_equal(sample.target, again.target)
    assert source[FRAMES].scene != source[0].scene


def test_one_robot_drives_and_one_stands_and_a_person_passes_both() -> None:
    for name in SIMULATED:
        source = SimulatedRobot(name)
        frames = [source[index] for index in range(0, FRAMES, 5)]
        places = {tuple(frame.camera.position.round(3)) for frame in frames}
        assert len(places) == (len(frames) if name == 'simulated:drive' else 1)
    changed = [np.mean(frame.target != frames[0].target) for frame in frames[1:]]
    assert 0.02 < max(changed) < 0.3  # of the rest nothing moves


def test_costmap_flicker_and_lag_are_measured() -> None:
    source = SimulatedRobot('simulated:still')
    raw, nearest = (
        row.as_dict()['fill']
        for row in evaluate(source, baseline_methods(['raw', 'nearest']), range(12))
    )
    for row in (raw, nearest):
        assert row['ghosts'] >= 0 and row['phantom_cells'] >= 0 and 0 <= row['missed'] <= 100
    assert raw['missed'] < 100 and 'flicker' not in raw and 'lag' not in raw
    assert nearest['flicker'] > 0 and nearest['lag'] >= 0
