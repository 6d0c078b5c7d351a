# SPDX-License-Identifier: Apache-2.0
"""Bring any camera's RGB and depth to the fixed input of an engine, and say where pixels went."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers

SAME_SURFACE = 0.02
"""Relative depth step up to which two neighbouring pixels are taken for one surface."""

STRETCH_LIMIT = 0.06
"""Difference of aspect ratios below which the image is stretched instead of letterboxed."""

_TO_UNIT = np.float32(1.0 / 255.0)


@dataclass(frozen=True)
class Geometry:
    """
    Where the pixels of a sensor of ``sensor_height`` x ``sensor_width`` lie in the engine's input.

    The whole sensor image is shown in the rectangle ``top, left, inner_height, inner_width`` of
    the ``height`` x ``width`` input, so that every pixel of the camera gets a prediction.
    Coordinates are pixel coordinates with the centre of the first pixel at 0.
    """

    sensor_height: int
    sensor_width: int
    height: int
    width: int
    top: int
    left: int
    inner_height: int
    inner_width: int

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the input that show the sensor's image."""
        return (
            slice(self.top, self.top + self.inner_height),
            slice(self.left, self.left + self.inner_width),
        )

    @property
    def padded(self) -> bool:
        """Whether some of the input shows nothing of the sensor."""
        return (self.inner_height, self.inner_width) != (self.height, self.width)


@lru_cache(maxsize=32)
def geometry(sensor_height: int, sensor_width: int, height: int, width: int) -> Geometry:
    """
    Choose how a sensor's image lies in the engine's input.

    Nearly the same aspect ratio is stretched to the full input; otherwise the image keeps its
    ratio and stands centred between two bars (letterbox). Nothing is ever cropped.
    """
    scale = min(height / sensor_height, width / sensor_width)
    ratio = (sensor_width / sensor_height) / (width / height)
    if abs(np.log(ratio)) <= STRETCH_LIMIT:
        inner_height, inner_width = height, width
    else:
        inner_height = min(height, max(1, round(sensor_height * scale)))
        inner_width = min(width, max(1, round(sensor_width * scale)))
    return Geometry(
        sensor_height,
        sensor_width,
        height,
        width,
        (height - inner_height) // 2,
        (width - inner_width) // 2,
        inner_height,
        inner_width,
    )


