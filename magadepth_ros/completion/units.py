# SPDX-License-Identifier: Apache-2.0
"""Detect depth images without any plausible value: often their unit is wrong."""

from __future__ import annotations

import numpy as np


def out_of_range(depth: np.ndarray, low: float, high: float) -> str:
    """
    Return a sentence about depth without any plausible value; '' where one is, or without values.

    Parameters
    ----------
    depth:
        (H, W) floating point metres; 0, negative, NaN and inf = missing.
    low, high:
        plausible range [m].

    """
    values = depth[np.isfinite(depth) & (depth > 0)]
    if not values.size or ((values >= low) & (values <= high)).any():
        return ''
    median = float(np.median(values))
    text = f'no depth lies in {low:g} to {high:g} m; the median is {median:,.4g} m'
    # A thousandth of the median is a distance that cameras measure.
    return f'{text}: is this millimetres?' if low <= median / 1000.0 <= high else text
