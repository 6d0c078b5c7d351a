# SPDX-License-Identifier: Apache-2.0
"""Fit RGB and depth of any camera to the fixed input size of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log2

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers

SAME_SURFACE = 0.02
"""Relative depth step up to which two neighbouring pixels are taken for one surface."""

STRETCH_LIMIT = 0.06
"""Largest logarithm of a stretch in width; images that need more are letterboxed."""

_TO_UNIT = np.float32(1.0 / 255.0)


@dataclass(frozen=True)
class Geometry:
    """
    The place of an image of ``sensor_height`` x ``sensor_width`` in the engine's input.

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
        """Whether the input has bars that show nothing of the sensor."""
        return (self.inner_height, self.inner_width) != (self.height, self.width)


@lru_cache(maxsize=32)
def geometry(sensor_height: int, sensor_width: int, height: int, width: int) -> Geometry:
    """
    Choose the place of a sensor's image in the engine's input.

    An image of nearly the input's aspect ratio is stretched to the full input. Any other image
    keeps its ratio and is centred between two bars (letterbox). Nothing is ever cropped.
    """
    scale = min(height / sensor_height, width / sensor_width)
    stretch = np.log((sensor_width / sensor_height) / (width / height))
    inner_height, inner_width = height, width
    # Even sizes between bars, so that a later halving has whole pixels.
    if stretch > STRETCH_LIMIT:
        inner_height = min(height, max(1, 2 * round(sensor_height * scale / 2)))
    elif stretch < -STRETCH_LIMIT:
        inner_width = min(width, max(1, 2 * round(sensor_width * scale / 2)))
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
    Shrink an RGB image by averages into one slot of an engine's input.

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
    small = shrink(rgb, (geo.inner_height, geo.inner_width))
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
    halvings = halvings_to(depth.shape, inner.shape)
    grid = (inner.shape[0] << halvings, inner.shape[1] << halvings)
    # INTER_NEAREST_EXACT takes the pixel with the nearest centre, so that the image does not
    # shift.
    depth = resized(depth, grid, cv2.INTER_NEAREST_EXACT)
    for _ in range(halvings):
        depth = halve_depth(depth, buffers)
    inner[...] = depth
    return inner


def halvings_to(large: tuple[int, ...], small: tuple[int, ...]) -> int:
    """Return how often an image can be halved from one size (rows, columns) to another."""
    shrinks = max(large[0] / small[0], large[1] / small[1])
    return max(1, round(log2(shrinks) - 0.2)) if shrinks > 1 else 0


def shrink(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring (H, W) or (H, W, C) to a smaller ``shape`` (rows, columns) by averages."""
    halvings = halvings_to(image.shape, shape)
    # Halving averages whole pixels, which is cheap; areas of parts of pixels cost much more.
    for _ in range(halvings - 1):
        image = resized(image, (image.shape[0] // 2, image.shape[1] // 2), cv2.INTER_AREA)
    if halvings:
        image = resized(image, (2 * shape[0], 2 * shape[1]), cv2.INTER_LINEAR)
    return resized(image, shape, cv2.INTER_AREA if halvings else cv2.INTER_LINEAR)


def resized(image: np.ndarray, shape: tuple[int, int], method: int) -> np.ndarray:
    """Scale (H, W) or (H, W, C) to ``shape`` (rows, columns), if it has another shape."""
    if image.shape[:2] == shape:
        return image
    return cv2.resize(image, (shape[1], shape[0]), interpolation=method)


def halve_depth(depth: np.ndarray, buffers: Buffers | None = None) -> np.ndarray:
    """
    Halve a depth image's size by the median of the valid pixels of each 2x2 cell.

    (2h, 2w) float32 metres, contiguous, 0 = missing -> (h, w), the same.
    """
    buffers = buffers or Buffers()
    rows, columns = depth.shape[0], depth.shape[1] // 2
    left, right, far, near = (buffers.take((rows, columns)) for _ in range(4))
    cv2.split(depth.reshape(rows, columns, 2), [left, right])
    cv2.max(left, right, dst=far)
    cv2.min(left, right, dst=near)
    # Sorted from far to near, so that missing pixels (0) come last.
    shape = (rows // 2, columns)
    first, second, third, fourth, spare = (buffers.take(shape) for _ in range(5))
    cv2.min(far[0::2], far[1::2], dst=third)
    cv2.max(near[0::2], near[1::2], dst=spare)
    cv2.max(far[0::2], far[1::2], dst=first)
    cv2.max(third, spare, dst=second)
    cv2.min(third, spare, dst=third)
    cv2.min(near[0::2], near[1::2], dst=fourth)
    # The two middle values of the valid pixels; of an odd number, the middle value twice.
    near, far = spare, first
    np.copyto(near, first)
    _copy_where(second, second, near)
    _copy_where(second, third, far)
    _copy_where(third, fourth, near)
    cv2.subtract(far, near, dst=far)
    np.multiply(near, np.float32(SAME_SURFACE), out=third)
    same = np.less_equal(far, third, out=buffers.take(shape, np.bool_)).view(np.uint8)
    cv2.scaleAdd(far, 0.5, near, dst=far)
    cv2.copyTo(far, same, near)
    return near


def _copy_where(source: np.ndarray, positive: np.ndarray, target: np.ndarray) -> None:
    cv2.copyTo(source, np.greater(positive, 0).view(np.uint8), target)
