# SPDX-License-Identifier: Apache-2.0
"""Does a confidence rank the errors: sparsification curves and the area they leave (AUSE)."""

from __future__ import annotations

import numpy as np

FRACTIONS = np.linspace(0.0, 0.95, 20)
"""Shares of the pixels taken away, least trusted first."""


def sparsification(error: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """
    RMSE of the pixels that are left as the least trusted are taken away.

    Parameters
    ----------
    error:
        (N,) metres, signed or absolute.
    trust:
        (N,), higher = more trusted; any monotone scale, NaN = not at all. Equal values are ordered
        at random (with a fixed seed), so a constant trust gains nothing.

    Returns
    -------
    numpy.ndarray
        (20,) metres, one for each of :data:`FRACTIONS`.

    """
    shuffled = np.random.default_rng(0).permutation(error.size)
    order = shuffled[np.argsort(np.nan_to_num(trust[shuffled], nan=-np.inf), kind='stable')]
    # The sum from the end backwards: what is left after the first k are gone.
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
