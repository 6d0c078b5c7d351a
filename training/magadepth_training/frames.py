# SPDX-License-Identifier: Apache-2.0
"""Recorded and rendered frames in memory, all at a network's size, and how often each is drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from magadepth_ros.completion.fit import fit_depth, fit_rgb, geometry

from .datasets.sample import Sample, Source


class Frame(NamedTuple):
    """
    One frame at a network's size.

    ``rgb`` (H, W, 3) uint8; ``depth`` (H, W) float32 metres of the input, 0 = missing; ``target``
    (H, W) float32 metres of the true depth, 0 = unknown; ``own_holes``: the holes of the input are
    the data set's own, so that nothing more is hidden; ``glass`` (H, W) uint8, not 0 on
    transparent objects, or None; ``behind`` (H, W) float32 metres without these, or None.
    """

    rgb: np.ndarray
    depth: np.ndarray
    target: np.ndarray
    own_holes: bool
    glass: np.ndarray | None = None
    behind: np.ndarray | None = None


class Frames:
    """The frames of some data sets, read once; ``weights`` (N,) say how often each is drawn."""

    def __init__(
        self, sources: Sequence[Source], height: int, width: int, shares: Sequence[float]
    ):
        self.frames: list[Frame] = []
        weights: list[float] = []
        for source, share in zip(sources, shares):
            samples = [source[i] for i in range(len(source))]
            # By the root of the number of frames of a place, as the frames of a room are alike.
            sizes = Counter(sample.place for sample in samples)
            weights += [share / math.sqrt(sizes[sample.place]) for sample in samples]
            self.frames += [fitted(sample, height, width) for sample in samples]
        self.weights = np.array(weights) / max(sum(weights), 1e-9)

    def __len__(self) -> int:
        return len(self.frames)


def fitted(sample: Sample, height: int, width: int) -> Frame:
    """Scale a sample to a network's size as `magadepth_ros.completion.fit` does."""
    geo = geometry(*sample.depth.shape, height, width)
    planes = np.zeros((3, height, width), np.float32)
    fit_rgb(sample.rgb, geo, planes)

    def depth_of(image: np.ndarray) -> np.ndarray:
        out = np.zeros((height, width), np.float32)
        fit_depth(image, geo, out)
        return out

    def nearest(image: np.ndarray) -> np.ndarray:
        out = np.zeros((height, width), image.dtype)
        size = (geo.inner_width, geo.inner_height)
        out[geo.inner] = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return out

    target = sample.depth if sample.target is None else sample.target
    if sample.target is not None and sample.score is not None:
        target = np.where(sample.score > 0, target, np.float32(0))
    return Frame(
        rgb=np.round(planes.transpose(1, 2, 0) * 255).astype(np.uint8),
        depth=depth_of(sample.depth),
        target=depth_of(target),
        own_holes=sample.target is not None,
        glass=None if sample.glass is None else nearest(sample.glass),
        behind=None if sample.behind is None else depth_of(sample.behind),
    )
