# SPDX-License-Identifier: Apache-2.0
"""Merge measurements and prediction."""

from __future__ import annotations

from functools import lru_cache, partial

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers


def merge(
    measured: np.ndarray,
    valid: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    depth_range: tuple[float, float] | None,
    keep_measured: bool,
    confidence_threshold: float,
    buffers: Buffers,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """
    Put measurements over a prediction, and drop implausible and doubtful pixels.

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
        (min, max) [m]; a prediction outside becomes NaN. None: all pixels of the prediction are
        known to be inside and above the confidence threshold.
    keep_measured:
        whether measurements replace the prediction where they are.
    confidence_threshold:
        a prediction with less confidence becomes NaN.
    buffers:
        pool of the result and of temporary images.

    Returns
    -------
    tuple
        depth (H, W) float32 metres with NaN = unknown; confidence (H, W) float32, 1 where
        measured and kept, 0 where unknown; filled (H, W) bool, not valid before and known now;
        how many pixels are unknown.

    """
    shape = predicted.shape
    flags = partial(buffers.take, shape, np.bool_)
    known = None
    if depth_range is None:
        filled = np.logical_not(valid, out=flags())
    else:
        known = np.greater_equal(predicted, max(depth_range[0], 1e-6), out=flags())
        known &= np.less_equal(predicted, depth_range[1], out=flags())
        if confidence_threshold > 0.0:
            known &= confidence >= confidence_threshold
        filled = np.greater(known, valid, out=flags())
    if keep_measured:
        # OpenCV copies under a mask four times as fast as NumPy.
        mask = valid.view(np.uint8)
        cv2.copyTo(measured, mask, predicted)
        cv2.copyTo(_ones(shape), mask, confidence)
    if known is None:
        return predicted, confidence, filled, 0
    if keep_measured:
        known |= valid
    unknown = np.logical_not(known, out=known)
    np.copyto(predicted, np.float32(np.nan), where=unknown)
    np.copyto(confidence, np.float32(0.0), where=unknown)
    return predicted, confidence, filled, int(np.count_nonzero(unknown))


@lru_cache(maxsize=8)
def _ones(shape: tuple[int, int]) -> np.ndarray:
    return np.ones(shape, np.float32)
