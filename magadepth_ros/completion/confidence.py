# SPDX-License-Identifier: Apache-2.0
"""The confidence of a predicted depth, 0..1."""

from __future__ import annotations

import cv2
import numpy as np

HALF_AT = 0.02
"""Expected error relative to the depth at which the confidence is one half."""

HALF_AT_DISTANCE = 0.05
"""Distance to the nearest measurement, in image widths, at which the confidence is one half."""


def confidence_from_log_variance(log_variance: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """
    Confidence ``1 / (1 + sigma / (0.02 z))`` from a network's log variance.

    So 0.5 stands for an expected error of 2 % of the depth (4 cm at 2 m), 0.8 for 0.5 %.

    Parameters
    ----------
    log_variance:
        (H, W) float32, natural log of the expected squared error [ln m^2].
    depth:
        (H, W) float32 metres, positive.

    """
    sigma = np.exp(np.clip(log_variance, -40.0, 40.0) * np.float32(0.5))
    scale = np.float32(HALF_AT) * np.maximum(depth, np.float32(1e-3))
    return scale / (scale + sigma)


def confidence_from_distance(depth: np.ndarray) -> np.ndarray:
    """
    Confidence that falls with the distance to the nearest measurement, for models without sigma.

    ``depth`` is (H, W) float32 metres, 0 = missing. 1 at a measurement, one half at 5 % of the
    image's width, 0 everywhere where nothing was measured.
    """
    missing = (depth <= 0).view(np.uint8)
    if missing.all():
        return np.zeros(depth.shape, np.float32)
    distance = cv2.distanceTransform(missing, cv2.DIST_L2, 3)
    scale = np.float32(HALF_AT_DISTANCE * depth.shape[1])
    return scale / (scale + distance)
