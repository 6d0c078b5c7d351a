# SPDX-License-Identifier: Apache-2.0
"""Temporal smoothing: a running mean of fills over the frames of a camera while nothing moves."""

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
"""Number of expected errors that a depth may differ from the mean, beside 2 % of the depth."""

PICTURE_NOISE = 8
"""Largest change of the mean of 3x3 pixels without motion [levels of 255]."""

MOVING_CAMERA = 0.5
"""Changed share of the picture from which on the camera counts as moving."""

STREAMS = 16
"""Largest number of cameras whose last frame is kept."""


@dataclass
class _History:
    # The last frame of a camera, all (h, w) at the network's size. `count` is the number of
    # earlier frames in `mean`; doubtful frames count less.
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
    Averages filled depth over the frames of each camera; cameras never mix.

    The mean of a pixel begins anew where its picture or its depth has changed, and where the pixel
    was measured in the frame before. The mean of the whole image begins anew while the camera
    moves, after a jump of time and at another size. The weight of the mean falls with its distance
    to the new depth, so that it does not lag behind a slow motion.
    """

    def __init__(self, buffers: Buffers | None = None) -> None:
        self._buffers = buffers or Buffers()
        self._histories: dict[str, _History] = {}

    def forget(self, stream: str | None = None) -> None:
        """Forget the frames of a camera; of all cameras without a name."""
        for name in [*self._histories] if stream is None else [stream]:
            self._histories.pop(name, None)

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
        Add a frame of a camera, and return its depth with smoothed fills.

        Parameters
        ----------
        predicted:
            (h, w) float32 metres, complete and positive.
        confidence:
            (h, w) float32, 0..1; 0.5 stands for an expected error of 2 %.
        missing:
            (h, w) uint8, 255 where nothing was measured; other pixels are not changed.
        rgb:
            (h, w, 3) uint8 RGB at the same pixels.
        weight:
            largest weight of the earlier mean, from 0 to below 1.
        geo:
            the place of the sensor's image in the engine's input.
        stream:
            name of the camera.
        stamp_ns:
            time of the image [ns]; always 0 where it is not known.

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
        # 255 where a pixel is missing as in the frame before and its picture has not changed; None
        # while the camera moves.
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
