# SPDX-License-Identifier: Apache-2.0
"""Hide measured pixels of raw depth, so that frames without a truth can teach and test."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Hiding:
    """
    Shapes taken out of a depth image: ellipses, boxes, bars and single pixels.

    ``max_shapes`` of ``min_size`` to ``max_size`` (share of the shorter side) are drawn; single
    pixels go with a random rate of up to ``max_pixel_rate``. ``sparse_rate`` is how often only
    ``sparse_points`` pixels are left instead, as of a LiDAR.
    """

    max_shapes: int = 12
    min_size: float = 0.02
    max_size: float = 0.35
    max_pixel_rate: float = 0.1
    sparse_rate: float = 0.0
    sparse_points: int = 500

    def __call__(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a copy of (H, W) depth with 0 at the hidden pixels; some always remain."""
        if rng.random() < self.sparse_rate:
            return keep_points(depth, self.sparse_points, rng)
        height, width = depth.shape
        hidden = np.zeros(depth.shape, np.uint8)
        side = min(height, width)
        for _ in range(int(rng.integers(1, self.max_shapes + 1))):
            centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
            a, b = np.exp(rng.uniform(np.log(self.min_size), np.log(self.max_size), 2)) * side / 2
            axes = (max(1, round(float(a))), max(1, round(float(b))))
            angle = float(rng.uniform(0, 180))
            if rng.random() < 0.5:
                cv2.ellipse(hidden, centre, axes, angle, 0, 360, 1, -1)
            else:
                corners = cv2.boxPoints((centre, (2 * axes[0], 2 * axes[1]), angle))
                cv2.fillPoly(hidden, [np.rint(corners).astype(np.int32)], 1)
        gone = (hidden > 0) | (rng.random(depth.shape) < rng.uniform(0, self.max_pixel_rate))
        remaining = np.where(gone, 0, depth).astype(depth.dtype)
        if not (remaining > 0).any():
            return keep_points(depth, self.sparse_points, rng)
        return remaining


def keep_points(depth: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return a copy of (H, W) depth with all but ``count`` random measured pixels set to 0."""
    measured = np.flatnonzero(depth > 0)
    chosen = rng.choice(measured, min(count, measured.size), replace=False)
    sparse = np.zeros(depth.size, depth.dtype)
    sparse[chosen] = depth.ravel()[chosen]
    return sparse.reshape(depth.shape)
