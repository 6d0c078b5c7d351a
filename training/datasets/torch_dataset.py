# SPDX-License-Identifier: Apache-2.0
"""A data set for torch: samples of one size, varied and hidden reproducibly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from magadepth_training.datasets.augment import Augmentation
from magadepth_training.datasets.hiding import Hiding
from magadepth_training.datasets.resize import centre_box, crop_and_resize
from magadepth_training.datasets.sample import Sample, Source

Hide = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Takes (H, W) depth and returns a copy with 0 at the hidden pixels."""


class SampleDataset(Dataset[dict[str, Tensor]]):
    """
    Samples of a source as the dict that a training batch is made of.

    ``rgb`` (3, H, W) float32 0..1; ``depth`` (1, H, W) float32 metres, 0 = missing, what the
    network sees; ``target`` (1, H, W) float32 metres, 0 = unknown, what it is held to. Without a
    target in the source, the raw depth is the target and the input is what ``hide`` leaves of it.

    Every random choice depends on (seed, epoch, index) alone: a run that resumes, or that uses
    more workers, sees the same samples. Call :meth:`set_epoch` before each epoch.

    Parameters
    ----------
    source:
        the data set.
    height, width:
        size of the samples [px]; the largest box of that ratio is cut out of a frame.
    augmentation:
        None takes the centre and changes nothing.
    hide:
        used for samples without a target, and with ``hide_always`` on top of real holes, too.
    pooled:
        see :func:`~magadepth_training.datasets.resize.resize_depth`.

    """

    def __init__(
        self,
        source: Source,
        height: int,
        width: int,
        augmentation: Augmentation | None = None,
        hide: Hide | None = None,
        hide_always: bool = False,
        pooled: bool = False,
        seed: int = 0,
    ) -> None:
        self.source = source
        self.size = (height, width)
        self.augmentation = augmentation
        self.hide: Hide = hide or Hiding()
        self.hide_always = hide_always
        self.pooled = pooled
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose random choices are made from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        sample = self._sized(self.source[index], rng)
        target = sample.depth if sample.target is None else sample.target
        depth = sample.depth
        if sample.target is None or self.hide_always:
            depth = self.hide(depth, rng)
        return {
            'rgb': torch.from_numpy(sample.rgb).permute(2, 0, 1).float() / 255,
            'depth': torch.from_numpy(np.ascontiguousarray(depth, np.float32))[None],
            'target': torch.from_numpy(np.ascontiguousarray(target, np.float32))[None],
        }

    def _sized(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if self.augmentation is not None:
            return self.augmentation.apply(sample, *self.size, rng, self.pooled)
        shape = (int(sample.rgb.shape[0]), int(sample.rgb.shape[1]))
        return crop_and_resize(sample, centre_box(shape, *self.size), *self.size, self.pooled)
