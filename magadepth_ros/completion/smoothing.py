# SPDX-License-Identifier: Apache-2.0
"""Steady fills: a running mean over the frames of a camera, for as long as nothing moves."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers
from magadepth_ros.completion.confidence import HALF_AT
from magadepth_ros.completion.fit import Geometry

LONGEST_GAP_NS = 500_000_000
"""Frames farther apart than this [ns] do not follow each other."""

DEVIATIONS = 2.0
"""A depth that differs from the mean by so many expected errors, and 2 %, is a new one."""

PICTURE_NOISE = 8
"""Levels of 255 by which the mean of 3x3 pixels changes where nothing moves."""

MOVING_CAMERA = 0.5
"""Share of the picture that changes where the camera moves, so that no pixel stays."""

STREAMS = 16
"""Cameras that are remembered."""


@dataclass
class _History:
    # What is kept of a camera's last frame, all (h, w) at the network's size; `count` are the
    # frames in `mean` before it, fewer where they were doubtful.
    geo: Geometry
    stamp_ns: int
    rgb: np.ndarray
    missing: np.ndarray
    mean: np.ndarray
    count: np.ndarray

    def precedes(self, stamp_ns: int) -> bool:
        return 0 <= stamp_ns - self.stamp_ns <= LONGEST_GAP_NS


class TemporalSmoothing:
    """
    Averages what is filled over the frames of each camera, which never mix.

    The mean of a pixel begins anew where its picture has changed, where its depth is a new one,
    and where it was measured in the frame before; the whole image does so while the camera moves,
    after a jump of time and at another size. What the mean weighs falls with its distance from the
    new depth, so that a slow motion is not held up.
    """

    def __init__(self, buffers: Buffers | None = None) -> None:
        self._buffers = buffers or Buffers()
        self._histories: dict[str, _History] = {}

    def forget(self, stream: str) -> None:
        """Begin anew with the next frame of a camera."""
        self._histories.pop(stream, None)

    def smooth(
        self,
        predicted: np.ndarray,
        confidence: np.ndarray,
        missing: np.ndarray,
        rgb: np.ndarray,
        *,
        weight: float,
        geo: Geometry,
        stream: str = '',
        stamp_ns: int = 0,
    ) -> np.ndarray:
        """
        Add a frame of a camera, and return its depth with steady fills.

        Parameters
        ----------
        predicted:
            (h, w) float32 metres, complete and positive.
        confidence:
            (h, w) float32, 0..1; 0.5 stands for an expected error of 2 %.
        missing:
            (h, w) uint8, 255 where nothing was measured; the rest is left alone.
        rgb:
            (h, w, 3) uint8 RGB at the same pixels.
        weight:
            largest weight of the mean of before, 0 up to below 1.
        geo:
            how the sensor's image lies in these pixels.
        stream:
            name of the camera.
        stamp_ns:
            when the picture was taken [ns]; 0 throughout where it is not known.

        Returns
        -------
        np.ndarray
            (h, w) float32 metres; ``predicted`` to the bit where it is not ``missing``.

        """
        last = self._histories.pop(stream, None)
        mean, count = predicted.copy(), np.zeros(predicted.shape, np.float32)
        if last is not None and last.geo == geo and last.precedes(stamp_ns):
            trusted = self._unmoved(last, rgb, missing)
            if trusted is not None:
                mean, count = self._averaged(last, predicted, confidence, trusted, weight)
        self._histories[stream] = _History(geo, stamp_ns, rgb.copy(), missing, mean, count)
        if len(self._histories) > STREAMS:
            self.forget(next(iter(self._histories)))
        return mean

    def _unmoved(self, last: _History, rgb: np.ndarray, missing: np.ndarray) -> np.ndarray | None:
        # 255 where a pixel is missing as before and shows what it showed; None: the camera moves.
        change = cv2.split(cv2.absdiff(rgb, last.rgb))
        largest = cv2.blur(cv2.max(cv2.max(change[0], change[1]), change[2]), (3, 3))
        same = cv2.compare(largest, PICTURE_NOISE, cv2.CMP_LE)
        if cv2.countNonZero(same) < (1 - MOVING_CAMERA) * same.size:
            return None
        return cv2.bitwise_and(cv2.bitwise_and(same, missing), last.missing)

    def _averaged(
        self,
        last: _History,
        predicted: np.ndarray,
        confidence: np.ndarray,
        trusted: np.ndarray,
        weight: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        take = self._buffers.take
        step, trust, mean, count = (take(predicted.shape) for _ in range(4))
        cv2.subtract(last.mean, predicted, dst=step)
        # The limit is 2 % and `DEVIATIONS` times sigma, which is 2 % * (1 / confidence - 1).
        cv2.divide(DEVIATIONS * HALF_AT, confidence, dst=trust)
        cv2.add(trust, (1 - DEVIATIONS) * HALF_AT, dst=trust)
        cv2.multiply(trust, predicted, dst=trust)
        cv2.max(trust, 1e-6, dst=trust)
        cv2.divide(step, trust, dst=trust)
        cv2.multiply(trust, trust, dst=trust, scale=-1)
        cv2.add(trust, 1, dst=trust)
        cv2.max(trust, 0, dst=trust)
        cv2.add(last.count, 1, dst=mean)
        cv2.min(mean, weight / (1 - weight), dst=mean)
        cv2.multiply(mean, trust, dst=trust)
        count.fill(0)
        cv2.copyTo(trust, trusted, count)
        cv2.add(count, 1, dst=mean)
        cv2.divide(count, mean, dst=mean)
        cv2.multiply(mean, step, dst=mean)
        cv2.add(mean, predicted, dst=mean)
        return mean, count
