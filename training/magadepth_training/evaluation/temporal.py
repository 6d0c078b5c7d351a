# SPDX-License-Identifier: Apache-2.0
"""Flicker of filled depth from frame to frame, and its lag behind moving edges."""

from __future__ import annotations

import numpy as np

from magadepth_training.datasets.sample import Sample
from magadepth_training.evaluation.metrics import MIN_PIXELS

STILL = 0.02
"""Relative change of the target between two frames below which a pixel stands still."""
JUMP = 0.05
"""Relative change of the target that counts as a jump: a moving edge has passed the pixel."""
WATCHED = 15
"""Number of frames after a jump in which old depth counts as lag."""


class Steadiness:
    """Compares each frame with the last one of its scene and sensor; give them in their order."""

    _target: np.ndarray
    _missing: np.ndarray
    _prediction: np.ndarray
    _old: np.ndarray
    _age: np.ndarray

    def __init__(self) -> None:
        self._key: object = None

    def update(self, sample: Sample, prediction: np.ndarray) -> dict[str, float]:
        """
        Add the next frame.

        Parameters
        ----------
        sample:
            a sample with a target; pixels that are missing in its depth are measured.
        prediction:
            (H, W) metres, 0 = not filled.

        Returns
        -------
        dict
            ``flicker``: mean change of the error [m] where the target stands still and the input
            was missing in this frame or the last (the target's own change is taken off, so a slow
            camera is no flicker). ``lag``: filled pixels that are nearer to the depth from before
            the last jump of their target than to their target, for each filled pixel whose target
            jumps in this frame; in a steady motion that is the mean delay [frames]. Either is left
            out where it has fewer than 50 pixels.

        """
        target = sample.target
        assert target is not None
        known, missing = target > 0, ~(sample.depth > 0)
        filled = known & missing & (prediction > 0)
        key = (sample.scene, sample.sensor, target.shape)
        figures: dict[str, float] = {}
        if key == self._key:
            both = known & (self._target > 0)
            change = np.where(both, target - self._target, 0)
            still = both & (np.abs(change) < STILL * target) & (missing | self._missing)
            still &= (prediction > 0) & (self._prediction > 0)
            jumped = np.abs(change) > JUMP * np.minimum(target, self._target)
            self._old = np.where(jumped, self._target, self._old)
            self._age = np.where(jumped, 0, self._age + 1)
            late = filled & (self._age < WATCHED)
            late &= np.abs(prediction - self._old) < np.abs(prediction - target)
            jumped &= filled
            if still.sum() >= MIN_PIXELS:
                jump = (prediction - self._prediction - change)[still]
                figures['flicker'] = float(np.abs(jump).mean(dtype=np.float64))
            if jumped.sum() >= MIN_PIXELS:
                figures['lag'] = float(late.sum() / jumped.sum())
        else:
            self._old, self._age = target, np.full(target.shape, WATCHED)
        self._key, self._target, self._missing = key, target, missing
        self._prediction = prediction
        return figures
