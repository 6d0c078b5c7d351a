# SPDX-License-Identifier: Apache-2.0
"""Sparsification and flicker: the best order leaves no area, a useless one does."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_training.evaluation.calibration import (
    FRACTIONS,
    Calibration,
    ause,
    sparsification,
)
from magadepth_training.evaluation.flicker import Flicker

ERROR = np.random.default_rng(0).normal(0, 0.1, 2000)


def test_curve_against_a_loop() -> None:
    trust = np.random.default_rng(1).random(ERROR.size)
    order = np.argsort(trust)
    expected = [np.sqrt(np.mean(ERROR[order[int(f * ERROR.size) :]] ** 2)) for f in FRACTIONS]
    np.testing.assert_allclose(sparsification(ERROR, trust), expected)


def test_area_ranks_perfect_noisy_and_useless_trust() -> None:
    perfect = ause(ERROR, -np.abs(ERROR))
    noisy = ause(ERROR, -np.abs(ERROR) + np.random.default_rng(2).normal(0, 0.05, ERROR.size))
    useless = ause(ERROR, np.ones(ERROR.size))
    wrong = ause(ERROR, np.abs(ERROR))
    assert perfect == pytest.approx(0, abs=1e-12)
    assert perfect < noisy < useless < wrong


def test_constant_trust_gains_nothing_from_the_order_of_pixels() -> None:
    """Sorted errors with equal trust: a stable sort alone would rank them perfectly."""
    tidy = np.sort(np.abs(ERROR))[::-1]
    assert ause(tidy, np.ones(tidy.size)) == pytest.approx(ause(ERROR, np.ones(2000)), rel=0.1)


def test_calibration_means_over_frames_and_skips_small_ones() -> None:
    calibration = Calibration()
    calibration.update(ERROR[:10], np.ones(10), None)
    assert calibration.compute() == {}
    calibration.update(ERROR, np.abs(ERROR), 1 - np.abs(ERROR))
    result = calibration.compute()
    assert result['ause'] == pytest.approx(0, abs=1e-12)
    assert result['ause_distance'] == pytest.approx(0, abs=1e-12)
    calibration.update(ERROR, -np.abs(ERROR), None)
    assert calibration.compute()['ause_distance'] > 0.01


def test_flicker_takes_off_true_motion_and_ignores_scene_changes() -> None:
    target = np.full((20, 20), 2.0, np.float32)
    fill = np.ones((20, 20), bool)
    flicker = Flicker()
    flicker.update('a', target + 0.1, target, fill)
    flicker.update('a', target + 0.11, target + 0.01, fill)
    assert flicker.compute()['flicker'] == pytest.approx(0, abs=1e-6)
    flicker.update('b', target + 0.5, target, fill)
    assert len(flicker.values) == 1
    flicker.update('b', target + 0.2, target, fill)
    assert flicker.values[1] == pytest.approx(0.3, abs=1e-6)
