# SPDX-License-Identifier: Apache-2.0
"""One frame fitted to an engine, with the data that restore the answer to the frame's size."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers
from magadepth_ros.completion.fit import Geometry, fit_depth, fit_rgb, geometry, shrink
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.outliers import find_suspects
from magadepth_ros.completion.settings import CompletionSettings

_REACH = np.ones((15, 15), np.uint8)
# The small pixels on which the restored depth of the middle one depends: 7 to each side, by
# interpolation (3), window (2) and range (2).


@dataclass
class FittedFrame:
    """
    The data of a frame between fit and merge.

    Attributes
    ----------
    frame:
        the frame of the sensor.
    measured:
        (H, W) float32 metres, 0 where nothing usable was measured.
    valid:
        (H, W) bool, True at usable measurements; ``count`` is their number.
    suspects:
        (H, W) bool, suspected outliers, hidden from the engine; None without any.
    geo:
        the place of the sensor's image in the engine's input.
    small_rgb, small_depth:
        the engine's input, without bars.
    fit_ms:
        milliseconds of the fit.

    """

    frame: RgbdFrame
    measured: np.ndarray
    valid: np.ndarray
    count: int
    suspects: np.ndarray | None
    geo: Geometry
    small_rgb: np.ndarray
    small_depth: np.ndarray
    fit_ms: float

    def missing(self, buffers: Buffers) -> np.ndarray:
        """Return (H, W) bool: True where nothing usable was measured, and at suspects."""
        missing = np.logical_not(self.valid, out=buffers.take(self.valid.shape, np.bool_))
        if self.suspects is not None:
            missing |= self.suspects
        return missing

    def unmeasured(self) -> np.ndarray:
        """Return (h, w) uint8: 255 where nothing was measured and no suspect is near, else 0."""
        missing = cv2.compare(self.small_depth, 0, cv2.CMP_LE)
        if self.suspects is not None:
            # Only this frame decides on a measured pixel, so no smoothing there.
            suspects = shrink(np.negative(self.suspects.view(np.uint8)), missing.shape)
            missing[cv2.dilate(suspects, _REACH) > 0] = 0
        return missing


def fit_frame(
    frame: RgbdFrame,
    depth_range: tuple[float, float],
    settings: CompletionSettings,
    rgb_input: np.ndarray,
    depth_input: np.ndarray,
    buffers: Buffers,
) -> FittedFrame:
    """
    Write a frame into one slot of an engine's input.

    Parameters
    ----------
    frame:
        the frame of the sensor.
    depth_range:
        nearest and farthest depth that is used [m].
    settings:
        whether outliers are removed, and their tolerance.
    rgb_input, depth_input:
        (3, height, width) 0..1 and (height, width) metres, 0 = missing; float32, both filled.
    buffers:
        pool of the images, which live until the next frame.

    """
    start = perf_counter()
    depth, (low, high) = frame.depth, depth_range
    # 0 means missing even where the range starts at 0; NaN fails every comparison, so it is
    # outside too.
    valid = np.greater_equal(depth, max(low, 1e-6), out=buffers.take(depth.shape, np.bool_))
    valid &= np.less_equal(depth, high, out=buffers.take(depth.shape, np.bool_))
    measured, count = depth, int(np.count_nonzero(valid))
    # Most cameras write 0 for all missing pixels; then nothing has to be set to 0.
    if count < cv2.countNonZero(depth):
        measured = buffers.take(depth.shape)
        measured.fill(0.0)
        cv2.copyTo(depth, valid.view(np.uint8), measured)
    suspects, shown = None, measured
    if settings.replace_outliers:
        suspects = find_suspects(measured, valid, settings.outlier_tolerance)
        # A prediction never contradicts the measurements that it was made from.
        shown = np.where(suspects, np.float32(0.0), measured)
        if not shown.any():
            suspects, shown = None, measured
    geo = geometry(*depth.shape, *depth_input.shape)
    small_rgb = fit_rgb(frame.rgb, geo, rgb_input)
    small_depth = fit_depth(shown, geo, depth_input, buffers)
    fit_ms = (perf_counter() - start) * 1e3
    return FittedFrame(
        frame, measured, valid, count, suspects, geo, small_rgb, small_depth, fit_ms
    )
