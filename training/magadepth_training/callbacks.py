# SPDX-License-Identifier: Apache-2.0
"""Callbacks of a training run: checkpoints, best weights, averaging of weights, stopping."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from .module import TrainingModule
from .weights import save_weights


class KeepCheckpoint(Callback):
    """Writes the checkpoint for a resumed run: periodically, and when a run stops."""

    def __init__(self, path: Path, every: int):
        self.path, self.every = path, every

    def save(self, trainer: lightning.Trainer) -> None:
        """Write to a temporary name, then rename, so that an interruption loses no checkpoint."""
        partial = self.path.with_suffix('.partial')
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            partial.replace(self.path)

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Save every ``every`` steps, after the validation of the previous step."""
        if trainer.global_step and trainer.global_step % self.every == 0:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Save when the run stops."""
        self.save(trainer)


class StopEarly(Callback):
    """Stops all processes of a run together: after some seconds, at SIGTERM or at Ctrl-C."""

    def __init__(self, seconds: float | None):
        self.seconds = seconds
        self.started = time.monotonic()
        self.signal = 0
        self.before: dict[int, Any] = {}

    def on_train_start(self, *_: Any) -> None:
        """Start the clock, and replace Lightning's signal handlers, which would not save."""
        self.started = time.monotonic()
        self.before = {n: signal.signal(n, self._note) for n in (signal.SIGTERM, signal.SIGINT)}

    def _note(self, number: int, _: Any) -> None:
        self.signal = number

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Stop all processes once one of them got a signal or is out of time."""
        over = self.seconds is not None and time.monotonic() - self.started >= self.seconds
        over = over or self.signal != 0
        if trainer.strategy.reduce_boolean_decision(over, all=False):
            trainer.should_stop = True

    def give_back(self) -> None:
        """Restore the earlier signal handlers."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}


class KeepBest(Callback):
    """
    Logs the errors of the watched sets, and keeps the weights that are best on the first.

    It comes before the averaging callback, which uses the averaged weights during the validation
    only.
    """

    def __init__(self, path: Path):
        self.path, self.best = path, float('inf')

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Compare with the best so far."""
        assert isinstance(pl_module, TrainingModule)
        errors = pl_module.take_errors()
        for i, (name, (rel, rmse)) in enumerate(errors.items()):
            for metric, value in (('rel', rel), ('rmse', rmse)):
                pl_module.log(f'val/{name}/{metric}', value)
                if i == 0:
                    pl_module.log(f'val/{metric}', value, prog_bar=True)
        first, _ = next(iter(errors.values()))
        if first < self.best:
            self.best = first
            if trainer.is_global_zero:
                save_weights(pl_module.network, self.path)
        if trainer.is_global_zero:
            figures = ', '.join(f'{n} REL {e:.4f} RMSE {m:.4f} m' for n, (e, m) in errors.items())
            print(f'step {trainer.global_step}: {figures}; best {self.best:.4f}', flush=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        return {'best': self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.best = state_dict['best']


def averaging(decay: float) -> Callable[[Any, Any, Any], None]:
    """Average exponentially; early on over a tenth of the steps, as the first weights are poor."""

    @torch.no_grad()
    def update(averaged: list[torch.Tensor], current: list[torch.Tensor], count: Any) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for one, other in zip(averaged, current):
            if one.is_floating_point():
                one.lerp_(other.to(one.dtype), share)
            else:
                one.copy_(other)

    return update
