# SPDX-License-Identifier: Apache-2.0
"""Bring an engine's small output back to the sensor's pixels."""

from __future__ import annotations

import cv2
import numpy as np


def restore_smooth(small: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Enlarge a field without edges of its own, (h, w) float32 -> ``shape``, bilinear."""
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR)


def restore_depth(
    predicted: np.ndarray, small_depth: np.ndarray, measured: np.ndarray, rgb: np.ndarray
) -> np.ndarray:
    """
    Enlarge a prediction to the sensor's pixels.

    Parameters
    ----------
    predicted:
        (h, w) float32 metres, complete.
    small_depth:
        (h, w) float32 metres, what the engine was given there, 0 = missing.
    measured:
        (H, W) float32 metres, 0 = missing.
    rgb:
        (H, W, 3) uint8 RGB.

    Returns
    -------
    np.ndarray
        (H, W) float32 metres, complete.

    """
    return restore_smooth(np.ascontiguousarray(predicted), measured.shape)
