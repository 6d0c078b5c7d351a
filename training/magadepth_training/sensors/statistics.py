# SPDX-License-Identifier: Apache-2.0
"""Statistics of holes and noise, for recorded and simulated frames alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

DEPTH_BINS = np.array([0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0])
"""Edges of the bins of noise over depth [m]."""
SIZE_BINS = np.geomspace(1.0, 20000.0, 18)
"""Edges of the bins of hole size [px at 320 x 240]."""
DISTANCE_BINS = np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 400], dtype=float)
"""Edges of the bins of a hole pixel's distance to the nearest depth edge [px at 320 x 240]."""
_STEP = 3


@dataclass(frozen=True)
class HoleStatistics:
    """
    Statistics of the holes and the noise of a set of depth pictures.

    Shares of frames or of hole pixels are per bin and sum to 1. "Inner" holes do not touch the
    picture's border; the bands that registration leaves there are counted apart.
    """

    frames: int
    share: np.ndarray
    """(F,) share of missing pixels per frame."""
    inner_share: np.ndarray
    """(F,) share of pixels missing in inner holes."""
    sizes: np.ndarray
    """Share of the inner holes' area in holes of each of SIZE_BINS."""
    distances: np.ndarray
    """Share of the inner holes' area at each of DISTANCE_BINS from a depth edge."""
    left_share: float
    """Of hole pixels beside a depth step: how many lie to the left of the nearer side."""
    step_share: float
    """Hole pixels beside a depth step, as a share of all pixels."""
    noise: np.ndarray
    """Standard deviation of depth [m] per bin of DEPTH_BINS, NaN where too few pixels."""


def _beside_steps(depth: np.ndarray, holes: np.ndarray, widest: int) -> tuple[int, int]:
    """Count hole pixels between depth steps in rows: left, and right, of the near side."""
    height, width = depth.shape
    column = np.broadcast_to(np.arange(width), depth.shape)
    before = np.maximum.accumulate(np.where(holes, -1, column), 1)
    after = np.minimum.accumulate(np.where(holes, width, column)[:, ::-1], 1)[:, ::-1]
    gap = holes & (before >= 0) & (after < width) & (after - before <= widest)
    row = np.broadcast_to(np.arange(height)[:, None], depth.shape)
    left = depth[row[gap], before[gap]]
    right = depth[row[gap], after[gap]]
    step = np.abs(left - right) > 0.05 * np.minimum(left, right)
    return int((step & (right < left)).sum()), int((step & (left < right)).sum())


def _edges(depth: np.ndarray) -> np.ndarray:
    """Depth edges among measured pixels, also across the holes between them."""
    holes = depth <= 0
    _, label = cv2.distanceTransformWithLabels(
        holes.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(label.max() + 1, depth.dtype)
    nearest[label[~holes]] = depth[~holes]
    filled = nearest[label]
    kernel = np.ones((3, 3), np.uint8)
    return cv2.dilate(filled, kernel) - cv2.erode(filled, kernel) > 0.05 * filled


def _noise_samples(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depths and second differences along rows, where neither an edge nor a hole is near."""
    a, b, c = depth[:, : -2 * _STEP], depth[:, _STEP:-_STEP], depth[:, 2 * _STEP :]
    known = (a > 0) & (b > 0) & (c > 0)
    bend = a - 2.0 * b + c
    smooth = known & (np.abs(bend) < 0.05 * b) & (np.abs(a - c) < 0.06 * b)
    return b[smooth], bend[smooth]


def hole_statistics(depths: Iterable[np.ndarray]) -> HoleStatistics:
    """
    Measure a set of depth pictures.

    Parameters
    ----------
    depths:
        arrays (H, W) float32 metres, 0 = missing; of about 320 x 240 pixels, since sizes and
        distances are in pixels.

    """
    share, inner_share = [], []
    sizes, distances = np.zeros(len(SIZE_BINS) - 1), np.zeros(len(DISTANCE_BINS) - 1)
    left = right = pixels = 0
    levels, bends = [], []
    for depth in depths:
        holes = depth <= 0
        _, label, stats, _ = cv2.connectedComponentsWithStats(holes.astype(np.uint8))
        x, y, w, h, area = stats.T
        inner = (x > 0) & (y > 0) & (x + w < depth.shape[1]) & (y + h < depth.shape[0])
        inner[0] = False  # label 0 is what was measured
        share.append(holes.mean())
        inside = inner[label]
        inner_share.append(inside.mean())
        sizes += np.histogram(area[inner], SIZE_BINS, weights=area[inner])[0]
        if (~holes).any():
            far = cv2.distanceTransform((~_edges(depth)).astype(np.uint8), cv2.DIST_L2, 3)
            distances += np.histogram(far[inside], DISTANCE_BINS)[0]
        at_left, at_right = _beside_steps(depth, holes, depth.shape[1] // 12)
        left, right, pixels = left + at_left, right + at_right, pixels + depth.size
        level, bend = _noise_samples(depth)
        levels.append(level[::7])
        bends.append(bend[::7])
    level, bend = np.concatenate(levels), np.concatenate(bends)
    noise = np.full(len(DEPTH_BINS) - 1, np.nan)
    which = np.digitize(level, DEPTH_BINS) - 1
    for i in range(len(noise)):
        some = np.abs(bend[which == i])
        if some.size > 500:
            # The second difference of white noise has 6 times its variance; 1.48 MAD = sigma.
            noise[i] = 1.4826 * np.median(some) / np.sqrt(6.0)
    return HoleStatistics(
        len(share),
        np.array(share),
        np.array(inner_share),
        sizes / max(sizes.sum(), 1.0),
        distances / max(distances.sum(), 1.0),
        left / max(left + right, 1),
        (left + right) / max(pixels, 1),
        noise,
    )


def summary(name: str, s: HoleStatistics) -> str:
    """Return the statistics as a few lines of text."""
    q = np.percentile(s.share, [10, 50, 90])
    qi = np.percentile(s.inner_share, [10, 50, 90])
    return '\n'.join(
        [
            f'{name}: {s.frames} frames',
            f'  hole share p10/p50/p90   {q[0]:.3f} {q[1]:.3f} {q[2]:.3f}',
            f'  inner holes p10/p50/p90  {qi[0]:.3f} {qi[1]:.3f} {qi[2]:.3f}',
            f'  beside steps {s.step_share:.4f} of all pixels, {s.left_share:.2f} to the left',
            '  size of inner holes      ' + ' '.join(f'{v:.2f}' for v in s.sizes),
            '  distance to edges        ' + ' '.join(f'{v:.2f}' for v in s.distances),
            '  noise [mm] over depth    ' + ' '.join(f'{1000 * v:.1f}' for v in s.noise),
        ]
    )
