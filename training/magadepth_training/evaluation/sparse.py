# SPDX-License-Identifier: Apache-2.0
"""A data set with a few random points as input, like those of a LiDAR or a feature tracker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from magadepth_training.datasets.sample import Sample, Source


class SparseSource(Source):
    """
    The frames of another source with ``points`` random pixels of their truth as input.

    The points of a frame are the same in every run. Without a target, the depth itself is
    the truth. All other known pixels are scored.
    """

    def __init__(self, source: Source, points: int) -> None:
        self.name = f'{source.name}, {points} points'
        self._source, self._points = source, points

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Sample:
        sample = self._source[index]
        truth = sample.depth if sample.target is None else sample.target
        known = np.flatnonzero(truth > 0)
        chosen = np.random.default_rng(index).permutation(known)[: self._points]
        depth = np.zeros_like(truth)
        depth.flat[chosen] = truth.flat[chosen]
        return replace(sample, depth=depth, target=truth, score=None)
