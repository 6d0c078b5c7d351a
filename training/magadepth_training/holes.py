# SPDX-License-Identifier: Apache-2.0
"""
Hide measured pixels of raw frames in the ways in which cameras lose them.

Every function draws from a NumPy generator and returns a mask (H, W) bool, True = hide. The holes
of other frames are used most often, as real sensors made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Random = np.random.Generator


@dataclass(frozen=True)
class HidingConfig:
    """How often (share of frames) each way of hiding is used; several may apply to one frame."""

    borrowed: float = 0.75
    ellipses: float = 0.5
    polygons: float = 0.15
    shadow: float = 0.35
    rims: float = 0.2
    colour: float = 0.2
    dark: float = 0.15
    segment: float = 0.25
    blobs: float = 0.15
    border: float = 0.12
    cut_off: float = 0.1
    sparse: float = 0.03
    """Replaces all other ways: only a few hundred pixels stay."""


def borrowed(rng: Random, missing: np.ndarray) -> np.ndarray:
    """Mirror, scale and shift the holes of another frame, ``missing`` (H, W) bool."""
    height, width = missing.shape
    zoom = np.exp(rng.uniform(-0.35, 0.7))
    mirrors = [-1 if rng.random() < share else 1 for share in (0.5, 0.25)]
    move = np.zeros((2, 3))
    for axis, (mirror, size) in enumerate(zip(mirrors, (width, height))):
        middle = 0.5 + rng.uniform(-0.25, 0.25)
        move[axis, axis] = mirror * zoom
        move[axis, 2] = size * (middle - 0.5 * mirror * zoom)
    holes = cv2.warpAffine(
        missing.astype(np.uint8), move, (width, height), flags=cv2.INTER_NEAREST
    )
    if rng.random() < 0.3:
        holes = cv2.dilate(holes, np.ones((3, 3), np.uint8), iterations=int(rng.integers(1, 3)))
    return holes > 0


def ellipses(rng: Random, height: int, width: int) -> np.ndarray:
    """One to four turned ellipses."""
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 5)):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = tuple(int(width * np.exp(rng.uniform(np.log(0.03), np.log(0.18)))) for _ in 'ab')
        cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 1, -1)
    return mask > 0


def polygons(rng: Random, height: int, width: int) -> np.ndarray:
    """One or two polygons of four to seven corners."""
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 3)):
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 8)))
        radius = width * rng.uniform(0.05, 0.25) * rng.uniform(0.5, 1.0, len(angles))
        corners = np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None]
        corners += rng.uniform(0, 1, 2) * (width, height)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    return mask > 0


def shadow(rng: Random, depth: np.ndarray) -> np.ndarray:
    """
    Return the bands beside near objects that a second eye does not see.

    A band is as wide as the step of disparity, for a random baseline and side. ``depth`` is
    (H, W) in any unit, 0 = missing; missing pixels cast no shadow.
    """
    known = depth > 0
    if not known.any():
        return np.zeros(depth.shape, bool)
    reach = np.exp(rng.uniform(np.log(0.01), np.log(0.06))) * depth.shape[1]
    disparity = reach * np.median(depth[known]) / np.where(known, depth, np.inf)
    if rng.random() < 0.2:
        return _shadow_of(disparity.T, known.T, rng.random() < 0.5).T
    return _shadow_of(disparity, known, rng.random() < 0.5)


def _shadow_of(disparity: np.ndarray, known: np.ndarray, mirrored: bool) -> np.ndarray:
    if mirrored:
        return _shadow_of(disparity[:, ::-1], known[:, ::-1], False)[:, ::-1]
    seen_at = np.arange(disparity.shape[1]) - disparity
    # A pixel is hidden where a pixel farther along the row lands at the same place or before it.
    solid = np.where(known, seen_at, np.inf)
    nearest = np.minimum.accumulate(solid[:, ::-1], axis=1)[:, ::-1]
    return known & np.pad(nearest[:, 1:] < seen_at[:, :-1] - 0.5, ((0, 0), (0, 1)))


def rims(rng: Random, depth: np.ndarray) -> np.ndarray:
    """Return the pixels within one to four pixels of a depth edge."""
    kernel = np.ones((3, 3), np.uint8)
    known = np.where(depth > 0, depth, np.nan)
    high = cv2.dilate(depth, kernel)
    low = cv2.erode(np.where(depth > 0, depth, np.float32(1e6)), kernel)
    with np.errstate(invalid='ignore'):
        edge = (high - low > rng.uniform(0.04, 0.15) * known) & (low < 1e6)
    return cv2.dilate(edge.astype(np.uint8), kernel, iterations=int(rng.integers(1, 5))) > 0


def colour(rng: Random, rgb: np.ndarray) -> np.ndarray:
    """Return the pixels connected to a random one by similar colours; ``rgb`` (H, W, 3) uint8."""
    tolerance = (int(rng.integers(4, 16)),) * 3
    return _flood(rng, cv2.blur(rgb, (5, 5)), tolerance)


def dark(rng: Random, rgb: np.ndarray) -> np.ndarray:
    """Return the darkest, or the brightest, part of the picture."""
    grey = cv2.blur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (5, 5)).astype(np.float32)
    if rng.random() < 0.3:
        grey = 255 - grey
    grey += 12 * _noise(rng, grey.shape[0], grey.shape[1], 8)
    return grey < np.quantile(grey, rng.uniform(0.03, 0.25))


def segment(rng: Random, depth: np.ndarray) -> np.ndarray:
    """Return an object or a surface: the pixels connected to a random one without depth steps."""
    measured = np.flatnonzero(depth)
    if not len(measured):
        return np.zeros(depth.shape, bool)
    start = int(rng.choice(measured))
    logs = np.log(np.where(depth > 0, depth, np.float32(1e-3))).astype(np.float32)
    # By steps from pixel to pixel (a whole wall), or within a band about the first pixel (an
    # object).
    floating = rng.random() < 0.6
    step = float(rng.uniform(0.004, 0.012) if floating else rng.uniform(0.02, 0.12))
    mask = _flood(rng, logs, (step,), start, cv2.FLOODFILL_FIXED_RANGE * (not floating))
    if mask.mean() > 0.3:
        mask &= ellipses(rng, *depth.shape)
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _flood(
    rng: Random,
    picture: np.ndarray,
    tolerance: Sequence[float],
    start: int | None = None,
    flags: int = cv2.FLOODFILL_FIXED_RANGE,
) -> np.ndarray:
    height, width = picture.shape[:2]
    place = int(rng.integers(height * width)) if start is None else start
    mask = np.zeros((height + 2, width + 2), np.uint8)
    seed = (place % width, place // width)
    cv2.floodFill(
        np.ascontiguousarray(picture), mask, seed, 0, tolerance, tolerance,
        4 | flags | cv2.FLOODFILL_MASK_ONLY | (1 << 8),
    )  # fmt: skip
    return mask[1:-1, 1:-1] > 0


def blobs(rng: Random, height: int, width: int) -> np.ndarray:
    """Ragged blobs over up to a fifth of the picture."""
    noise = _noise(rng, height, width, np.exp(rng.uniform(np.log(3), np.log(40))))
    return noise > np.quantile(noise, rng.uniform(0.8, 0.98))


def _noise(rng: Random, height: int, width: int, size: float) -> np.ndarray:
    """Smooth noise of unit variance, (H, W) float32, with bumps of `size` pixels."""
    small = (max(2, round(width / size)), max(2, round(height / size)))
    coarse = rng.standard_normal(small[::-1], np.float32)
    noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return noise / max(float(noise.std()), 1e-6)


def border(rng: Random, height: int, width: int) -> np.ndarray:
    """Return a margin at one to four sides, as after registration."""
    inside = np.ones((height, width), bool)
    left, right, top, bottom = (
        int(rng.uniform(0.02, 0.2) * n) if rng.random() < 0.5 else 0
        for n in (width, width, height, height)
    )
    inside[top : height - bottom, left : width - right] = False
    return inside


def cut_off(rng: Random, depth: np.ndarray) -> np.ndarray:
    """Return the pixels beyond, or before, a random range."""
    known = depth[depth > 0]
    if not len(known):
        return np.zeros(depth.shape, bool)
    if rng.random() < 0.7:
        return depth > np.quantile(known, rng.uniform(0.7, 0.97))
    return (depth > 0) & (depth < np.quantile(known, rng.uniform(0.03, 0.25)))


def all_but_a_few(rng: Random, height: int, width: int) -> np.ndarray:
    """Return all but 200 to 2000 pixels."""
    return rng.random((height, width)) > rng.uniform(200, 2000) / (height * width)


def hide(
    rng: Random,
    rgb: np.ndarray,
    depth: np.ndarray,
    lend: np.ndarray,
    config: HidingConfig,
) -> np.ndarray:
    """
    Choose the pixels of a frame to hide.

    Parameters
    ----------
    rng:
        source of all randomness.
    rgb:
        (H, W, 3) uint8.
    depth:
        (H, W) float32 metres, 0 = missing.
    lend:
        (H, W) bool, the holes of another frame.
    config:
        how often each way is used.

    Returns
    -------
    np.ndarray
        (H, W) bool, True where a measured pixel is to be hidden. At least a twentieth of the
        measured pixels stays, except with the sparse way.

    """
    height, width = depth.shape
    measured = depth > 0
    if rng.random() < config.sparse:
        return all_but_a_few(rng, height, width) & measured
    ways = {
        'borrowed': lambda: borrowed(rng, lend),
        'ellipses': lambda: ellipses(rng, height, width),
        'polygons': lambda: polygons(rng, height, width),
        'shadow': lambda: shadow(rng, depth),
        'rims': lambda: rims(rng, depth),
        'colour': lambda: colour(rng, rgb),
        'dark': lambda: dark(rng, rgb),
        'segment': lambda: segment(rng, depth),
        'blobs': lambda: blobs(rng, height, width),
        'border': lambda: border(rng, height, width),
        'cut_off': lambda: cut_off(rng, depth),
    }
    hidden = np.zeros(depth.shape, bool)
    enough = 0.05 * measured.sum()
    for name in rng.permutation(list(ways)):
        if rng.random() < getattr(config, name):
            more = hidden | ways[name]()
            if (measured & ~more).sum() >= enough:
                hidden = more
    return hidden & measured
