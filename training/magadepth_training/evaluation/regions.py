# SPDX-License-Identifier: Apache-2.0
"""Regions of scored pixels: holes to fill, by size and place, and measurements to keep."""

from __future__ import annotations

import cv2
import numpy as np

REGIONS = {
    'fill': 'missing in the input',
    'keep': 'measured in the input',
    'all': 'both',
    'edge': 'missing, within 4 px of a depth edge of the target',
    'deep': 'missing, more than 2.5 % of the width from any measured pixel',
    'thin': 'missing, on something near that is thinner than 2.5 % of the width',
    'small_hole': 'missing, in a hole of less than 0.1 % of the picture',
    'medium_hole': 'missing, in a hole of 0.1 to 1 % of it',
    'large_hole': 'missing, in a hole of more than 1 % of it',
}
"""Description of each region."""

EDGE_JUMP = 0.05
"""A depth edge is a step between neighbours of more than this share of the nearer depth."""
EDGE_RADIUS_PX = 4
"""Half width of the band around a depth edge [px]; wider than most sensors' edge bleeding."""
DEEP = 0.025
"""Distance to the nearest measured pixel from which a hole is deep [picture widths]."""
THIN = 0.025
"""Largest width of a thin object [picture widths]."""
HOLE_SHARES = (0.001, 0.01)
"""Limits between small, medium and large holes [share of the picture]."""
NEARER = 0.05
"""Share of the depth by which a phantom obstacle is too near."""


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
    labels, areas = _holes(~measured)
    not_small, large = (areas[labels] > share * depth.size for share in HOLE_SHARES)
    hole = fill & ~measured
    return {
        'fill': fill,
        'keep': keep,
        'all': fill | keep,
        'edge': fill & edge_band(target),
        'deep': fill & (distance_to_known(depth) > DEEP * depth.shape[1]),
        'thin': fill & thin_things(target),
        'small_hole': hole & ~not_small,
        'medium_hole': hole & not_small & ~large,
        'large_hole': hole & large,
    }


def phantoms(
    prediction: np.ndarray, target: np.ndarray, depth: np.ndarray, fill: np.ndarray
) -> np.ndarray:
    """
    Find filled pixels where a robot would see an obstacle that is not there.

    A phantom is more than 5 % nearer than the truth and than every measured pixel at the rim of
    its hole: its depth is neither right nor that of a surface beside the hole.

    Parameters
    ----------
    prediction, target, depth:
        (H, W) metres, 0 = not filled, unknown, missing.
    fill:
        (H, W) bool, the pixels that are scored.

    Returns
    -------
    numpy.ndarray
        (H, W) bool.

    """
    missing = ~(depth > 0)
    labels, areas = _holes(missing)
    # The minimum over 3x3 measured pixels is defined one pixel into each hole, which is its rim.
    near = cv2.erode(np.where(missing, np.float32(np.inf), depth), np.ones((3, 3), np.uint8))
    nearest = np.full(len(areas), np.inf, np.float32)
    np.minimum.at(nearest, labels[missing], near[missing])
    limit = np.minimum(nearest[labels], target) * np.float32(1 - NEARER)
    return fill & missing & (prediction > 0) & (prediction < limit)


def _holes(missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Number of each pixel's hole (0 = measured), and the area of each hole [px].
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        missing.astype(np.uint8), connectivity=8
    )
    return labels, stats[:, cv2.CC_STAT_AREA]


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


def thin_things(target: np.ndarray) -> np.ndarray:
    """
    (H, W) bool: poles, cables, legs, more than 5 % nearer than the surfaces at both sides.

    A morphological closing of the depth removes them; unknown pixels first take the value of the
    nearest known one.
    """
    whole = nearest_known(target).astype(np.float32)
    side = 2 * max(1, round(THIN * target.shape[1] / 2)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.morphologyEx(whole, cv2.MORPH_CLOSE, kernel) > (1 + EDGE_JUMP) * whole


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
