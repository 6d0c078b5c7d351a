# SPDX-License-Identifier: Apache-2.0
"""Which pixels are scored: holes to fill, measurements to keep, bands around depth edges."""

from __future__ import annotations

import cv2
import numpy as np

REGIONS = ('fill', 'keep', 'all', 'edge')
"""Missing in the input; measured in it; both; missing and near a depth edge of the target."""

EDGE_JUMP = 0.05
"""A depth edge is a step between neighbours of more than this share of the nearer depth."""
EDGE_RADIUS_PX = 4
"""Half width of the band around a depth edge [px]; wider than most sensors' edge bleeding."""


def regions(
    depth: np.ndarray, target: np.ndarray, score: np.ndarray | None
) -> dict[str, np.ndarray]:
    """
    Masks of the scored pixels by name.

    Parameters
    ----------
    depth, target:
        (H, W) metres, 0 = missing or unknown.
    score:
        (H, W) uint8: 0 ignore, 1 = fill, 2 = keep; None derives it from depth and target.

    Returns
    -------
    dict
        name of :data:`REGIONS` -> (H, W) bool, only where the target is known.

    """
    known = target > 0
    measured = np.isfinite(depth) & (depth > 0)
    fill = known & (~measured if score is None else score == 1)
    keep = known & (measured if score is None else score == 2)
    return {
        'fill': fill,
        'keep': keep,
        'all': fill | keep,
        'edge': fill & edge_band(target),
    }


def edge_band(target: np.ndarray) -> np.ndarray:
    """
    (H, W) bool: pixels within EDGE_RADIUS_PX of a depth edge of the target.

    A narrow hole between two surfaces hides their edge, so unknown pixels first take the value of
    the nearest known one: the edge then lies in the middle of the hole.
    """
    if not (target > 0).any():
        return np.zeros(target.shape, bool)
    whole = nearest_known(target)
    edge = np.zeros(target.shape, bool)
    for a, b in (((slice(1, None),), (slice(-1),)), ((..., slice(1, None)), (..., slice(-1)))):
        step = np.abs(whole[a] - whole[b]) > EDGE_JUMP * np.minimum(whole[a], whole[b])
        edge[a] |= step
        edge[b] |= step
    side = 2 * EDGE_RADIUS_PX + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(edge.astype(np.uint8), kernel).astype(bool)


def nearest_known(depth: np.ndarray) -> np.ndarray:
    """Give each missing pixel (<= 0 or NaN) of (H, W) depth the value of the nearest known one."""
    known = depth > 0
    if known.all() or not known.any():
        return np.where(known, depth, 0)
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(labels.max() + 1, depth.dtype)
    values[labels[known]] = depth[known]
    return values[labels]


def distance_to_known(depth: np.ndarray) -> np.ndarray:
    """(H, W) float32 distance to the nearest measured pixel [px], 0 where measured."""
    missing = ~(depth > 0)
    if missing.all():
        return np.full(depth.shape, np.float32(np.hypot(*depth.shape)))
    return cv2.distanceTransform(missing.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
