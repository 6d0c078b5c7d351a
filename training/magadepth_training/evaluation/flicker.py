# SPDX-License-Identifier: Apache-2.0
"""How much a filled depth jumps from frame to frame where the true depth stands still."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from magadepth_training.evaluation.metrics import MIN_PIXELS

STILL = 0.02
"""A pixel stands still while its target changes by less than this share between two frames."""


@dataclass
class Flicker:
    """
    Mean change of the error between consecutive frames of one scene, at filled pixels [m].

    Feed the frames in their order; a new scene or sensor starts over. Scored where the target is
    known in both frames and stands still, and the input was missing in at least one of them.
    The change of the target itself is taken off, so a slowly moving camera is no flicker.
    """

    values: list[float] = field(default_factory=list)
    _last: tuple[object, np.ndarray, np.ndarray, np.ndarray] | None = None

    def update(
        self, sequence: object, prediction: np.ndarray, target: np.ndarray, fill: np.ndarray
    ) -> None:
        """
        Add the next frame: (H, W) metres, 0 = unknown, and the bool mask of missing pixels.

        ``sequence`` equals that of the last frame where the two belong together.
        """
        last, self._last = self._last, (sequence, prediction, target, fill)
        if last is None or last[0] != sequence or last[1].shape != prediction.shape:
            return
        _, before, target_before, fill_before = last
        change = target - target_before
        still = (target > 0) & (target_before > 0) & (np.abs(change) < STILL * target)
        scored = still & (fill | fill_before) & (prediction > 0) & (before > 0)
        if int(scored.sum()) >= MIN_PIXELS:
            jump = (prediction - before - change)[scored]
            self.values.append(float(np.abs(jump).mean(dtype=np.float64)))

    def compute(self) -> dict[str, float]:
        """Return ``flicker`` [m]; empty where no two frames followed each other."""
        return {'flicker': float(np.mean(self.values))} if self.values else {}
