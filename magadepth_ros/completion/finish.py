# SPDX-License-Identifier: Apache-2.0
"""Make a completed depth image of an engine's answer: restore, confidence, smooth, merge."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from magadepth_ros.completion.buffers import Buffers
from magadepth_ros.completion.confidence import (
    confidence_from_distance,
    confidence_from_log_variance,
)
from magadepth_ros.completion.fitted import FittedFrame
from magadepth_ros.completion.merge import merge
from magadepth_ros.completion.outliers import refute
from magadepth_ros.completion.restore import follow_measured, restore_depth, restore_smooth
from magadepth_ros.completion.settings import CompletionSettings
from magadepth_ros.completion.smoothing import TemporalSmoothing
from magadepth_ros.engines.engine import Prediction


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
        share of the pixels with a usable measurement, 0..1; at 0 nothing is filled.
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


class Finisher:
    """Makes completed images of predictions; it keeps the last frame of each camera to smooth."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self._smoothing = TemporalSmoothing(buffers)

    def begin(self) -> None:
        """Forget earlier frames of all cameras: nothing is smoothed with them."""
        self._smoothing.forget()

    def finish(
        self,
        fitted: FittedFrame,
        prediction: Prediction,
        index: int,
        infer_ms: float,
        settings: CompletionSettings,
        depth_range: tuple[float, float],
    ) -> Completion:
        """
        Make the completed image of frame ``index`` of a batch.

        Parameters
        ----------
        fitted:
            the frame, fitted to the engine's input.
        prediction:
            the engine's answer for the batch.
        infer_ms:
            the frame's share of the inference [ms].
        settings, depth_range:
            how the prediction is used, and the plausible range [m].

        """
        geo = fitted.geo
        start = perf_counter()
        predicted = np.ascontiguousarray(prediction.depth[index, 0][geo.inner])
        if prediction.log_variance is not None:
            small = confidence_from_log_variance(
                prediction.log_variance[index, 0][geo.inner], predicted
            )
        else:
            small = confidence_from_distance(fitted.small_depth)
        confidence = restore_smooth(
            small, fitted.valid.shape, self._buffers.take(fitted.valid.shape)
        )
        confident_at = perf_counter()
        followed = predicted
        if settings.keep_measured:
            followed = follow_measured(predicted, fitted.small_depth)
        if settings.temporal_smoothing:
            followed = self._smoothed(fitted, followed, small, settings.temporal_smoothing)
        # Kept measurements need no sharp edges of the prediction.
        where = fitted.missing(self._buffers) if settings.keep_measured else None
        restored = restore_depth(
            followed, fitted.small_rgb, fitted.frame.rgb, where, self._buffers
        )
        restored_at = perf_counter()
        valid = fitted.valid
        known = _all_known(followed, small, depth_range, settings.confidence_threshold)
        if not fitted.count:
            # Without any measurement a network cannot know the scale: its guess could be a phantom
            # obstacle.
            restored.fill(np.nan)
            known = False
        if fitted.suspects is not None:
            tolerance = settings.outlier_tolerance
            valid = valid & ~refute(fitted.suspects, fitted.measured, restored, tolerance)
        depth, confidence, filled, unknown = merge(
            fitted.measured,
            valid,
            restored,
            confidence,
            None if known else depth_range,
            settings.keep_measured,
            settings.confidence_threshold,
            self._buffers,
        )
        merged_at = perf_counter()
        return Completion(
            depth,
            confidence,
            filled,
            fitted.count / valid.size,
            unknown / valid.size,
            {
                'fit': fitted.fit_ms,
                'infer': infer_ms,
                'restore': (restored_at - confident_at) * 1e3,
                'confidence': (confident_at - start) * 1e3,
                'merge': (merged_at - restored_at) * 1e3,
            },
        )

    def _smoothed(
        self, fitted: FittedFrame, followed: np.ndarray, confidence: np.ndarray, weight: float
    ) -> np.ndarray:
        stream = fitted.frame.stream
        if not fitted.count:
            self._smoothing.forget(stream)
            return followed
        return self._smoothing.smooth(
            followed,
            confidence,
            fitted.unmeasured(),
            fitted.small_rgb,
            weight=weight,
            geo=fitted.geo,
            stream=stream,
            stamp_ns=fitted.frame.stamp_ns,
        )


def _all_known(
    predicted: np.ndarray,
    confidence: np.ndarray,
    depth_range: tuple[float, float],
    threshold: float,
) -> bool:
    # Whether no pixel of a small prediction has to be dropped. The full-size prediction made of it
    # stays within its range, but for rounding, so no pixel of that has to be dropped either.
    low, high = depth_range
    return bool(
        predicted.min() > max(low, 1e-6) * (1 + 1e-5)
        and predicted.max() < high * (1 - 1e-5)
        and confidence.min() > threshold * (1 + 1e-5)
    )
