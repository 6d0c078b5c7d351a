# SPDX-License-Identifier: Apache-2.0
"""Bring an engine's small output back to the sensor's pixels, edges where the RGB has them."""

from __future__ import annotations

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers

TRUSTED = 0.10
"""A measurement this far from the prediction, relative to it, is on another surface."""

EDGE = 0.06
"""Relative depth range within `WINDOW` small pixels from which on there are two surfaces."""

WINDOW = 5
"""Small pixels, in both directions, in which an edge of a prediction may be smeared."""

COLOUR_WEIGHT = np.float32(0.12)
"""How far, in shares of the step, colour may move the border between two surfaces."""

COLOUR_SCALE = 16.0
"""Grey levels that tell two surfaces apart."""

SLOPE = np.float32(4.0)
"""Steepness of a restored edge; 1 would be a linear ramp."""

_PULL = np.float32(0.05)
_LEVELS = 6


def restore_smooth(
    small: np.ndarray, shape: tuple[int, int], out: np.ndarray | None = None
) -> np.ndarray:
    """Enlarge a field without edges of its own, (h, w) float32 -> ``shape``, bilinear."""
    return cv2.resize(small, (shape[1], shape[0]), dst=out, interpolation=cv2.INTER_LINEAR)


def restore_depth(
    predicted: np.ndarray,
    small_rgb: np.ndarray,
    rgb: np.ndarray,
    buffers: Buffers | None = None,
) -> np.ndarray:
    """
    Enlarge a prediction to the sensor's pixels and sharpen its edges.

    Within a few pixels of a depth edge a prediction is a mixture of the two surfaces, and so is
    everything interpolated from it: points that float in the air. There the depth of each of the
    two is estimated from those pixels that belong clearly to one of them, and a pixel gets the one
    it is nearer to, both in its own interpolated depth and in its colour.

    Parameters
    ----------
    predicted:
        (h, w) float32 metres, complete.
    small_rgb:
        (h, w, 3) uint8 RGB at the same pixels.
    rgb:
        (H, W, 3) uint8 RGB.
    buffers:
        where the result and temporary images come from.

    Returns
    -------
    np.ndarray
        (H, W) float32 metres, complete.

    """
    buffers = buffers or Buffers()
    shape = rgb.shape[:2]
    restored = restore_smooth(predicted, shape, buffers.take(shape))
    kernel = np.ones((WINDOW, WINDOW), np.uint8)
    low, high = cv2.erode(predicted, kernel), cv2.dilate(predicted, kernel)
    step = high - low
    edges = cv2.compare(step, cv2.multiply(low, EDGE), cv2.CMP_GT)
    mask = cv2.resize(
        edges,
        (shape[1], shape[0]),
        dst=buffers.take(shape, np.uint8),
        interpolation=cv2.INTER_NEAREST,
    )
    # A twentieth of the pixels in most pictures: only there is anything computed at full size.
    where = np.flatnonzero(np.not_equal(mask, 0, out=buffers.take(shape, np.bool_)))
    if not len(where):
        return restored
    # Membership of each small pixel in the far and in the near surface, with little for mixtures.
    # Kept off 0 and 1, because a power of next to nothing is a denormal: ten times slower.
    share = (predicted - low) / np.maximum(step, np.float32(1e-6))
    np.clip(share, 0.01, 0.99, out=share)
    in_far, in_near = share * share, (1 - share) * (1 - share)
    in_far *= in_far
    in_near *= in_near
    grey = cv2.cvtColor(small_rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    far, far_grey = _mean(in_far, predicted, grey)
    near, near_grey = _mean(in_near, predicted, grey)
    contrast = (far_grey - near_grey) * (COLOUR_WEIGHT / np.float32(COLOUR_SCALE**2))

    enlarged = buffers.take(shape)

    def at_edges(field: np.ndarray) -> np.ndarray:
        return restore_smooth(field, shape, enlarged).ravel().take(where)

    near, step = at_edges(near), at_edges(far - near)
    # -0.5..0.5 by depth, then moved towards the surface with the pixel's own grey.
    side = restored.ravel().take(where)
    side -= near
    side /= np.maximum(step, np.float32(1e-6))
    side -= np.float32(0.5)
    shade = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY, dst=buffers.take(shape, np.uint8))
    colour = shade.ravel().take(where) - at_edges((far_grey + near_grey) * np.float32(0.5))
    colour *= at_edges(contrast)
    np.clip(colour, -COLOUR_WEIGHT, COLOUR_WEIGHT, out=colour)
    side += colour
    side *= SLOPE
    side += np.float32(0.5)
    np.clip(side, 0.0, 1.0, out=side)
    side *= step
    side += near
    restored.ravel()[where] = side
    return restored


def follow_measured(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """
    Shift a prediction so that it meets the measurements at the rim of each hole.

    What a prediction is off by at measured pixels is carried into the holes by push-pull: averaged
    over ever coarser grids, and taken from the finest one that has measurements nearby.

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
    weight = ((measured > 0) & (np.abs(error) < TRUSTED * predicted)).astype(np.float32)
    error *= weight
    if not error.any():
        return predicted
    levels = [(error, weight)]
    for _ in range(_LEVELS):
        rows, columns = levels[-1][0].shape
        size = (max(1, (columns + 1) // 2), max(1, (rows + 1) // 2))
        levels.append(tuple(cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in levels[-1]))
    error, weight = levels[-1]
    shift = error / (weight + np.float32(1e-3))
    for error, weight in reversed(levels[:-1]):
        shift = (error + _PULL * restore_smooth(shift, error.shape)) / (weight + _PULL)
    return predicted + shift


def _mean(weight: np.ndarray, *fields: np.ndarray) -> list[np.ndarray]:
    window = (WINDOW, WINDOW)
    total = cv2.blur(weight, window) + np.float32(1e-6)
    return [cv2.blur(weight * field, window) / total for field in fields]
