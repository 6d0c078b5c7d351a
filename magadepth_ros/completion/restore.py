# SPDX-License-Identifier: Apache-2.0
"""Enlarge an engine's small output to the sensor's pixels, with edges that follow the RGB."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers
from magadepth_ros.completion.fit import shrink

EXACT = 5e-4
"""A prediction whose largest distance to the measurements is below this [m] is not shifted."""

TRUSTED = 0.10
"""Relative distance between measurement and prediction that means another surface."""

EDGE = 0.10
"""Relative depth range within 3 small pixels that means two surfaces."""

WINDOW = 5
"""Half width of the window [small px] in which the two surfaces of an edge are estimated."""

COLOUR_WEIGHT = 0.20
"""
Largest move of the border between two surfaces by colour, as a share of the step.

The value is for an image many times the size of the prediction. At equal sizes it is 0, as the
network has already seen the colours at that size.
"""

COLOUR_SCALE = 16.0
"""Levels of brightness that tell two surfaces apart."""

GREEN = 1
"""The channel used as brightness: reading one costs a third of mixing three."""

SLOPE = np.float32(2.0)
"""Steepness of a restored edge; 1 would be a linear ramp."""

_PULL = np.float32(0.05)
_LEVELS = 6
_ROW = 256


def restore_smooth(
    small: np.ndarray, shape: tuple[int, int], out: np.ndarray | None = None
) -> np.ndarray:
    """Enlarge a field without edges of its own, (h, w) float32 -> ``shape``, bilinear."""
    return cv2.resize(small, (shape[1], shape[0]), dst=out, interpolation=cv2.INTER_LINEAR)


def restore_depth(
    predicted: np.ndarray,
    small_rgb: np.ndarray,
    rgb: np.ndarray,
    wanted: np.ndarray | None = None,
    buffers: Buffers | None = None,
) -> np.ndarray:
    """
    Enlarge a prediction to the sensor's pixels and sharpen its edges.

    Within a few pixels of a depth edge a prediction is a mixture of the two surfaces, and so is
    all depth interpolated from it: such points float in the air. There the depth of each surface
    is estimated from the pixels that clearly belong to it, and each pixel gets the depth of the
    surface that is nearer in interpolated depth and in colour.

    Parameters
    ----------
    predicted:
        (h, w) float32 metres, complete.
    small_rgb:
        (h, w, 3) uint8 RGB at the same pixels.
    rgb:
        (H, W, 3) uint8 RGB.
    wanted:
        (H, W) bool, where sharp edges are needed; None = everywhere.
    buffers:
        where the result and temporary images come from.

    Returns
    -------
    np.ndarray
        (H, W) float32 metres, complete, within the range of ``predicted``.

    """
    buffers = buffers or Buffers()
    shape = rgb.shape[:2]
    restored = restore_smooth(predicted, shape, buffers.take(shape))
    low, high = _range(predicted, predicted)
    cells = high - low > low * np.float32(EDGE)
    if wanted is not None:
        # As 0 and 255: no average of these is rounded to 0.
        cells &= shrink(np.negative(wanted.view(np.uint8)), cells.shape) > 0
    where = _pixels_of(cells, shape)
    if wanted is not None:
        where = where[wanted.ravel().take(where)]
    if not len(where):
        return restored
    sides = _sides(predicted, *_range(low, high), small_rgb)
    near, step, middle, contrast = _sampled(sides, where, shape)
    # -0.5..0.5 by depth, then moved towards the surface of the pixel's own brightness.
    side = restored.ravel().take(where)
    side -= near
    side /= np.maximum(step, np.float32(1e-6))
    side -= np.float32(0.5)
    weight = COLOUR_WEIGHT * max(0.0, 1.0 - len(predicted) / len(rgb))
    if weight:
        colour = rgb.ravel().take(where * np.int32(3) + np.int32(GREEN)) - middle
        colour *= contrast
        colour *= np.float32(weight / COLOUR_SCALE**2)
        np.clip(colour, -weight, weight, out=colour)
        side += colour
    side *= SLOPE
    side += np.float32(0.5)
    np.clip(side, 0.0, 1.0, out=side)
    side *= step
    side += near
    restored.ravel()[where.astype(np.intp)] = side
    return restored


def _range(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Minimum and maximum over 3 pixels of the minima and maxima: 3, then 5 pixels, `WINDOW`.
    kernel = np.ones((3, 3), np.uint8)
    return cv2.erode(low, kernel), cv2.dilate(high, kernel)


def _sides(
    predicted: np.ndarray, low: np.ndarray, high: np.ndarray, small_rgb: np.ndarray
) -> np.ndarray:
    # The two sides of an edge, (h/2, w/2, 4): depth of the near one, step to the far
    # one [m], middle of their brightness and step to that of the far one.
    far = predicted - low
    far /= np.maximum(high - low, np.float32(1e-6))
    # Away from 0 and 1: the power of a tiny number is denormal, and ten times slower.
    np.clip(far, 0.02, 0.98, out=far)
    near = np.float32(1.0) - far
    green = small_rgb[..., GREEN].astype(np.float32)
    far_depth, far_green = _means(far, predicted, green)
    near_depth, near_green = _means(near, predicted, green)
    middle = (far_green + near_green) * np.float32(0.5)
    return cv2.merge([near_depth, far_depth - near_depth, middle, far_green - near_green])


def _means(share: np.ndarray, *fields: np.ndarray) -> list[np.ndarray]:
    # Means of fields over a window, at half the size; the power makes mixtures count for little.
    # Overwrites ``share``.
    for _ in range(3):
        np.square(share, out=share)
    half = (max(1, share.shape[0] // 2), max(1, share.shape[1] // 2))
    window = (WINDOW // 2 + 1, WINDOW // 2 + 1)
    total, *sums = (
        cv2.blur(shrink(field, half), window)
        for field in (share, *(share * field for field in fields))
    )
    return [field / total for field in sums]


def _pixels_of(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    # Flat indices in an image of ``shape`` of all pixels under the marked (h, w) cells.
    starts, offsets = _blocks(cells.shape, shape)
    return (starts.take(np.flatnonzero(cells))[:, None] + offsets).ravel()


@lru_cache(maxsize=16)
def _blocks(small: tuple[int, int], large: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    # The first pixel of each cell's block, and the pixels from there. Where the sizes are no
    # multiples, blocks overlap by a pixel, which is computed twice with the same result.
    rows, columns = (np.arange(count) * size // count for count, size in zip(small, large))
    height, width = (-(-size // count) for count, size in zip(small, large))
    starts = rows[:, None] * large[1] + columns
    offsets = np.arange(height)[:, None] * large[1] + np.arange(width)
    return starts.ravel().astype(np.int32), offsets.ravel().astype(np.int32)


def _sampled(fields: np.ndarray, where: np.ndarray, shape: tuple[int, int]) -> list[np.ndarray]:
    # Interpolate (h, w, C) fields at the pixels of ``shape`` with these flat indices, C of (n,).
    count = len(where)
    places = np.zeros(-(-count // _ROW) * _ROW, np.int32)
    places[:count] = where
    # OpenCV takes no image of more than 32767 pixels a side.
    rows, columns = np.divmod(places.reshape(-1, _ROW), np.int32(shape[1]))
    x, y = (
        cv2.multiply(place, small / large, dtype=cv2.CV_32F) + np.float32(small / large / 2 - 0.5)
        for place, small, large in (
            (columns, fields.shape[1], shape[1]),
            (rows, fields.shape[0], shape[0]),
        )
    )
    found = cv2.remap(fields, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return [field.ravel()[:count] for field in cv2.split(found)]


def follow_measured(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """
    Shift a prediction so that it meets the measurements at the rim of each hole.

    The error of the prediction at measured pixels is interpolated into the holes by push-pull: it
    is averaged over coarser and coarser grids, and taken from the finest grid with measurements
    nearby.

    Parameters
    ----------
    predicted:
        (h, w) float32 metres, complete.
    measured:
        (h, w) float32 metres, 0 = missing.

    Returns
    -------
    np.ndarray
        (h, w) float32 metres.

    """
    error = measured - predicted
    known = measured > 0
    if not known.any() or cv2.norm(error, cv2.NORM_INF, known.view(np.uint8)) < EXACT:
        return predicted
    known &= np.abs(error) < TRUSTED * predicted
    weight = known.astype(np.float32)
    error *= weight
    levels = [(error, weight)]
    for _ in range(_LEVELS):
        rows, columns = levels[-1][0].shape
        size = ((columns + 1) // 2, (rows + 1) // 2)
        levels.append(tuple(cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in levels[-1]))
    error, weight = levels[-1]
    shift = error / (weight + np.float32(1e-3))
    for error, weight in reversed(levels[:-1]):
        shift = (error + _PULL * restore_smooth(shift, error.shape)) / (weight + _PULL)
    return predicted + shift
