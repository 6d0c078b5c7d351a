# SPDX-License-Identifier: Apache-2.0
"""Checks at the door of every engine: the arrays are the model's size and type."""

from __future__ import annotations

import numpy as np

from magadepth_ros.engines.engine import ModelInfo
from magadepth_ros.errors import EngineError


def as_inputs(
    info: ModelInfo, rgb: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return ``rgb`` (N, 3, H, W) and ``depth`` (N, 1, H, W) as contiguous float32.

    No copy is made where they are that already. EngineError where the size is not the model's.
    """
    batch = rgb.shape[0] if rgb.ndim == 4 else 0
    for name, array, channels in (('rgb', rgb, 3), ('depth', depth, 1)):
        expected = (max(batch, 1), channels, info.height, info.width)
        if array.shape != expected or batch < 1:
            raise EngineError(
                f'{name}: expected shape {expected} for {info.network}, got {array.shape}; '
                'fit the images to the model with magadepth_ros.completion'
            )
    return (
        np.ascontiguousarray(rgb, dtype=np.float32),
        np.ascontiguousarray(depth, dtype=np.float32),
    )
