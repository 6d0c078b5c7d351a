# SPDX-License-Identifier: Apache-2.0
"""Join what was measured with what was predicted."""

from __future__ import annotations

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers

_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
_LONELY = 3


def merge(
    measured: np.ndarray,
    valid: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    depth_range: tuple[float, float],
    keep_measured: bool = True,
    confidence_threshold: float = 0.0,
    buffers: Buffers | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Put measurements over a prediction and drop what must not leave.

    Parameters
    ----------
    measured:
        (H, W) float32 metres, inside the range where ``valid``.
    valid:
        (H, W) bool.
    predicted:
        (H, W) float32 metres; overwritten by the result.
    confidence:
        (H, W) float32 of the prediction, 0..1; overwritten by the result.
    depth_range:
        (min, max) [m]; a prediction outside becomes NaN.
    keep_measured:
        whether measurements replace the prediction where they are.
    confidence_threshold:
        a prediction with less confidence becomes NaN.
    buffers:
        where the result and temporary images come from.

    Returns
    -------
    tuple
        depth (H, W) float32 metres with NaN = unknown; confidence (H, W) float32, 1 where
        measured and kept, 0 where unknown; filled (H, W) bool, not valid before and known now.

    """
    buffers = buffers or Buffers()
    shape = predicted.shape
    mask = cv2.inRange(
        predicted, max(depth_range[0], 1e-6), depth_range[1], dst=buffers.take(shape, np.uint8)
    )
    known = np.greater(mask, 0, out=buffers.take(shape, np.bool_))
    if confidence_threshold > 0.0:
        known &= confidence >= confidence_threshold
    filled = np.greater(known, valid, out=buffers.take(shape, np.bool_))
    if keep_measured:
        known |= valid
        np.copyto(predicted, measured, where=valid)
        np.copyto(confidence, np.float32(1.0), where=valid)
    if not known.all():
        np.logical_not(known, out=known)
        np.copyto(predicted, np.float32(np.nan), where=known)
        np.copyto(confidence, np.float32(0.0), where=known)
    return predicted, confidence, filled


def find_outliers(
    measured: np.ndarray, valid: np.ndarray, predicted: np.ndarray, tolerance: float
) -> np.ndarray:
    """
    Find flying pixels and speckle: far from the prediction and with hardly a neighbour at hand.

    Both must speak against a pixel, so that a thin object the network overlooked stays (its own
    neighbours support it), and so does a lone pixel the network agrees with.

    Parameters
    ----------
    measured:
        (H, W) float32 metres, 0 = missing.
    valid:
        (H, W) bool.
    predicted:
        (H, W) float32 metres.
    tolerance:
        what is far, relative to the depth.

    Returns
    -------
    np.ndarray
        (H, W) bool.

    """
    outliers = (np.abs(measured - predicted) > tolerance * predicted) & valid
    rows, columns = np.nonzero(outliers)
    framed = cv2.copyMakeBorder(measured, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = measured[rows, columns]
    limit = np.float32(tolerance) * depth
    support = np.zeros(len(rows), np.int32)
    for dy, dx in _NEIGHBOURS:
        support += np.abs(framed[rows + 1 + dy, columns + 1 + dx] - depth) <= limit
    outliers[rows, columns] = support < _LONELY
    return outliers
