# SPDX-License-Identifier: Apache-2.0
"""The evaluated methods: models, classical baselines, and folders of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from magadepth_ros.completion import Completer
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.settings import read_settings
from magadepth_ros.errors import DataError
from magadepth_ros.pictures import read_depth
from magadepth_training.datasets.sample import Sample
from magadepth_training.evaluation.baselines import Baseline, select_baselines

RAW = 'raw'
Estimate = tuple[np.ndarray, 'np.ndarray | None']
"""(H, W) float32 metres, 0 or NaN = not filled, and (H, W) confidence 0..1 or None."""


@dataclass(frozen=True)
class Method:
    """One row of the table: ``kind`` is model, baseline, predictions or raw."""

    name: str
    kind: str
    run: Callable[[Sample], Estimate]
    timed: bool = True
    runtime: str = ''


def model_method(
    model: str,
    backend: str = 'auto',
    precision: str = 'auto',
    threads: int = 0,
    settings: Sequence[str] = (),
) -> Method:
    """
    Open a model by name or path; raises ModelError or EngineError as `Completer.open` does.

    ``settings`` are ``NAME=VALUE`` of `CompletionSettings`; the method's name has them too.
    """
    completer = Completer.open(
        model, backend, precision, threads, settings=read_settings(settings)
    )

    def run(sample: Sample) -> Estimate:
        frame = RgbdFrame(sample.rgb, sample.depth, stream=f'{sample.scene}/{sample.sensor}')
        (result,) = completer.complete_batch([frame])
        return result.depth, result.confidence

    engine = completer.engine
    name = ' '.join([Path(model).stem, *settings])
    return Method(name, 'model', run, runtime=f'{engine.backend} {engine.precision}')


def baseline_methods(names: list[str]) -> list[Method]:
    """Return the chosen baselines, see `select_baselines`; ``raw`` is the unfilled depth."""
    chosen = select_baselines([name for name in names if name != RAW])
    methods = [Method(name, 'baseline', partial(_baseline, f)) for name, f in chosen.items()]
    return [Method(RAW, RAW, lambda sample: (sample.depth, None))] * (RAW in names) + methods


def predictions_method(folder: str | Path) -> Method:
    """Score an existing folder of ``<stem>.png``, uint16 mm, 0 = not filled."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f'{folder}: expected a folder of predictions, found no such folder')

    def run(sample: Sample) -> Estimate:
        path = folder / f'{sample.name}.png'
        depth = read_depth(path)
        if depth.shape != sample.depth.shape:
            raise DataError(f'{path}: shape {depth.shape}, expected {sample.depth.shape}')
        return depth, None

    return Method(folder.resolve().name, 'predictions', run, timed=False)


def _baseline(function: Baseline, sample: Sample) -> Estimate:
    return function(sample.rgb, sample.depth), None
