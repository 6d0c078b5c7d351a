# SPDX-License-Identifier: Apache-2.0
"""What every runtime offers: one fixed-size network, arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class ModelInfo:
    """
    What a model file says of itself (the metadata of its ONNX).

    ``height`` and ``width`` are the fixed input size [px]; ``min_depth`` and ``max_depth`` the
    range the network was trained for [m]; ``low_precision_safe`` says that bf16/fp16 inside the
    network was measured to cost less than a sensor's own noise.
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


class Engine(Protocol):
    """One opened model on one runtime; used from a single thread at a time."""

    info: ModelInfo
    """What the model says of itself."""
    backend: str
    """Name of the runtime, for example ``openvino``."""
    precision: str
    """Arithmetic inside the network: ``fp32``, ``bf16`` or ``fp16``."""

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        """
        Run the network.

        Parameters
        ----------
        rgb:
            (N, 3, H, W) float32, RGB in 0..1.
        depth:
            (N, 1, H, W) float32 metres, 0 = missing.

        Raises
        ------
        EngineError
            the runtime failed, or the arrays are not of the model's size.

        """
        ...

    def close(self) -> None:
        """Release the memory held by the runtime; a closed engine raises on use."""
        ...
