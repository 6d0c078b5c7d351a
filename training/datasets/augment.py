# SPDX-License-Identifier: Apache-2.0
"""Random crop, flip and light for a sample; depth stays what it was, in metres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from magadepth_training.datasets.resize import Box, centre_box, crop_and_resize
from magadepth_training.datasets.sample import Sample


@dataclass(frozen=True)
class Augmentation:
    """
    How far a sample is varied.

    ``min_share`` is the smallest crop as a share of the largest possible one per side: a smaller
    crop is enlarged more, which is a longer lens and changes no depth. ``flip`` mirrors left and
    right half of the time. ``light`` is the largest relative change of brightness, contrast and
    saturation.
    """

    min_share: float = 0.6
    flip: bool = True
    light: float = 0.25

    def apply(
        self,
        sample: Sample,
        height: int,
        width: int,
        rng: np.random.Generator,
        pooled: bool = False,
    ) -> Sample:
        """Return a varied copy of (height, width) pixels."""
        shape = (int(sample.rgb.shape[0]), int(sample.rgb.shape[1]))
        box = centre_box(shape, height, width, float(rng.uniform(self.min_share, 1)))
        top = int(rng.integers(0, shape[0] - box.height + 1))
        left = int(rng.integers(0, shape[1] - box.width + 1))
        box = Box(top, left, box.height, box.width)
        varied = crop_and_resize(sample, box, height, width, pooled)
        if self.flip and rng.random() < 0.5:
            varied = mirror(varied)
        return replace(varied, rgb=self._lit(varied.rgb, rng)) if self.light else varied

    def _lit(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        brightness, contrast, saturation = rng.uniform(1 - self.light, 1 + self.light, 3)
        image = rgb.astype(np.float32)
        grey = image.mean(axis=2, keepdims=True)
        image = (grey + (image - grey) * saturation) * brightness
        mean = image.mean()
        return np.clip(np.rint(mean + (image - mean) * contrast), 0, 255).astype(np.uint8)


def mirror(sample: Sample) -> Sample:
    """Mirror all pictures left to right; the principal point follows."""

    def turned(image: np.ndarray | None) -> np.ndarray | None:
        return None if image is None else np.ascontiguousarray(image[:, ::-1])

    K, width = sample.K, sample.rgb.shape[1]
    return replace(
        sample,
        rgb=np.ascontiguousarray(sample.rgb[:, ::-1]),
        depth=np.ascontiguousarray(sample.depth[:, ::-1]),
        target=turned(sample.target),
        score=turned(sample.score),
        K=None if K is None else (K[0], K[1], width - 1 - K[2], K[3]),
    )
