# SPDX-License-Identifier: Apache-2.0
"""Training samples by number: a part of a frame with varied colours and hidden pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .frames import Frame, Frames
from .holes import HidingConfig, Random, ellipses, hide

LEAST = 0.01
"""Least hidden share of a frame, as nothing is learned without hidden pixels."""


@dataclass(frozen=True)
class Views:
    """
    The variations of frames.

    ``zoom`` is the smallest shown part, as a share of the sides; ``smaller`` the share of
    frames that are shown smaller, between bars; ``noise`` the largest standard deviation of the
    noise [share of the depth] of half of the complete frames; ``glass_alone`` the share of the
    frames with lost transparent objects in which hardly any other pixel is hidden.
    """

    zoom: float = 0.55
    smaller: float = 0.12
    noise: float = 0.006
    glass_alone: float = 0.6


class TrainingSamples(Dataset[dict[str, Tensor]]):
    """
    The samples of a run; sample number n is always the same.

    Gives ``rgb`` (3, H, W) in 0..1, ``depth`` (1, H, W) metres, 0 = missing, and ``target``
    (1, H, W) metres, 0 = unknown.
    """

    def __init__(
        self,
        frames: Frames,
        count: int,
        seed: int,
        views: Views | None = None,
    ):
        self.frames, self.count, self.seed = frames, count, seed
        self.views = views or Views()
        self.until = np.cumsum(frames.weights)
        # Only the holes of frames of real sensors are borrowed.
        shares = [float((frame.depth <= 0).mean()) for frame in frames.frames]
        lenders = [i for i, share in enumerate(shares) if 0.02 < share < 0.9]
        self.lenders = np.array(lenders or range(len(frames)))
        weights = frames.weights[self.lenders]
        self.lent_until = np.cumsum(weights / weights.sum())

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, number))
        frame = self.frames.frames[self._draw(rng, self.until)]
        lender = self.frames.frames[self.lenders[self._draw(rng, self.lent_until)]]
        frame = seen(rng, frame, self.views)
        rgb, depth, target = frame.rgb, frame.depth, frame.target
        rgb = colours(rng, rgb)
        lost = False
        if frame.glass is not None and frame.behind is not None:
            depth = looked_through(rng, frame)
            lost = bool(((depth == 0) & (target > 0)).any())
        if not frame.own_holes:
            if lost and rng.random() < self.views.glass_alone:
                # Otherwise holes that the fill gets right would outweigh those that it gets wrong.
                mask = rng.random(depth.shape) < rng.uniform(0, 0.02)
            else:
                mask = hidden(rng, rgb, depth, target, lender.depth <= 0)
            depth = np.where(mask, np.float32(0), depth)
            if (target > 0).mean() > 0.97 and rng.random() < 0.5:
                depth = noisy(rng, depth, self.views.noise)
        return tensors(rgb, depth, target)

    @staticmethod
    def _draw(rng: Random, until: np.ndarray) -> int:
        return min(int(np.searchsorted(until, rng.random())), len(until) - 1)


def hidden(
    rng: Random,
    rgb: np.ndarray,
    depth: np.ndarray,
    target: np.ndarray,
    lent: np.ndarray,
) -> np.ndarray:
    """Choose pixels as `hide` does, but at least a hundredth of the frame."""
    mask = hide(rng, rgb, depth, lent, HidingConfig())
    if (mask & (target > 0)).mean() < LEAST:
        mask |= ellipses(rng, *depth.shape)
    return mask


def tensors(rgb: np.ndarray, depth: np.ndarray, target: np.ndarray) -> dict[str, Tensor]:
    """(H, W, 3) uint8 and two (H, W) float32 -> the tensors of a sample of `TrainingSamples`."""
    return {
        'rgb': torch.from_numpy(rgb).permute(2, 0, 1).float() / 255,
        'depth': torch.from_numpy(depth)[None],
        'target': torch.from_numpy(target)[None],
    }


def seen(rng: Random, frame: Frame, views: Views) -> Frame:
    """
    Show a part of a frame, maybe mirrored, or all of it smaller.

    Depth comes from the nearest pixel, so that missing values do not mix with measured ones. It
    keeps its metres: a part of an image is the image of a camera with a longer lens.
    """
    height, width = frame.depth.shape
    scale = 1.0
    if rng.random() < views.smaller:
        scale = rng.uniform(1.0, 1.35)
    elif rng.random() < 0.75:
        scale = rng.uniform(views.zoom, 1.0)
    # The aspect ratio mostly stays; sometimes it changes a little, as the runtime stretches
    # images.
    sides = np.array([width, height]) * scale * np.exp(rng.uniform(-0.04, 0.04, 2))
    corner = rng.uniform(0, 1, 2) * (np.array([width, height]) - sides)
    grow = np.array([width, height]) / sides
    mirror = rng.random() < 0.5
    move = np.array([[grow[0], 0, -corner[0] * grow[0]], [0, grow[1], -corner[1] * grow[1]]])
    if mirror:
        move[0] = [-grow[0], 0, width - 1 + corner[0] * grow[0]]

    def nearest(image: np.ndarray | None) -> np.ndarray | None:
        if image is None:
            return None
        return cv2.warpAffine(image, move, (width, height), flags=cv2.INTER_NEAREST)

    rgb = cv2.warpAffine(
        frame.rgb, move, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    depth, target = nearest(frame.depth), nearest(frame.target)
    assert depth is not None and target is not None
    return frame._replace(
        rgb=rgb,
        depth=depth,
        target=target,
        glass=nearest(frame.glass),
        behind=nearest(frame.behind),
    )


def colours(rng: Random, rgb: np.ndarray) -> np.ndarray:
    """Vary exposure, contrast, gamma, cast, saturation, sharpness and noise; (H, W, 3) uint8."""
    if rng.random() < 0.2:
        rgb = cv2.blur(rgb, (3, 3))
    level = np.arange(256, dtype=np.float32) / 255
    curve = level ** np.exp(rng.uniform(-0.35, 0.35))
    curve = (curve - 0.45) * rng.uniform(0.75, 1.25) + 0.45 * rng.uniform(0.7, 1.35)
    table = curve[:, None] * np.exp(rng.uniform(-0.12, 0.12, 3))
    table = (np.clip(table, 0, 1) * 255).astype(np.uint8)
    rgb = cv2.LUT(rgb, np.ascontiguousarray(table[None]))
    saturation = 0.0 if rng.random() < 0.06 else rng.uniform(0.6, 1.3)
    if rng.random() < 0.4:
        grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        rgb = cv2.addWeighted(rgb, saturation, grey, 1 - saturation, 0)
    if rng.random() < 0.4:
        noise = rng.standard_normal(rgb.shape, np.float32) * rng.uniform(1, 7)
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    return rgb


def looked_through(rng: Random, frame: Frame) -> np.ndarray:
    """
    Return the depth that a sensor measures of a frame with transparent objects.

    Each object is lost (most are), seen through, or measured; (H, W) float32 metres, 0 = missing.
    """
    assert frame.glass is not None and frame.behind is not None
    depth = frame.depth.copy()
    count, things = cv2.connectedComponents((frame.glass > 0).astype(np.uint8))
    for thing in range(1, count):
        where = things == thing
        fate = rng.random()
        if fate < 0.7:
            if rng.random() < 0.5:
                where = cv2.dilate(where.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            depth[where] = 0
        elif fate < 0.85:
            depth[where] = frame.behind[where]
    return depth


def noisy(rng: Random, depth: np.ndarray, largest: float) -> np.ndarray:
    """Add a sensor's noise and steps of disparity to a depth, (H, W) float32 m, 0 = missing."""
    noise = cv2.GaussianBlur(rng.standard_normal(depth.shape, np.float32), (0, 0), 0.8)
    known = depth > 0
    inverse = known / np.where(known, depth * (1 + rng.uniform(0, 2 * largest) * noise), 1)
    step = rng.uniform(0.0, largest) * float(np.median(inverse[known])) if known.any() else 0
    if step > 0:
        inverse = np.round(inverse / step) * step
    return np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1), 0).astype(np.float32)
