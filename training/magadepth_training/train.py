# SPDX-License-Identifier: Apache-2.0
"""Train a network by a configuration: build the data, the trainer, and write the weights."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import lightning
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from magadepth_ros.errors import DataError

from .callbacks import KeepBest, KeepCheckpoint, StopEarly, averaging
from .datasets.sample import Source
from .frames import Frames
from .loading import RunData
from .module import TrainingModule, freeze_all_but
from .networks.registry import create_network, network_config
from .recipe import Recipe, read_recipe
from .typed import typed
from .weights import load_network, save_weights

CHECKPOINT = 'last.ckpt'


@dataclass(frozen=True)
class Run:
    """One call of the trainer."""

    config: str
    """A shipped configuration, or a YAML file."""
    output: Path
    """The folder of checkpoints, curves and ``<name>.safetensors``: the weights with the least REL
    on the first set of ``validation``, or the last ones without any."""
    sources: Sequence[Source] = ()
    shares: Sequence[float] = ()
    """How often each source is drawn from; all alike where it is empty."""
    validation: Sequence[Source] = ()
    max_seconds: float | None = None
    """Stop after this time, with a checkpoint for ``resume``."""
    finish_in: float | None = None
    """Stop after this time [s], at which the learning rate has fallen to 0."""
    resume: bool = False
    start_from: Path | None = None
    """Weights to begin with (fine-tuning)."""
    train_only: Sequence[str] = ()
    """Parts of the network that are trained, see `freeze_all_but`; all where it is empty."""
    compile: bool = False
    overrides: dict[str, Any] | None = None
    """Fields of the recipe to replace."""
    workers: int = 0
    """Number of processes that make samples."""
    trainer: dict[str, Any] | None = None
    """More arguments of ``lightning.Trainer``: devices, nodes, strategy, precision."""


def train(run: Run) -> Path:
    """
    Train, or resume a training; return the path of the weights.

    Raises
    ------
    DataError
        an unknown configuration or field, a field that no network can have, no data, nothing to
        resume from, or weights of another network.

    """
    config = network_config(run.config)
    recipe = read_recipe(run.config, run.overrides)
    checkpoint = run.output / CHECKPOINT
    weights = run.output / f'{config.name}.safetensors'
    if run.finish_in and recipe.schedule != 'cosine':
        raise DataError(
            f'--finish-in: expected schedule: cosine in the recipe, got {recipe.schedule}'
        )
    if not run.sources:
        raise DataError(
            'nothing to train on: name recorded frames (--data PATH), or generate scenes '
            '(--scenes N)'
        )
    state = _resumed(checkpoint, config) if run.resume else {}
    if state and state['global_step'] >= recipe.steps:
        # Of the averaged weights, if they were; a fit without a step would not write those.
        network = create_network(config)
        part = 'network.'
        kept = {n[len(part) :]: t for n, t in state['state_dict'].items() if n.startswith(part)}
        network.load_state_dict(kept)
        if not run.validation or not weights.is_file():
            save_weights(network, weights)
        return weights
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    names = _different_names(run.validation)
    try:
        module = TrainingModule(config, recipe, names, run.finish_in)
    except (ValueError, RuntimeError) as error:
        # Fields that no network can have, or not together.
        raise DataError(f'{run.config}: network: {error}') from error
    if run.start_from:
        given = load_network(run.start_from)
        _require_same(given.config, config, run.start_from)
        module.network.load_state_dict(given.state_dict())
    if run.train_only:
        freeze_all_but(module.network, run.train_only)
        # Lightning warns of modules in evaluation mode, which is intended here.
        warnings.filterwarnings('ignore', message='.*in eval mode at the start of training')
    limit = min((t for t in (run.finish_in, run.max_seconds) if t), default=None)
    stop = StopEarly(limit)
    try:
        trainer = _trainer(run, recipe, [stop, *_callbacks(recipe, checkpoint, weights, run)])
    except (MisconfigurationException, ImportError, ValueError, RuntimeError) as error:
        # The device is missing, or lacks the precision.
        raise DataError(f'the trainer cannot start: {str(error).splitlines()[0]}') from error
    run.output.mkdir(parents=True, exist_ok=True)
    size = (config.height, config.width)
    if trainer.is_global_zero:
        print(f'reading {sum(map(len, run.sources))} frames to train on', flush=True)
    frames = Frames(run.sources, *size, run.shares or [1.0] * len(run.sources))
    watched = {n: Frames([source], *size, [1.0]) for n, source in zip(names, run.validation)}
    # A sixth less time a step on a CPU, more on a GPU.
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if run.compile:
        module.network.compile()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    torch.set_flush_denormal(True)
    try:
        trainer.fit(
            module,
            datamodule=RunData(recipe, frames, watched, run.workers),
            ckpt_path=checkpoint if run.resume else None,
            weights_only=True,
        )
    finally:
        # These settings hold for the whole process, which may do other work later.
        torch.set_flush_denormal(False)
        cv2.setNumThreads(threads)
        stop.give_back()
    if trainer.is_global_zero and not (run.validation and weights.is_file()):
        save_weights(module.network, weights)
    if stop.signal:
        raise SystemExit(128 + stop.signal)
    return weights


def _different_names(sources: Sequence[Source]) -> list[str]:
    """Return the names of data sets; those of one name are numbered."""
    names = [source.name for source in sources]
    return [f'{n} {i}' if names.count(n) > 1 else n for i, n in enumerate(names, 1)]


def _callbacks(recipe: Recipe, checkpoint: Path, weights: Path, run: Run) -> list[Callback]:
    callbacks: list[Callback] = [LearningRateMonitor()]
    if run.validation:
        callbacks.append(KeepBest(weights))
    if recipe.ema:
        callbacks.append(WeightAveraging(multi_avg_fn=averaging(recipe.ema)))
    # Last, so that the checkpoint has the results of the other callbacks.
    return [*callbacks, KeepCheckpoint(checkpoint, recipe.save_every)]


def _trainer(run: Run, recipe: Recipe, callbacks: list[Callback]) -> lightning.Trainer:
    torch.set_float32_matmul_precision('high')
    options = {
        'enable_progress_bar': sys.stderr.isatty(),
        'enable_model_summary': False,
        **(run.trainer or {}),
    }
    on_gpu = torch.cuda.is_available() and options.get('accelerator', 'auto') != 'cpu'
    # Half of the time of float32 on a processor that multiplies bfloat16 itself.
    quick = on_gpu or torch.cpu._is_avx512_bf16_supported()
    options.setdefault('precision', 'bf16-mixed' if quick else '32-true')
    return lightning.Trainer(
        default_root_dir=run.output,
        logger=[
            TensorBoardLogger(run.output, name='curves', version=''),
            # One file a call: a resumed run must not delete the earlier curve.
            CSVLogger(run.output, name='curves/csv'),
        ],
        callbacks=callbacks,
        enable_checkpointing=False,
        max_steps=recipe.steps,
        max_epochs=-1,
        val_check_interval=recipe.validate_every if run.validation else None,
        limit_val_batches=None if run.validation else 0,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.gradient_clip or None,
        use_distributed_sampler=False,
        log_every_n_steps=20,
        benchmark=on_gpu,
        **options,
    )


def _resumed(checkpoint: Path, config: Any) -> dict[str, Any]:
    """Return what is in a checkpoint of this network; DataError where it is none."""
    if not checkpoint.is_file():
        raise DataError(f'nothing to resume: expected {checkpoint}; start without --resume')
    try:
        state = torch.load(checkpoint, map_location='cpu', weights_only=True, mmap=True)
        before = state['hyper_parameters']['network']
    except Exception as error:  # a damaged file raises errors of many types
        raise DataError(f'{checkpoint}: not a checkpoint of a training run ({error})') from None
    _require_same(typed(type(config), before, str(checkpoint)), config, checkpoint)
    return dict(state)


def _require_same(given: Any, config: Any, path: Path) -> None:
    """Raise DataError where weights are of another network than the configuration."""
    one, other = ({'kind': type(c).__name__, **asdict(c)} for c in (given, config))
    names = [key for key in {**one, **other} if one.get(key) != other.get(key) and key != 'name']
    if names:
        differing = ', '.join(f'{n}: {one.get(n)} instead of {other.get(n)}' for n in names)
        raise DataError(f'{path}: is of another network than the configuration ({differing})')
