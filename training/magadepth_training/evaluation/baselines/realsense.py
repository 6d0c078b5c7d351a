# SPDX-License-Identifier: Apache-2.0
"""The hole filling of the RealSense SDK, by the documentation and behaviour of its modes."""

from __future__ import annotations

import numpy as np

_AROUND = ((-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0))
"""Neighbours that count (row, column): above, above left, left, below left, below."""


def fill_holes(rgb: np.ndarray, depth: np.ndarray, mode: int) -> np.ndarray:
    """
    Fill in one pass from the top left to the bottom right; the next pixel uses filled ones.

    Parameters
    ----------
    rgb:
        (H, W, 3) uint8, not used.
    depth:
        (H, W) float32 metres, 0 = missing.
    mode:
        0 = the pixel to the left; 1 = the farthest, 2 = the nearest of five neighbours. Mode 2
        starts from the pixel above, and where that is missing leaves the hole (as the SDK does).
        Modes 1 and 2 do not change the first and last row and the first column.

    """
    if mode == 0:
        return _from_left(depth)
    height = depth.shape[0]
    rows = [list(map(float, row)) for row in depth]
    for i, j in np.argwhere(depth <= 0).tolist():
        if not (0 < i < height - 1 and j > 0):
            continue
        around = [rows[i + di][j + dj] for di, dj in _AROUND]
        if mode == 1:
            rows[i][j] = max(around)
        elif around[0] > 0:
            rows[i][j] = min(value for value in around if value > 0)
    return np.asarray(rows, np.float32)


def _from_left(depth: np.ndarray) -> np.ndarray:
    columns = np.where(depth > 0, np.arange(depth.shape[1]), 0)
    source = np.maximum.accumulate(columns, axis=1)
    return np.take_along_axis(depth, source, axis=1)
