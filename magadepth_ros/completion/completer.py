# SPDX-License-Identifier: Apache-2.0
"""Complete depth images with an engine: fit, infer, restore, merge, each step timed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers
from magadepth_ros.completion.confidence import (
    confidence_from_distance,
    confidence_from_log_variance,
)
from magadepth_ros.completion.fit import Geometry, fit_depth, fit_rgb, geometry, shrink
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.merge import merge
from magadepth_ros.completion.outliers import find_suspects, refute
from magadepth_ros.completion.restore import follow_measured, restore_depth, restore_smooth
from magadepth_ros.completion.settings import CompletionSettings
from magadepth_ros.completion.smoothing import TemporalSmoothing
from magadepth_ros.completion.units import out_of_range
from magadepth_ros.engines.engine import Engine, Prediction, check_prediction
from magadepth_ros.errors import DataError

_LOG = logging.getLogger(__name__)

_REACH = np.ones((15, 15), np.uint8)
# The small pixels that have a part in what is restored of the middle one: 7 to each side, of
# interpolation (3), window (2) and range (2).


@dataclass
class Completion:
    """
    One completed depth image.

    Attributes
    ----------
    depth:
        (H, W) float32 metres, NaN = unknown.
    confidence:
        (H, W) float32, 0..1; 1 where a measurement was kept, 0 where the depth is unknown.
    filled:
        (H, W) bool, was missing and is now known.
    measured_share:
        share of the pixels that came with a usable measurement, 0..1; at 0 the prediction has
        nothing metric to hold on to.
    unknown_share:
        share of the pixels whose depth is unknown, 0..1.
    timings:
        milliseconds per stage: fit, infer, restore, confidence, merge.

    """

    depth: np.ndarray
    confidence: np.ndarray
    filled: np.ndarray
    measured_share: float
    unknown_share: float
    timings: dict[str, float] = field(default_factory=dict)


class Completer:
    """
    Completes depth images of any size with one engine; used from one thread at a time.

    >>> completer = Completer.open('models/guided_fill.onnx')     # doctest: +SKIP
    >>> completer.complete(rgb, depth).depth                          # doctest: +SKIP
    """

    def __init__(self, engine: Engine, settings: CompletionSettings | None = None) -> None:
        self.engine = engine
        self._buffers = Buffers()
        self._smoothing = TemporalSmoothing(self._buffers)
        try:
            self.settings = settings or CompletionSettings()
        except DataError:
            engine.close()
            raise
        self._warned = False
        self._rgb = np.zeros((0, 3, engine.info.height, engine.info.width), np.float32)
        self._depth = np.zeros((0, 1, engine.info.height, engine.info.width), np.float32)

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
            frames in one inference that the engine is prepared for: as many as are given to
            `complete_batch`; another number costs a preparation once.
        settings:
            what is done with a prediction; None = the defaults of `CompletionSettings`, which has
            the depth range [m] and the rest.

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
        """What is done with a prediction; setting it raises DataError where no depth is left."""
        return self._settings

    @settings.setter
    def settings(self, settings: CompletionSettings) -> None:
        settings.depth_range(self.engine.info)
        if not settings.temporal_smoothing:
            self._smoothing = TemporalSmoothing(self._buffers)
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
            (H, W) float32 metres; 0, NaN, inf and anything outside the range = missing. Where
            all is, nothing is filled, and the log warns once where there were values.

        Raises
        ------
        DataError
            the arrays are not of this form, or differ in shape.
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
        self._reserve(count)
        fitted = [
            self._fit(frame, self._rgb[i], self._depth[i, 0]) for i, frame in enumerate(frames)
        ]
        start = perf_counter()
        prediction = self.engine.infer(self._rgb[:count], self._depth[:count])
        check_prediction(prediction, (count, 1, info.height, info.width))
        infer_ms = (perf_counter() - start) * 1e3 / count
        return [self._finish(frame, prediction, i, infer_ms) for i, frame in enumerate(fitted)]

    def close(self) -> None:
        """Release the engine."""
        self.engine.close()

    def __enter__(self) -> Completer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reserve(self, count: int) -> None:
        if len(self._rgb) < count:
            self._rgb = np.zeros((count, *self._rgb.shape[1:]), np.float32)
            self._depth = np.zeros((count, *self._depth.shape[1:]), np.float32)

    def _fit(self, frame: RgbdFrame, rgb_input: np.ndarray, depth_input: np.ndarray) -> _Fitted:
        start = perf_counter()
        rgb, depth = frame.rgb, frame.depth
        low, high = self.depth_range
        take = self._buffers.take
        # 0 is a sensor's sign for missing even where the range starts at 0; NaN fails every
        # comparison, so it is outside too.
        valid = np.greater_equal(depth, max(low, 1e-6), out=take(depth.shape, np.bool_))
        valid &= np.less_equal(depth, high, out=take(depth.shape, np.bool_))
        measured, count = depth, int(np.count_nonzero(valid))
        # Most cameras write 0 for all that is missing: then there is nothing to take out.
        if count < cv2.countNonZero(depth):
            measured = take(depth.shape)
            measured.fill(0.0)
            cv2.copyTo(depth, valid.view(np.uint8), measured)
        if not count and not self._warned:
            fault = out_of_range(depth, low, high)
            self._warned = bool(fault)
            if fault:
                _LOG.warning('nothing is completed: %s', fault)
        suspects, shown = None, measured
        if self.settings.replace_outliers:
            suspects = find_suspects(measured, valid, self.settings.outlier_tolerance)
            # What a prediction was made from it never contradicts.
            shown = np.where(suspects, np.float32(0.0), measured)
            if not shown.any():
                suspects, shown = None, measured
        info = self.engine.info
        geo = geometry(*depth.shape, info.height, info.width)
        small_rgb = fit_rgb(rgb, geo, rgb_input)
        small_depth = fit_depth(shown, geo, depth_input, self._buffers)
        fit_ms = (perf_counter() - start) * 1e3
        return _Fitted(
            frame, measured, valid, count, suspects, geo, small_rgb, small_depth, fit_ms
        )

    def _finish(
        self, frame: _Fitted, prediction: Prediction, index: int, infer_ms: float
    ) -> Completion:
        settings, geo = self.settings, frame.geo
        start = perf_counter()
        predicted = np.ascontiguousarray(prediction.depth[index, 0][geo.inner])
        if prediction.log_variance is not None:
            small = confidence_from_log_variance(
                prediction.log_variance[index, 0][geo.inner], predicted
            )
        else:
            small = confidence_from_distance(frame.small_depth)
        confidence = restore_smooth(
            small, frame.valid.shape, self._buffers.take(frame.valid.shape)
        )
        confident_at = perf_counter()
        followed = predicted
        if settings.keep_measured:
            followed = follow_measured(predicted, frame.small_depth)
        if settings.temporal_smoothing:
            followed = self._smoothed(frame, followed, small)
        restored = restore_depth(
            followed, frame.small_rgb, frame.rgbd.rgb, self._to_restore(frame), self._buffers
        )
        restored_at = perf_counter()
        valid = frame.valid
        known = self._all_known(followed, small)
        if not frame.count:
            # A picture alone has no metres: a guess would be an obstacle that is not there.
            restored.fill(np.nan)
            known = False
        if frame.suspects is not None:
            tolerance = settings.outlier_tolerance
            valid = valid & ~refute(frame.suspects, frame.measured, restored, tolerance)
        depth, confidence, filled, unknown = merge(
            frame.measured,
            valid,
            restored,
            confidence,
            None if known else self.depth_range,
            settings.keep_measured,
            settings.confidence_threshold,
            self._buffers,
        )
        merged_at = perf_counter()
        return Completion(
            depth,
            confidence,
            filled,
            frame.count / valid.size,
            unknown / valid.size,
            {
                'fit': frame.fit_ms,
                'infer': infer_ms,
                'restore': (restored_at - confident_at) * 1e3,
                'confidence': (confident_at - start) * 1e3,
                'merge': (merged_at - restored_at) * 1e3,
            },
        )

    def _smoothed(
        self, frame: _Fitted, followed: np.ndarray, confidence: np.ndarray
    ) -> np.ndarray:
        stream = frame.rgbd.stream
        if not frame.count:
            self._smoothing.forget(stream)
            return followed
        missing = cv2.compare(frame.small_depth, 0, cv2.CMP_LE)
        if frame.suspects is not None:
            # What decides on a measured pixel is this frame alone.
            suspects = shrink(np.negative(frame.suspects.view(np.uint8)), missing.shape)
            missing[cv2.dilate(suspects, _REACH) > 0] = 0
        return self._smoothing.smooth(
            followed,
            confidence,
            missing,
            frame.small_rgb,
            weight=self.settings.temporal_smoothing,
            geo=frame.geo,
            stream=stream,
            stamp_ns=frame.rgbd.stamp_ns,
        )

    def _to_restore(self, frame: _Fitted) -> np.ndarray | None:
        # Where a prediction may leave; None for everywhere. What is kept needs no sharp edges.
        if not self.settings.keep_measured:
            return None
        missing = np.logical_not(frame.valid, out=self._buffers.take(frame.valid.shape, np.bool_))
        if frame.suspects is not None:
            missing |= frame.suspects
        return missing

    def _all_known(self, predicted: np.ndarray, confidence: np.ndarray) -> bool:
        # Whether all of a small prediction may leave: then all that is made of it may, as nothing
        # of it goes beyond its range but by rounding.
        low, high = self.depth_range
        return bool(
            predicted.min() > max(low, 1e-6) * (1 + 1e-5)
            and predicted.max() < high * (1 - 1e-5)
            and confidence.min() > self.settings.confidence_threshold * (1 + 1e-5)
        )


@dataclass
class _Fitted:
    # What is kept of a pair between fit and merge.
    rgbd: RgbdFrame
    measured: np.ndarray
    valid: np.ndarray
    count: int
    suspects: np.ndarray | None
    geo: Geometry
    small_rgb: np.ndarray
    small_depth: np.ndarray
    fit_ms: float
