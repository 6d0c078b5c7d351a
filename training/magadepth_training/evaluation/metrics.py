# SPDX-License-Identifier: Apache-2.0
"""The depth errors of the literature for one frame, and their mean over frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NAMES = (
    *('rmse', 'mae', 'rel', 'd105', 'd110', 'd125', 'd125_2', 'd125_3'),
    *('unfilled', 'within_1cm', 'within_2cm'),
)
"""RMSE and MAE [m], REL [-], delta 1.05, 1.10, 1.25, 1.25^2 and 1.25^3 [%], share unfilled [-],
and share that is at most 1 and 2 cm from the truth [%]."""

MIN_PIXELS = 50
"""A frame with fewer scored pixels than this is left out: its figures would be noise."""

DRAWS = 1000
"""Bootstrap samples; the interval holds the middle 95 % of their means."""

_THRESHOLDS = {'d105': 1.05, 'd110': 1.10, 'd125': 1.25, 'd125_2': 1.25**2, 'd125_3': 1.25**3}


def depth_errors(prediction: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """
    Errors of one frame at its scored pixels, by :data:`NAMES`.

    Parameters
    ----------
    prediction:
        (N,) metres; 0, negative or not finite = not filled, which counts as predicted 0.
    target:
        (N,) metres, > 0.

    Returns
    -------
    dict
        empty with fewer than :data:`MIN_PIXELS` pixels.

    """
    if target.size < MIN_PIXELS:
        return {}
    filled = np.isfinite(prediction) & (prediction > 0)
    # float32 metres carry 1e-7 of noise, which would decide ratios that are exactly 1.05.
    p = np.where(filled, prediction, 0).astype(np.float64).round(5)
    t = target.astype(np.float64).round(5)
    error = np.abs(p - t)
    ratio = np.maximum(p / t, t / np.maximum(p, 1e-9))
    return {
        'rmse': float(np.sqrt(np.square(error).mean())),
        'mae': float(error.mean()),
        'rel': float((error / t).mean()),
        **{name: 100 * float((ratio < limit).mean()) for name, limit in _THRESHOLDS.items()},
        'unfilled': float(1 - filled.mean()),
        'within_1cm': 100 * float((error.round(5) <= 0.01).mean()),
        'within_2cm': 100 * float((error.round(5) <= 0.02).mean()),
    }


def summarise(frames: Sequence[dict[str, float]], scenes: Sequence[str]) -> dict[str, Any]:
    """
    Mean over frames of each figure, and its 95 % interval by bootstrap over scenes.

    Frames of one scene resemble each other, so whole scenes are drawn (with a fixed seed): the
    interval says how the mean would vary with the choice of scenes.

    Parameters
    ----------
    frames:
        figures of each frame by name; a frame that lacks one does not count for it.
    scenes:
        the scene of each frame.

    Returns
    -------
    dict
        name -> mean; ``frames`` and ``scenes`` -> how many had a figure; ``interval`` -> name ->
        (low, high), for figures of at least two scenes. Empty where no frame has a figure.

    """
    names = list(dict.fromkeys(name for frame in frames for name in frame))
    if not names:
        return {}
    values = np.array([[frame.get(name, np.nan) for name in names] for frame in frames])
    known = ~np.isnan(values)
    scene = np.unique(list(scenes), return_inverse=True)[1]
    member = (np.arange(scene.max() + 1)[:, None] == scene).astype(float)
    counts, sums = member @ known, member @ np.where(known, values, 0)
    share = np.full(len(member), 1 / len(member))
    draws = np.random.default_rng(0).multinomial(len(member), share, size=DRAWS)
    # A draw may hold none of the scenes that have a figure.
    means = draws @ sums / np.where(draws @ counts, draws @ counts, np.nan)
    low, high = np.nanpercentile(means, (2.5, 97.5), axis=0)
    several = (counts > 0).sum(axis=0) > 1
    return {
        **{name: float(s / c) for name, s, c in zip(names, sums.sum(0), counts.sum(0))},
        'frames': int(known.any(axis=1).sum()),
        'scenes': int(counts.any(axis=1).sum()),
        'interval': {
            name: (float(low[i]), float(high[i])) for i, name in enumerate(names) if several[i]
        },
    }
