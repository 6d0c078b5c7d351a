# SPDX-License-Identifier: Apache-2.0
"""Does a confidence rank the errors: sparsification curves and the area they leave (AUSE)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from magadepth_training.evaluation.metrics import MIN_PIXELS

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
        (N,), higher = more trusted; any monotone scale. Equal values are ordered at random (with
        a fixed seed), so a constant trust gains nothing.

    Returns
    -------
    numpy.ndarray
        (20,) metres, one for each of :data:`FRACTIONS`.

    """
    shuffled = np.random.default_rng(0).permutation(error.size)
    order = shuffled[np.argsort(trust[shuffled], kind='stable')]
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


@dataclass
class Calibration:
    """
    Mean over frames of the curves of a confidence, of a heuristic and of the best possible order.

    The heuristic trusts what lies near a measured pixel: a learned confidence that does not beat
    it is not worth its milliseconds.
    """

    confidence: list[np.ndarray] = field(default_factory=list)
    heuristic: list[np.ndarray] = field(default_factory=list)
    oracle: list[np.ndarray] = field(default_factory=list)
    ause_confidence: list[float] = field(default_factory=list)
    ause_heuristic: list[float] = field(default_factory=list)

    def update(
        self, error: np.ndarray, distance_px: np.ndarray, confidence: np.ndarray | None
    ) -> None:
        """Add the scored pixels of a frame, each (N,); fewer than 50 are left out."""
        if error.size < MIN_PIXELS:
            return
        self.oracle.append(sparsification(error, -np.abs(error)))
        self.heuristic.append(sparsification(error, -distance_px))
        self.ause_heuristic.append(ause(error, -distance_px))
        if confidence is not None:
            trust = np.nan_to_num(confidence, nan=0.0)
            self.confidence.append(sparsification(error, trust))
            self.ause_confidence.append(ause(error, trust))

    def compute(self) -> dict[str, object]:
        """Return ``ause`` and ``ause_distance`` [m] and the curves [m] as lists; {} if empty."""
        result: dict[str, object] = {}
        if not self.oracle:
            return result
        result['ause_distance'] = float(np.mean(self.ause_heuristic))
        curves = {'fraction': FRACTIONS.tolist(), 'oracle': _mean(self.oracle)}
        curves['distance'] = _mean(self.heuristic)
        if self.confidence:
            result['ause'] = float(np.mean(self.ause_confidence))
            curves['confidence'] = _mean(self.confidence)
        result['sparsification'] = curves
        return result


def _mean(curves: list[np.ndarray]) -> list[float]:
    return [float(v) for v in np.mean(curves, axis=0)]
