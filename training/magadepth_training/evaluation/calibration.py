# SPDX-License-Identifier: Apache-2.0
"""How well a confidence ranks the errors: sparsification curves and their area (AUSE)."""

from __future__ import annotations

import numpy as np

FRACTIONS = np.linspace(0.0, 0.95, 20)
"""Shares of the pixels taken away, least trusted first."""


def sparsification(error: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """
    Return the RMSE of the remaining pixels while the least trusted ones are removed.

    Parameters
    ----------
    error:
        (N,) metres, signed or absolute.
    trust:
        (N,), higher = more trusted, on any monotone scale; NaN = least trusted. Equal values are
        ordered at random (with a fixed seed), so that a constant trust gains nothing.

    Returns
    -------
    numpy.ndarray
        (20,) metres, one for each of :data:`FRACTIONS`.

    """
    shuffled = np.random.default_rng(0).permutation(error.size)
    order = shuffled[np.argsort(np.nan_to_num(trust[shuffled], nan=-np.inf), kind='stable')]
    # Cumulative sums from the end: the errors that remain without the first k pixels.
    left = np.cumsum(np.square(error[order], dtype=np.float64)[::-1])[::-1]
    start = np.minimum((FRACTIONS * error.size).astype(int), error.size - 1)
    return np.sqrt(left[start] / (error.size - start))


def ause(error: np.ndarray, trust: np.ndarray) -> float:
    """
    Area between the sparsification curve of a trust and that of the true error [m]; 0 is best.

    ``error`` and ``trust`` are those of `sparsification`, (N,).

    After Ilg et al., Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow, ECCV
    2018, with RMSE and without their division by the error of all pixels.
    """
    gap = sparsification(error, trust) - sparsification(error, -np.abs(error))
    return float(np.sum((gap[1:] + gap[:-1]) / 2 * np.diff(FRACTIONS)))
