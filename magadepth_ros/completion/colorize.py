# SPDX-License-Identifier: Apache-2.0
"""Show a depth image in colours; a colour stands for the same distance in every frame."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np


@lru_cache(maxsize=1)
def _palette() -> np.ndarray:
    # Turbo from warm (near) to cold (far) as RGB; the first entry is left to unknown pixels.
    ramp = np.linspace(255, 0, 255).round().astype(np.uint8)[:, None]
    turbo = cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO)[:, :, ::-1]
    return np.concatenate([np.zeros((1, 1, 3), np.uint8), turbo])


def colorize(depth: np.ndarray, near: float, far: float) -> np.ndarray:
    """
    Colour depth with the turbo map, red at ``near`` to blue at ``far`` [m], unknown black.

    ``depth`` is (H, W) float32 metres; NaN, inf and 0 or less = unknown. Returns (H, W, 3) uint8
    RGB. The limits are fixed, so the colours do not flicker from frame to frame.
    """
    scale = np.float32(254.0 / max(far - near, 1e-6))
    index = depth * scale
    index += np.float32(1.0) - np.float32(near) * scale
    # fmin and fmax ignore NaN, so that the cast below is defined everywhere.
    np.fmin(np.fmax(index, 1.0, out=index), 255.0, out=index)
    shade = index.astype(np.uint8)
    shade *= cv2.inRange(depth, 1e-6, float(np.finfo(np.float32).max)) > 0
    return cv2.applyColorMap(cv2.merge([shade] * 3), _palette())
