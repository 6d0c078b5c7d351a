# SPDX-License-Identifier: Apache-2.0
"""Complete depth images with an engine: fit them to its input, infer, and finish the answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from magadepth_ros.completion.buffers import Buffers
from magadepth_ros.completion.finish import Completion, Finisher
from magadepth_ros.completion.fitted import FittedFrame, fit_frame
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.settings import CompletionSettings
from magadepth_ros.completion.units import out_of_range
from magadepth_ros.engines.engine import Engine, check_prediction
from magadepth_ros.errors import DataError

_LOG = logging.getLogger(__name__)


class Completer:
    """
    Completes depth images of any size with one engine; used from one thread at a time.

    >>> completer = Completer.open('models/guided_fill.onnx')     # doctest: +SKIP
    >>> completer.complete(rgb, depth).depth                          # doctest: +SKIP
    """

    def __init__(self, engine: Engine, settings: CompletionSettings | None = None) -> None:
        self.engine = engine
        self._buffers = Buffers()
        self._finisher = Finisher(self._buffers)
        try:
            self.settings = settings or CompletionSettings()
        except DataError:
            engine.close()
            raise
        self._warned = False

    @classmethod
    def open(
        cls,
        model: str | Path,
        backend: str = 'auto',
        precision: str = 'auto',
        threads: int = 0,
        batch: int = 1,
        settings: CompletionSettings | None = None,
    ) -> Completer:
        """
        Open a model on a runtime, by default the best of this machine.

        Parameters
        ----------
        model:
            name of a shipped model (``guided_fill``), or path of an ONNX or an engine.
        backend, precision:
            runtime and arithmetic of the network; `magadepth_ros.engines.open_engine` lists both.
            ``auto`` is the first runtime that works and the lowest precision the model calls safe.
        threads:
            CPU threads of the runtime, 0 = all cores.
        batch:
            number of frames in one inference that the engine is prepared for; the first
            `complete_batch` with another number prepares the engine for it.
        settings:
            depth range [m] and the use of a prediction; None = the defaults of
            `CompletionSettings`.

        Raises
        ------
        DataError
            the settings leave no depth of the model's range.
        ModelError
            no such model, or a file without the metadata that says how to use it.
        EngineError
            the runtime is not installed or cannot open the model.

        """
        from magadepth_ros.engines import open_engine
        from magadepth_ros.resources import find_model

        engine = open_engine(
            find_model(model), backend=backend, precision=precision, threads=threads, batch=batch
        )
        return cls(engine, settings)

    @property
    def settings(self) -> CompletionSettings:
        """Settings in use; assigning raises DataError where no depth lies in both ranges."""
        return self._settings

    @settings.setter
    def settings(self, settings: CompletionSettings) -> None:
        settings.depth_range(self.engine.info)
        if not settings.temporal_smoothing:
            self.begin()
        self._settings = settings

    @property
    def depth_range(self) -> tuple[float, float]:
        """Plausible range in use [m]: the settings', else the model's."""
        return self._settings.depth_range(self.engine.info)

    def complete(self, rgb: np.ndarray, depth: np.ndarray) -> Completion:
        """
        Complete one depth image.

        Parameters
        ----------
        rgb:
            (H, W, 3) uint8 RGB, aligned with the depth; scaled to its size where it has the same
            shape.
        depth:
            (H, W) float32 metres; 0, NaN, inf and values outside the range = missing. Where all
            pixels are missing, nothing is filled; the log warns once if some had values.

        Raises
        ------
        DataError
            an array has another dtype or number of dimensions, or the shapes differ.
        EngineError
            the runtime failed or answered with NaN or infinity.

        """
        return self.complete_batch([RgbdFrame(rgb, depth)])[0]

    def complete_batch(self, frames: Sequence[RgbdFrame]) -> list[Completion]:
        """
        Complete several frames, of equal or different sizes, in one inference.

        Each result's ``infer`` time is its share of the common inference. Raises EngineError.
        """
        if not frames:
            return []
        info = self.engine.info
        count = len(frames)
        rgb = self._buffers.take((count, 3, info.height, info.width))
        depth = self._buffers.take((count, 1, info.height, info.width))
        fitted = [
            self._fit(frame, rgb_input, depth_input[0])
            for frame, rgb_input, depth_input in zip(frames, rgb, depth, strict=True)
        ]
        start = perf_counter()
        prediction = self.engine.infer(rgb, depth)
        check_prediction(prediction, depth.shape)
        infer_ms = (perf_counter() - start) * 1e3 / count
        return [
            self._finisher.finish(
                frame, prediction, index, infer_ms, self.settings, self.depth_range
            )
            for index, frame in enumerate(fitted)
        ]

    def begin(self) -> None:
        """Forget earlier frames, as before another recording: nothing is smoothed with them."""
        self._finisher.begin()

    def close(self) -> None:
        """Release the engine."""
        self.engine.close()

    def __enter__(self) -> Completer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fit(self, frame: RgbdFrame, rgb: np.ndarray, depth: np.ndarray) -> FittedFrame:
        fitted = fit_frame(frame, self.depth_range, self.settings, rgb, depth, self._buffers)
        if not fitted.count and not self._warned:
            fault = out_of_range(frame.depth, *self.depth_range)
            self._warned = bool(fault)
            if fault:
                _LOG.warning('nothing is completed: %s', fault)
        return fitted
