# SPDX-License-Identifier: Apache-2.0
"""Join what was measured with what was predicted."""

from __future__ import annotations

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers


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
