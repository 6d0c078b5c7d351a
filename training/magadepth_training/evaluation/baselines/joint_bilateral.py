# SPDX-License-Identifier: Apache-2.0
"""Fill with averages of measurements weighted by distance and by likeness of colour."""

from __future__ import annotations

import numpy as np

from magadepth_training.evaluation.regions import nearest_known

RADIUS = 3
"""Half width of the window in steps; 7x7 samples at every scale."""
SIGMA_COLOUR = 0.06
"""Difference of colour at which a weight falls to 61 % [share of full scale]."""
SCALES_PX = (1, 2, 4, 8, 16, 32)
"""Distance between samples: the window reaches 3 to 96 pixels."""
_ENOUGH = 0.05
"""Least sum of weights of a filled pixel; pixels below are left to the next scale."""


def joint_bilateral(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """
    Complete (H, W) metres (0 = missing) with a joint bilateral filter guided by the colour.

    After Petschnigg et al. and Eisemann and Durand (SIGGRAPH 2004), with the colour as guide of
    the weights. Where a window has no similar pixels, a wider one with the same number of samples
    is tried. Remaining pixels take the nearest measurement. Measured pixels are kept.
    """
    out = nearest_known(depth).astype(np.float32)
    measured = depth > 0
    if measured.all() or not measured.any():
        return out
    guide = rgb.astype(np.float32) / 255
    row, column = np.nonzero(~measured)
    offsets = np.arange(-RADIUS, RADIUS + 1)
    for scale in SCALES_PX:
        total = np.zeros(row.size, np.float32)
        weight = np.zeros(row.size, np.float32)
        here = guide[row, column]
        for di in offsets:
            for dj in offsets:
                i, j = row + scale * di, column + scale * dj
                inside = (i >= 0) & (i < depth.shape[0]) & (j >= 0) & (j < depth.shape[1])
                at = np.flatnonzero(inside)
                at = at[measured[i[at], j[at]]]
                if not at.size:
                    continue
                source = i[at], j[at]
                likeness = np.square(guide[source] - here[at]).mean(axis=1)
                near = (di * di + dj * dj) / (RADIUS / 2) ** 2
                w = np.exp(-(likeness / SIGMA_COLOUR**2 + near) / 2)
                weight[at] += w
                total[at] += w * depth[source]
        filled = weight > _ENOUGH
        out[row[filled], column[filled]] = total[filled] / weight[filled]
        row, column = row[~filled], column[~filled]
        if not row.size:
            break
    return out
