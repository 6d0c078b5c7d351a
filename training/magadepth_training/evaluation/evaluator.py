# SPDX-License-Identifier: Apache-2.0
"""Run methods over a data set, frame by frame, and gather one row of figures for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
import torch

from magadepth_ros.pictures import to_millimetres
from magadepth_training.datasets.sample import Sample, Source
from magadepth_training.evaluation.calibration import Calibration
from magadepth_training.evaluation.flicker import Flicker
from magadepth_training.evaluation.methods import Method
from magadepth_training.evaluation.metrics import DepthErrors
from magadepth_training.evaluation.regions import REGIONS, distance_to_known, regions

Watcher = Callable[[int, Sample, dict[str, np.ndarray]], None]
"""Called per frame with its index, the sample, and the predictions by method."""


class _Errors:
    """Errors by region of one group of frames."""

    def __init__(self) -> None:
        self.by_region = {name: DepthErrors() for name in REGIONS}

    def update(
        self, prediction: np.ndarray, target: np.ndarray, masks: dict[str, np.ndarray]
    ) -> None:
        p, t = torch.from_numpy(prediction), torch.from_numpy(target)
        for name, metric in self.by_region.items():
            if masks[name].any():
                metric.update(p, t, torch.from_numpy(masks[name]))

    def compute(self) -> dict[str, dict[str, float]]:
        scored = {n: m.compute() for n, m in self.by_region.items() if int(m.frames)}
        return {name: values for name, values in scored.items() if values}

    @property
    def frames(self) -> int:
        return int(self.by_region['fill'].frames)


@dataclass
class Row:
    """The figures of one method; :meth:`as_dict` is what the JSON holds."""

    method: Method
    frames: int = 0
    milliseconds: list[float] = field(default_factory=list)
    unfilled: list[float] = field(default_factory=list)
    overall: _Errors = field(default_factory=_Errors)
    by_sensor: dict[str, _Errors] = field(default_factory=dict)
    by_scene: dict[str, _Errors] = field(default_factory=dict)
    absolute: Calibration = field(default_factory=Calibration)
    relative: Calibration = field(default_factory=Calibration)
    flicker: Flicker = field(default_factory=Flicker)

    def add(
        self,
        sample: Sample,
        prediction: np.ndarray,
        confidence: np.ndarray | None,
        ms: float,
        following: bool = True,
    ) -> None:
        """
        Add a frame: (H, W) metres with 0 = not filled, and the time it took [ms].

        ``following`` says that no frame was skipped since the last one (else no flicker).
        """
        self.frames += 1
        if self.method.timed:
            self.milliseconds.append(ms)
        self.unfilled.append(float((prediction <= 0).mean()))
        if sample.target is None or not (sample.target > 0).any():
            return
        masks = regions(sample.depth, sample.target, sample.score)
        groups = [self.overall]
        groups += [self.by_sensor.setdefault(sample.sensor, _Errors())] if sample.sensor else []
        groups += [self.by_scene.setdefault(sample.scene, _Errors())] if sample.scene else []
        for group in groups:
            group.update(prediction, sample.target, masks)
        fill = masks['fill']
        error, target = (prediction - sample.target)[fill], sample.target[fill]
        distance = distance_to_known(sample.depth)[fill]
        trust = None if confidence is None else confidence[fill]
        self.absolute.update(error, distance, trust)
        self.relative.update(error / target, distance, trust)
        if following:
            self.flicker.update((sample.scene, sample.sensor), prediction, sample.target, fill)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers; a figure that could not be measured is left out."""
        row: dict[str, Any] = {
            'name': self.method.name,
            'kind': self.method.kind,
            'runtime': self.method.runtime,
            'frames': self.frames,
            'frames_scored': self.overall.frames,
            'unfilled': float(np.mean(self.unfilled)) if self.unfilled else None,
        }
        if self.milliseconds:
            row['ms'] = float(np.median(self.milliseconds))
        row |= self.overall.compute()
        relative = self.relative.compute()
        row |= {k.replace('ause', 'ause_rel'): v for k, v in relative.items() if 'ause' in k}
        row |= self.absolute.compute() | self.flicker.compute()
        row['sensors'] = {name: errors.compute() for name, errors in self.by_sensor.items()}
        row['scenes'] = {name: errors.compute() for name, errors in self.by_scene.items()}
        return row


def as_stored(depth: np.ndarray) -> np.ndarray:
    """
    Depth as ``magadepth complete`` would store it: whole millimetres, 0 = not filled.

    (H, W) metres in, float32 metres out, see `to_millimetres` for what becomes 0. Scoring this
    makes the figures of a live model those of its PNG files.
    """
    return (to_millimetres(depth) / 1000).astype(np.float32)


def evaluate(
    source: Source,
    methods: Sequence[Method],
    indices: Iterable[int],
    watch: Watcher | None = None,
) -> list[Row]:
    """
    Run every method on the samples of a source.

    Frames are the outer loop, so that each is read once and only one is held in memory.
    ``watch`` sees each frame with all predictions (for pictures and for progress).
    """
    rows = [Row(method) for method in methods]
    indices = list(indices)
    following = source.consecutive and all(b == a + 1 for a, b in pairwise(indices))
    for index in indices:
        sample = source[index]
        predictions = {}
        for row in rows:
            start = perf_counter()
            depth, confidence = row.method.run(sample)
            ms = (perf_counter() - start) * 1e3
            prediction = as_stored(depth)
            row.add(sample, prediction, confidence, ms, following)
            predictions[row.method.name] = prediction
        if watch is not None:
            watch(index, sample, predictions)
    return rows
