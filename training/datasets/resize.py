# SPDX-License-Identifier: Apache-2.0
"""Crop and resize RGB-D so that a missing pixel never blends into a measured one."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from magadepth_training.datasets.sample import Sample

_EDGE_SPREAD = 0.02
"""Cells whose depths spread by more than this share of their mean lie across a depth edge."""


class Box(NamedTuple):
    """A crop [px]: the first row and column, and the size."""

    top: int
    left: int
    height: int
    width: int


def centre_box(shape: tuple[int, int], height: int, width: int, share: float = 1.0) -> Box:
    """Return the largest centred box of the ratio height : width, times ``share`` per side."""
    scale = min(shape[0] / height, shape[1] / width) * share
    h = max(1, min(shape[0], round(height * scale)))
    w = max(1, min(shape[1], round(width * scale)))
    return Box((shape[0] - h) // 2, (shape[1] - w) // 2, h, w)


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """View the box of (H, W, ...)."""
    return image[box.top : box.top + box.height, box.left : box.left + box.width]


def resize_rgb(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (H, W, 3) uint8: averaged when it shrinks, interpolated when it grows."""
    shrinks = height <= rgb.shape[0] and width <= rgb.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(rgb), (width, height), interpolation=method)


def resize_depth(depth: np.ndarray, height: int, width: int, pooled: bool = False) -> np.ndarray:
    """
    Resize depth without inventing any: values stay metres, whatever the factor.

    Parameters
    ----------
    depth:
        (H, W), 0 = missing; any numeric type (float metres, uint16 millimetres).
    height, width:
        new size [px].
    pooled:
        False takes the nearest pixel. True averages the measured pixels of a cell (less noise
        when it shrinks): missing where less than half of the cell is measured, and the nearest
        pixel where the cell lies across a depth edge, so that nothing floats between surfaces.

    """
    size = (width, height)
    # INTER_NEAREST takes the corner of a cell, which is half a pixel off the resized colour.
    near = cv2.resize(np.ascontiguousarray(depth), size, interpolation=cv2.INTER_NEAREST_EXACT)
    if not pooled or height > depth.shape[0] or width > depth.shape[1]:
        return near
    measured = (depth > 0).astype(np.float64)
    values = depth * measured
    weight, total, squares = (
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        for plane in (measured, values, values * values)
    )
    safe = np.maximum(weight, 1e-9)
    mean = total / safe
    spread = np.sqrt(np.maximum(squares / safe - mean * mean, 0))
    smooth = spread <= _EDGE_SPREAD * mean
    pooled_depth = np.where(weight >= 0.5 - 1e-6, np.where(smooth, mean, near), 0)
    if np.issubdtype(depth.dtype, np.integer):
        pooled_depth = np.rint(pooled_depth)
    return pooled_depth.astype(depth.dtype)


def crop_and_resize(
    sample: Sample, box: Box, height: int, width: int, pooled: bool = False
) -> Sample:
    """Cut a box out of all pictures of a sample and resize it; K follows, depth stays metric."""
    size = (height, width)
    K = sample.K
    if K is not None:
        sx, sy = width / box.width, height / box.height
        # The half pixels come from counting pixel centres, not corners.
        cx = (K[2] - box.left + 0.5) * sx - 0.5
        cy = (K[3] - box.top + 0.5) * sy - 0.5
        K = (K[0] * sx, K[1] * sy, cx, cy)
    target, score = sample.target, sample.score
    return replace(
        sample,
        rgb=resize_rgb(crop(sample.rgb, box), *size),
        depth=resize_depth(crop(sample.depth, box), *size, pooled=pooled),
        target=None if target is None else resize_depth(crop(target, box), *size, pooled=pooled),
        score=None if score is None else resize_depth(crop(score, box), *size),
        K=K,
    )
