# SPDX-License-Identifier: Apache-2.0
"""The Lightning data module: step numbers that turn into batches on the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from .batches import BatchMaker
from .recipe import Recipe

VALIDATION_STEP = 1 << 30
"""Validation batches are those of step numbers that training never reaches."""
VALIDATION_BATCHES = 4


class Steps(Dataset[int]):
    """The numbers of `count` steps from `first` on."""

    def __init__(self, first: int, count: int):
        self.first, self.count = first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return self.first + index


class FromCurrentStep(Sampler[int]):
    """Goes on from the trainer's step, so that a resumed run repeats and skips nothing."""

    def __init__(self, stream: TrainingStream):
        self.stream = stream

    def __len__(self) -> int:
        return self.stream.recipe.steps

    def __iter__(self) -> Iterator[int]:
        assert self.stream.trainer is not None
        return iter(range(self.stream.trainer.global_step, self.stream.recipe.steps))


class TrainingStream(lightning.LightningDataModule):
    """Feeds a `TrainingModule` with the batches of a `BatchMaker`, and fixed ones to watch."""

    def __init__(self, recipe: Recipe, maker: BatchMaker, validation: BatchMaker):
        super().__init__()
        self.recipe, self.maker, self.validation = recipe, maker, validation

    def train_dataloader(self) -> DataLoader[int]:
        """Return the numbers of the remaining steps."""
        steps = Steps(0, self.recipe.steps)
        return DataLoader(steps, batch_size=None, sampler=FromCurrentStep(self))

    def val_dataloader(self) -> DataLoader[int]:
        """Return the numbers of a few steps beyond training."""
        return DataLoader(Steps(VALIDATION_STEP, VALIDATION_BATCHES), batch_size=None)

    def on_after_batch_transfer(self, batch: Any, _: int) -> dict[str, Tensor]:
        """Make the batch of a step number, on the trainer's device."""
        assert self.trainer is not None
        maker = self.maker if self.trainer.training else self.validation
        return maker.make(int(batch), self.trainer.strategy.root_device)
