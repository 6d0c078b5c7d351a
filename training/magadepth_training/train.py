# SPDX-License-Identifier: Apache-2.0
"""Train a network by a configuration: build the data, the trainer, and write the weights."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.optim.swa_utils import get_ema_multi_avg_fn

from magadepth_ros.errors import DataError

from .batches import BatchMaker
from .datasets.sample import Source
from .module import TrainingModule
from .networks.registry import create_network, network_config, stored_config
from .recipe import read_recipe
from .stream import TrainingStream
from .weights import load_network, save_weights

CHECKPOINT = 'last.ckpt'


@dataclass(frozen=True)
class Run:
    """
    One call of the trainer.

    ``config`` names a shipped configuration or a YAML file; ``output`` gets checkpoints, curves
    and, at the end, ``<name>.safetensors``; ``max_seconds`` stops early with a checkpoint that
    ``resume`` goes on from; ``finish_in`` [s] stops too, with the learning rate annealed by then;
    ``start_from`` are weights to begin with (fine-tuning); ``overrides`` replace fields of the
    recipe; ``trainer`` are further arguments of ``lightning.Trainer`` (devices, nodes, strategy,
    precision).
    """

    config: str
    output: Path
    sources: Sequence[Source] = ()
    max_seconds: float | None = None
    finish_in: float | None = None
    resume: bool = False
    start_from: Path | None = None
    compile: bool = False
    overrides: dict[str, Any] | None = None
    trainer: dict[str, Any] | None = None


class KeepCheckpoint(Callback):
    """Writes the checkpoint that `resume` goes on from: every so often, and when a run stops."""

    def __init__(self, path: Path, every: int):
        self.path, self.every = path, every

    def save(self, trainer: lightning.Trainer) -> None:
        """Write to a temporary name, then rename: a cut never costs the checkpoint before."""
        partial = self.path.with_suffix('.partial')
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            partial.replace(self.path)

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Save every so often, when the validation of the step before has had its say."""
        if trainer.global_step and trainer.global_step % self.every == 0:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Save when the run stops."""
        self.save(trainer)

    def on_exception(self, trainer: lightning.Trainer, *_: Any) -> None:
        """
        Save when it is stopped, or breaks.

        Not in a validation, in which other weights are in place; nor where other ranks, which may
        not have failed, would have to save with it.
        """
        if trainer.training and trainer.global_step and trainer.world_size == 1:
            self.save(trainer)


class StopAfter(Callback):
    """Stops a run after some seconds of its own, also one that resumes (unlike Lightning's)."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.started = time.monotonic()

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Stop all ranks together."""
        over = time.monotonic() - self.started >= self.seconds
        if trainer.strategy.reduce_boolean_decision(over, all=False):
            trainer.should_stop = True


def train(run: Run) -> Path:
    """
    Train, or go on training; return the path of the weights.

    Raises
    ------
    DataError
        an unknown configuration or field, nothing to resume from, or weights of another network.

    """
    config = network_config(run.config)
    recipe = read_recipe(run.config, run.overrides)
    checkpoint = run.output / CHECKPOINT
    weights = run.output / f'{config.name}.safetensors'
    if run.finish_in and recipe.schedule != 'cosine':
        raise DataError(
            f'a run finishes in a given time by schedule: cosine, not {recipe.schedule}'
        )
    state = _resumed(checkpoint, config) if run.resume else {}
    if state and state['global_step'] >= recipe.steps:
        # Of the averaged weights, if they were; a fit without a step would not write those.
        network = create_network(config)
        part = 'network.'
        kept = {n[len(part) :]: t for n, t in state['state_dict'].items() if n.startswith(part)}
        network.load_state_dict(kept)
        save_weights(network, weights)
        return weights
    run.output.mkdir(parents=True, exist_ok=True)
    lightning.seed_everything(recipe.seed, workers=True)
    torch.set_float32_matmul_precision('high')
    options = dict(run.trainer or {})
    on_gpu = torch.cuda.is_available() and options.get('accelerator', 'auto') != 'cpu'
    options.setdefault('precision', 'bf16-mixed' if on_gpu else '32-true')
    limit = min((t for t in (run.finish_in, run.max_seconds) if t), default=None)
    callbacks: list[Callback] = [LearningRateMonitor()]
    if limit:
        callbacks.append(StopAfter(limit))
    if recipe.ema:
        callbacks.append(WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(recipe.ema)))
    # Last, so that it keeps what the others made of the step.
    callbacks.append(KeepCheckpoint(checkpoint, max(1, min(1000, recipe.validate_every))))
    trainer = lightning.Trainer(
        default_root_dir=run.output,
        logger=[
            TensorBoardLogger(run.output, name='curves', version=''),
            # One file a call: a resumed run must not delete the curve it goes on from.
            CSVLogger(run.output, name='curves/csv'),
        ],
        callbacks=callbacks,
        enable_checkpointing=False,
        max_steps=recipe.steps,
        max_epochs=-1,
        val_check_interval=recipe.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.gradient_clip or None,
        use_distributed_sampler=False,
        log_every_n_steps=20,
        benchmark=on_gpu,
        **options,
    )
    size = (config.height, config.width)
    maker = BatchMaker(recipe, *size, run.sources, trainer.global_rank)
    watched = replace(recipe, seed=recipe.seed + 1_000_000, scene_pool=0, at_once=1)
    validation = BatchMaker(watched, *size, run.sources)
    module = TrainingModule(config, recipe, run.finish_in)
    if run.start_from:
        given = load_network(run.start_from)
        _require_same(given.config, config, run.start_from)
        module.network.load_state_dict(given.state_dict())
    # A sixth less time a step on a CPU, more on a GPU.
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if run.compile:
        module.network.compile()
    try:
        trainer.fit(
            module,
            datamodule=TrainingStream(recipe, maker, validation),
            ckpt_path=checkpoint if run.resume else None,
            weights_only=True,
        )
    except SIGTERMException:
        # Lightning's own ends as if all were done.
        raise SystemExit(128 + signal.SIGTERM) from None
    if trainer.is_global_zero:
        save_weights(module.network, weights)
    return weights


def _resumed(checkpoint: Path, config: Any) -> dict[str, Any]:
    """Return what is in a checkpoint of this network; DataError where it is none."""
    if not checkpoint.is_file():
        raise DataError(f'nothing to resume: expected {checkpoint}; start without --resume')
    try:
        state = torch.load(checkpoint, map_location='cpu', weights_only=True, mmap=True)
        before = state['hyper_parameters']['network']
    except Exception as error:  # whatever a damaged file makes the reader raise
        raise DataError(f'{checkpoint}: not a checkpoint of a training run ({error})') from None
    _require_same(stored_config(type(config), before, str(checkpoint)), config, checkpoint)
    return dict(state)


def _require_same(given: Any, config: Any, path: Path) -> None:
    """Raise DataError where weights of one network are to go on as another."""
    one, other = ({'kind': type(c).__name__, **asdict(c)} for c in (given, config))
    names = [key for key in {**one, **other} if one.get(key) != other.get(key) and key != 'name']
    if names:
        differing = ', '.join(f'{n}: {one.get(n)} instead of {other.get(n)}' for n in names)
        raise DataError(f'{path}: is of another network than the configuration ({differing})')
