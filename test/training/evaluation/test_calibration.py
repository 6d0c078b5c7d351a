# SPDX-License-Identifier: Apache-2.0
"""Sparsification: the best order leaves no area, a useless one does."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_training.evaluation.calibration import FRACTIONS, ause, sparsification

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


def test_pixels_without_a_trust_go_first() -> None:
    trust = -np.abs(ERROR)
    worst = np.argsort(trust)[:50]
    trust[worst] = np.nan
    assert ause(ERROR, trust) == pytest.approx(0, abs=1e-3)
