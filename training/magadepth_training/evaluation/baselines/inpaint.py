# SPDX-License-Identifier: Apache-2.0
"""The two inpainting methods of OpenCV, on float millimetres, so that no depth is quantised."""

from __future__ import annotations

import cv2
import numpy as np

RADIUS_PX = 3
"""Neighbourhood that OpenCV averages over [px]; its documentation's example value."""


def telea(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Fast marching (Telea, 2004): weighted averages marched inwards from the hole's border."""
    return _inpaint(depth, cv2.INPAINT_TELEA)


def navier_stokes(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Navier-Stokes (Bertalmio et al., 2001): isophotes continued into the hole."""
    return _inpaint(depth, cv2.INPAINT_NS)


def _inpaint(depth: np.ndarray, method: int) -> np.ndarray:
    measured = depth > 0
    if measured.all() or not measured.any():
        return np.where(measured, depth, np.float32(0))
    hole = (~measured).astype(np.uint8)
    # Telea adds a gradient of up to 1 to each value: harmless in millimetres, but not in metres.
    filled = cv2.inpaint(depth.astype(np.float32) * 1000, hole, RADIUS_PX, method) / 1000
    # Both extrapolate gradients and can leave the range of what was measured.
    return np.clip(filled, depth[measured].min(), depth[measured].max())
