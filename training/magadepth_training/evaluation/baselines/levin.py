# SPDX-License-Identifier: Apache-2.0
"""Colorization using optimization (Levin et al., 2004) on depth, as for NYU's ground truth."""

from __future__ import annotations

import cv2
import numpy as np

_NEIGHBOURS = [(di, dj) for di in (-1, 0, 1) for dj in (-1, 0, 1) if (di, dj) != (0, 0)]


def levin(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """
    Complete depth so that each pixel is near the mean of neighbours of similar brightness.

    Minimises, in the least-squares form of the NYU-Depth V2 toolbox, the system ``(I - W + K)
    x = K d``: K selects the measured pixels, W holds for each pixel the weights
    ``exp(-(g_n - g)^2 / s)`` of its 3x3 neighbours, normalised to 1, with s = 0.6 x the variance
    of the window's grey values, but so large that the most similar neighbour weighs at least 0.01,
    and at least 2e-6. Measured pixels are a soft constraint and change a little.

    Parameters
    ----------
    rgb:
        (H, W, 3) uint8.
    depth:
        (H, W) metres, 0 = missing.

    Returns
    -------
    numpy.ndarray
        (H, W) float32 metres; zeros where nothing was measured.

    """
    # Only this method needs SciPy, which is no dependency of the runtime.
    from scipy import sparse
    from scipy.sparse.linalg import splu

    height, width = depth.shape
    measured = depth > 0
    if not measured.any():
        return np.zeros((height, width), np.float32)
    grey = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2GRAY).astype(np.float64)
    index = np.arange(height * width).reshape(height, width)

    # One plane per neighbour; NaN outside the image, so that border windows are just smaller.
    padded = np.pad(grey, 1, constant_values=np.nan)
    planes = np.stack([_shift(padded, di, dj, grey.shape) for di, dj in _NEIGHBOURS])
    difference = np.square(planes - grey)
    spread = 0.6 * np.nanvar(np.concatenate([planes, grey[None]]), axis=0)
    likest = np.nanmin(difference, axis=0)
    spread = np.maximum(np.maximum(spread, -likest / np.log(0.01)), 2e-6)
    weights = np.nan_to_num(np.exp(-difference / spread))
    weights /= weights.sum(axis=0)

    neighbours = np.stack(
        [
            _shift(np.pad(index, 1, constant_values=-1), di, dj, grey.shape)
            for di, dj in _NEIGHBOURS
        ]
    )
    inside = neighbours >= 0
    rows = np.broadcast_to(index, neighbours.shape)[inside]
    size = index.size
    pulls = sparse.coo_matrix((weights[inside], (rows, neighbours[inside])), (size, size))
    known = measured.ravel().astype(np.float64)
    system = (sparse.diags(1.0 + known) - pulls).tocsc()
    solution = splu(system).solve(known * depth.ravel().astype(np.float64))
    return solution.reshape(height, width).astype(np.float32)


def _shift(padded: np.ndarray, di: int, dj: int, shape: tuple[int, ...]) -> np.ndarray:
    return padded[1 + di : 1 + di + shape[0], 1 + dj : 1 + dj + shape[1]]