def fit_rgb(rgb: np.ndarray, geo: Geometry, out: np.ndarray) -> np.ndarray:
    """
    Shrink an RGB image by area averaging into one slot of an engine's input.

    Parameters
    ----------
    rgb:
        (H, W, 3) uint8 RGB.
    geo:
        from `geometry` for this size.
    out:
        (3, height, width) float32, filled with 0..1; bars repeat the image's border.

    Returns
    -------
    np.ndarray
        (inner_height, inner_width, 3) uint8, the small picture itself.

    """
    size = (geo.inner_width, geo.inner_height)
    small = rgb
    # Exact halves first: averaging areas that share pixels costs much more than whole ones.
    while small.shape[0] >= 2 * geo.inner_height and small.shape[1] >= 2 * geo.inner_width:
        half = (small.shape[1] // 2, small.shape[0] // 2)
        small = cv2.resize(small, half, interpolation=cv2.INTER_AREA)
    if small.shape[:2] != (geo.inner_height, geo.inner_width):
        shrinks = geo.inner_width <= geo.sensor_width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        small = cv2.resize(small, size, interpolation=method)
    shown = small
    if geo.padded:
        bottom = geo.height - geo.top - geo.inner_height
        right = geo.width - geo.left - geo.inner_width
        shown = cv2.copyMakeBorder(small, geo.top, bottom, geo.left, right, cv2.BORDER_REPLICATE)
    for channel, plane in zip(cv2.split(shown), out, strict=True):
        np.multiply(_TO_UNIT, channel, out=plane, dtype=np.float32)
    return small


def fit_depth(
    depth: np.ndarray, geo: Geometry, out: np.ndarray, buffers: Buffers | None = None
) -> np.ndarray:
    """
    Shrink a depth image with holes into one slot of an engine's input.

    A missing pixel never changes a valid one, and pixels on two sides of a depth edge are never
    averaged: each small pixel is the median of the valid pixels under it, the nearer of the two
    middle ones where these belong to different surfaces.

    Parameters
    ----------
    depth:
        (H, W) float32 metres, exactly 0 = missing, finite.
    geo:
        from `geometry` for this size.
    out:
        (height, width) float32, filled with metres, 0 = missing (bars too).
    buffers:
        where temporary images come from.

    Returns
    -------
    np.ndarray
        the part of ``out`` that shows the sensor, (inner_height, inner_width).

    """
    buffers = buffers or Buffers()
    inner = out[geo.inner]
    if geo.padded:
        out.fill(0.0)
    halvings = 0
    while depth.shape[0] > 2 * geo.inner_height and depth.shape[1] > 2 * geo.inner_width:
        depth = halve_depth(depth, buffers)
        halvings += 1
    grows = depth.shape[0] <= geo.inner_height and depth.shape[1] <= geo.inner_width
    wanted = inner.shape if grows else (2 * inner.shape[0], 2 * inner.shape[1])
    if depth.shape != wanted:
        nearest = buffers.take(wanted)
        index = _nearest(geo, halvings, depth.shape, wanted)
        np.take(depth.ravel(), index, out=nearest, mode='clip')
        depth = nearest
    inner[...] = depth if grows else halve_depth(depth, buffers)
    return inner


def halve_depth(depth: np.ndarray, buffers: Buffers | None = None) -> np.ndarray:
    """
    Halve a depth image's size by the median of the valid pixels of each 2x2 cell.

    (H, W) float32 metres, 0 = missing -> (ceil(H/2), ceil(W/2)), the same.
    """
    buffers = buffers or Buffers()
    if depth.shape[0] % 2 or depth.shape[1] % 2:
        depth = np.pad(depth, ((0, depth.shape[0] % 2), (0, depth.shape[1] % 2)))
    shape = (depth.shape[0] // 2, depth.shape[1] // 2)
    first, second, third, fourth, spare, swap = (buffers.take(shape) for _ in range(6))
    a, b, c, d = depth[0::2, 0::2], depth[0::2, 1::2], depth[1::2, 0::2], depth[1::2, 1::2]
    # Sorted from far to near, the missing ones (0) gather at the end by themselves.
    np.maximum(a, b, out=first)
    np.minimum(a, b, out=second)
    np.maximum(c, d, out=third)
    np.minimum(c, d, out=fourth)
    np.minimum(first, third, out=spare)
    np.maximum(first, third, out=first)
    np.maximum(second, fourth, out=swap)
    np.minimum(second, fourth, out=fourth)
    np.maximum(spare, swap, out=second)
    np.minimum(spare, swap, out=third)
    # The two middle ones of the valid ones; a single middle one stands for both.
    near, far = spare, swap
    np.copyto(near, first)
    np.copyto(near, second, where=second > 0)
    np.copyto(near, third, where=fourth > 0)
    np.copyto(far, first)
    np.copyto(far, second, where=third > 0)
    np.subtract(far, near, out=far)
    np.multiply(near, np.float32(SAME_SURFACE), out=third)
    far *= np.float32(0.5)
    np.add(near, far, out=near, where=far <= 0.5 * third)
    return near


@lru_cache(maxsize=32)
def _nearest(
    geo: Geometry, halvings: int, shape: tuple[int, int], wanted: tuple[int, int]
) -> np.ndarray:
    # Flat indices, into an image halved so often, of the pixels nearest to ``wanted`` centres.
    def along(count: int, sensor: int, available: int) -> np.ndarray:
        centres = (np.arange(count) + 0.5) * (sensor / count / 2**halvings)
        # Of two equally near pixels the one towards the middle, so that nothing shifts.
        towards = np.where(np.arange(count) < count / 2, 1e-6, -1e-6)
        return np.minimum(np.floor(centres + towards).astype(np.intp), available - 1)

    rows = along(wanted[0], geo.sensor_height, shape[0])
    columns = along(wanted[1], geo.sensor_width, shape[1])
    return rows[:, None] * shape[1] + columns
