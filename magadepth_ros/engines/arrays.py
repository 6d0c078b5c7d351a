# SPDX-License-Identifier: Apache-2.0
"""What all engines do with arrays: check what goes in and comes out, and run in several goes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from magadepth_ros.engines.engine import ModelInfo, Prediction
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


def check_prediction(prediction: Prediction, shape: tuple[int, ...]) -> None:
    """Raise EngineError where an answer is not of ``shape`` (N, 1, H, W) or not finite."""
    for name, array in (('depth', prediction.depth), ('log_variance', prediction.log_variance)):
        if array is None:
            continue
        if array.shape != shape:
            raise EngineError(f'the engine returned {name} of {array.shape}, not {shape}')
        # A sum is NaN or infinite as soon as one element is: one pass, no mask.
        if not np.isfinite(array.sum(dtype=np.float64)):
            raise EngineError(f'the engine returned NaN or infinity in {name}; try precision fp32')


def in_parts(
    run: Callable[[np.ndarray, np.ndarray], Prediction],
    rgb: np.ndarray,
    depth: np.ndarray,
    size: int,
) -> Prediction:
    """Return what ``run`` makes of all frames, given at most ``size`` of them at a time."""
    if len(rgb) <= size:
        return run(rgb, depth)
    parts = [run(rgb[i : i + size], depth[i : i + size]) for i in range(0, len(rgb), size)]
    variances = [part.log_variance for part in parts if part.log_variance is not None]
    return Prediction(
        np.concatenate([part.depth for part in parts]),
        np.concatenate(variances) if variances else None,
    )


def last_line(error: Exception) -> str:
    """Return the cause alone: runtimes write source lines and traces before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
