# SPDX-License-Identifier: Apache-2.0
"""IP-Basic: completion by morphology alone (Ku, Harakeh, Waslander, CRV 2018), own code."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

MAX_DEPTH_M = 100.0
"""Depth is inverted by subtracting it from this [m], so that dilation prefers near surfaces."""


def ip_basic(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """
    Complete (H, W) metres (0 = missing) in the paper's eight steps; the colour is not used.

    Inversion, 5x5 diamond dilation, 5x5 closing, 7x7 filling, extension to the top of the image,
    31x31 filling, median and Gaussian blur, inversion back. The 31x31 filling is repeated until
    nothing is left, since indoor holes are larger than the gaps between LiDAR rows. Measured
    pixels change too, as in the paper: its input is sparse.
    """
    measured = depth > 0
    if not measured.any():
        return np.zeros_like(depth, np.float32)
    inverted: Any = np.where(measured, MAX_DEPTH_M - depth, 0).astype(np.float32)
    diamond = (np.add.outer(abs(np.arange(-2, 3)), abs(np.arange(-2, 3))) <= 2).astype(np.uint8)
    inverted = cv2.dilate(inverted, diamond)
    inverted = cv2.morphologyEx(inverted, cv2.MORPH_CLOSE, _square(5))
    inverted = _fill(inverted, 7)
    inverted = _extend_to_top(inverted)
    while (inverted <= 0).any():
        inverted = _fill(inverted, 31)
    inverted = cv2.medianBlur(inverted, 5)
    inverted = cv2.GaussianBlur(inverted, (5, 5), 0)
    return (MAX_DEPTH_M - inverted).astype(np.float32)


def _square(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)


def _fill(inverted: np.ndarray, side: int) -> np.ndarray:
    return np.where(inverted > 0, inverted, cv2.dilate(inverted, _square(side)))


def _extend_to_top(inverted: np.ndarray) -> np.ndarray:
    known = inverted > 0
    first = known.argmax(axis=0)
    top = np.take_along_axis(inverted, first[None], axis=0)
    above = np.arange(inverted.shape[0])[:, None] < first
    return np.where(above, top, inverted)
