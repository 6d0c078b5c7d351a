# SPDX-License-Identifier: Apache-2.0
"""The base class of all runtimes: one network of a fixed size, with checks of its arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from magadepth_ros.errors import EngineError, PrecisionError


@dataclass(frozen=True)
class ModelInfo:
    """
    The metadata of a model (of its ONNX file).

    ``height`` and ``width`` are the fixed input size [px]; ``min_depth`` and ``max_depth`` the
    range the network was trained for [m]; ``low_precision_safe``: the errors of bf16 and fp16
    inside the network were measured to be smaller than a sensor's noise.
    """

    network: str
    height: int
    width: int
    min_depth: float
    max_depth: float
    normalisation: str
    version: str
    training_data: str
    licence: str
    low_precision_safe: bool = False


@dataclass(frozen=True)
class Prediction:
    """
    A network's answer for a batch.

    ``depth`` is (N, 1, H, W) float32 in metres, complete (no missing value); ``log_variance`` is
    the natural log of the expected squared error [ln m^2], same shape, or None where the network
    has no such output.
    """

    depth: np.ndarray
    log_variance: np.ndarray | None


class Engine(ABC):
    """
    One opened model on one runtime; used from a single thread at a time.

    A runtime's own class takes the fields of a
    :class:`~magadepth_ros.engines.runtimes.EngineRequest` in its constructor, sets these
    attributes, and implements `_run` and `_release`.
    """

    info: ModelInfo
    """Metadata of the model."""
    backend: str
    """Name of the runtime, for example ``openvino``."""
    precision: str
    """Arithmetic inside the network: ``fp32``, ``bf16`` or ``fp16``."""
    largest_batch: int | None = None
    """Largest number of frames of one `_run`; None for any number."""
    closed = False

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        """
        Run the network, several times where there are more frames than it takes at once.

        Parameters
        ----------
        rgb:
            (N, 3, H, W) float32, RGB in 0..1.
        depth:
            (N, 1, H, W) float32 metres, 0 = missing.

        Raises
        ------
        EngineError
            the runtime failed, the arrays are not of the model's size, or the engine is closed.

        """
        if self.closed:
            raise EngineError(f'{self.info.network}: this engine is closed; open it again')
        rgb, depth = self._inputs(rgb, depth)
        size = self.largest_batch or len(rgb)
        if len(rgb) <= size:
            return self._run(rgb, depth)
        goes = [
            self._run(rgb[i : i + size], depth[i : i + size]) for i in range(0, len(rgb), size)
        ]
        variances = [go.log_variance for go in goes if go.log_variance is not None]
        return Prediction(
            np.concatenate([go.depth for go in goes]),
            np.concatenate(variances) if variances else None,
        )

    def close(self) -> None:
        """Release the memory held by the runtime; may be called twice."""
        if not self.closed:
            self.closed = True
            self._release()

    @abstractmethod
    def _run(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        """Run the network on contiguous float32 arrays of its size; EngineError where it fails."""

    @abstractmethod
    def _release(self) -> None:
        """Release the resources of the runtime; called once."""

    def _inputs(self, rgb: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # A contiguous float32 array is not copied.
        batch = max(1, rgb.shape[0] if rgb.ndim == 4 else 0)
        for name, array, channels in (('rgb', rgb, 3), ('depth', depth, 1)):
            expected = (batch, channels, self.info.height, self.info.width)
            if array.shape != expected:
                raise EngineError(
                    f'{name}: expected shape {expected} for {self.info.network}, got '
                    f'{array.shape}; fit the images to the model with magadepth_ros.completion'
                )
        return np.ascontiguousarray(rgb, np.float32), np.ascontiguousarray(depth, np.float32)


def blank_batch(info: ModelInfo, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rgb and depth of ``count`` grey frames without holes, to prepare an engine."""
    rgb = np.full((count, 3, info.height, info.width), 0.5, np.float32)
    return rgb, np.full_like(rgb[:, :1], (info.min_depth + info.max_depth) / 2)


def pick_precision(asked: str, backend: str, allowed: tuple[str, ...], auto: str) -> str:
    """Return ``asked``, or ``auto`` for 'auto'; PrecisionError where the backend lacks it."""
    if asked != 'auto' and asked not in allowed:
        names = ', '.join(('auto', *allowed[:-1]))
        raise PrecisionError(
            f'backend {backend} has no precision {asked!r}; use {names} or {allowed[-1]}'
        )
    return auto if asked == 'auto' else asked


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


def last_line(error: Exception) -> str:
    """Return the last line of an error: runtimes write source lines and traces before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
