# SPDX-License-Identifier: Apache-2.0
"""The batches of a run: the samples of each process, and the frames of the validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import lightning
import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from .frames import Frame, Frames
from .recipe import Recipe
from .samples import TrainingSamples, hidden, tensors


class SampleNumbers(Sampler[list[int]]):
    """The numbers of each batch of one process; a resumed run repeats and skips nothing."""

    def __init__(self, data: RunData):
        self.data = data

    def __len__(self) -> int:
        return self.data.recipe.steps

    def __iter__(self) -> Iterator[list[int]]:
        trainer, recipe = self.data.trainer, self.data.recipe
        assert trainer is not None
        for step in range(trainer.global_step, recipe.steps):
            first = (step * trainer.world_size + trainer.global_rank) * recipe.batch_size
            yield list(range(first, first + recipe.batch_size))


class WholeFrames(Dataset[dict[str, Tensor]]):
    """
    Frames for the validation, the same in each call.

    Measured pixels of a frame without a target of its own are hidden, as in the training.
    """

    def __init__(self, frames: Sequence[Frame]):
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        frame = self.frames[index]
        depth = frame.depth
        if not frame.own_holes:
            rng = np.random.default_rng((5, index))
            lender = self.frames[int(rng.integers(len(self.frames)))]
            mask = hidden(rng, frame.rgb, depth, frame.target, lender.depth <= 0)
            depth = np.where(mask, np.float32(0), depth)
        return tensors(frame.rgb, depth, frame.target)


class RunData(lightning.LightningDataModule):
    """Feeds a `TrainingModule`; ``watched`` are the sets to validate on, by name."""

    def __init__(self, recipe: Recipe, frames: Frames, watched: dict[str, Frames], workers: int):
        super().__init__()
        self.recipe, self.watched, self.workers = recipe, watched, workers
        self.samples = TrainingSamples(frames, recipe.steps * recipe.batch_size, recipe.seed)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Return the batches that remain."""
        return DataLoader(
            self.samples, batch_sampler=SampleNumbers(self), num_workers=self.workers
        )

    def val_dataloader(self) -> list[DataLoader[dict[str, Tensor]]]:
        """Return a loader for each watched set; each process takes its share of the frames."""
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        return [
            DataLoader(
                Subset(WholeFrames(frames.frames), range(rank, len(frames), world)), batch_size=4
            )
            for frames in self.watched.values()
        ]
