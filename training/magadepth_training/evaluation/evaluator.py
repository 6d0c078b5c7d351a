# SPDX-License-Identifier: Apache-2.0
"""Run methods over a data set, frame by frame, and collect the figures of each method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from magadepth_ros.pictures import to_millimetres
from magadepth_training.datasets.sample import Sample, Source
from magadepth_training.evaluation.calibration import ause
from magadepth_training.evaluation.costmap import Costmap, map_errors
from magadepth_training.evaluation.methods import Method
from magadepth_training.evaluation.metrics import depth_errors, summarise
from magadepth_training.evaluation.regions import REGIONS, distance_to_known, phantoms, regions
from magadepth_training.evaluation.temporal import Steadiness

GROUPS = ('sensor', 'scene', 'hiding')
"""Fields of a sample; frames of one value are also scored by themselves."""

Figures = dict[str, dict[str, float]]
"""Figures of one frame, by region and name."""

Watcher = Callable[[int, Sample, dict[str, np.ndarray]], None]
"""Called per frame with its index, the sample, and the predictions by method."""


def frame_figures(
    sample: Sample, prediction: np.ndarray, confidence: np.ndarray | None
) -> Figures:
    """
    Score one frame.

    Parameters
    ----------
    sample:
        with a target.
    prediction:
        (H, W) metres, 0 = not filled.
    confidence:
        (H, W), higher = more trusted, or None.

    Returns
    -------
    dict
        for each region the errors of `depth_errors`; for *fill* also ``phantom`` [%], and
        ``ause`` of the confidence and ``ause_distance`` of the distance to the nearest measured
        pixel [m]; for *keep* the share of the pixels that are ``unchanged`` to the millimetre [%].
        A region with too few pixels is empty.

    """
    target = sample.target
    assert target is not None
    masks = regions(sample.depth, target, sample.score)
    figures = {name: depth_errors(prediction[mask], target[mask]) for name, mask in masks.items()}
    fill, keep = masks['fill'], masks['keep']
    if figures['keep']:
        same = prediction[keep] == as_stored(sample.depth[keep])
        figures['keep']['unchanged'] = 100 * float(same.mean())
    if figures['fill']:
        phantom = phantoms(prediction, target, sample.depth, fill)
        error, distance = (prediction - target)[fill], distance_to_known(sample.depth)[fill]
        figures['fill']['phantom'] = 100 * float(phantom.sum() / fill.sum())
        figures['fill']['ause_distance'] = ause(error, -distance)
        if confidence is not None:
            figures['fill']['ause'] = ause(error, confidence[fill])
    return figures


@dataclass
class Row:
    """The figures of one method; :meth:`as_dict` returns them for the JSON."""

    method: Method
    milliseconds: list[float] = field(default_factory=list)
    unfilled: list[float] = field(default_factory=list)
    labels: list[dict[str, str]] = field(default_factory=list)
    figures: list[Figures] = field(default_factory=list)
    steadiness: Steadiness = field(default_factory=Steadiness)
    costmap: Costmap = field(default_factory=Costmap)

    def add(
        self,
        sample: Sample,
        prediction: np.ndarray,
        confidence: np.ndarray | None,
        ms: float,
        true_map: Costmap | None,
        following: bool,
    ) -> None:
        """
        Add a frame: (H, W) metres with 0 = not filled, and the time it took [ms].

        ``true_map`` is the costmap of the true depth so far, where the camera's pose is known;
        ``following``: no frame was skipped since the last one (otherwise flicker is not measured).
        """
        if self.method.timed:
            self.milliseconds.append(ms)
        self.unfilled.append(float((prediction <= 0).mean()))
        figures: Figures = {}
        if sample.target is not None and (sample.target > 0).any():
            figures = frame_figures(sample, prediction, confidence)
            if following:
                figures['fill'] |= self.steadiness.update(sample, prediction)
            if true_map is not None:
                self.costmap.update(sample, prediction, confidence)
                figures['fill'] |= map_errors(self.costmap, true_map)
        self.labels.append({kind: getattr(sample, kind) for kind in GROUPS})
        self.figures.append(figures)

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers; figures that could not be measured are left out."""
        by_region = {name: self._summary(name) for name in REGIONS}
        row: dict[str, Any] = {
            'name': self.method.name,
            'kind': self.method.kind,
            'runtime': self.method.runtime,
            'frames': len(self.figures),
            'frames_scored': by_region['fill'].get('frames', 0),
            'unfilled': float(np.mean(self.unfilled)) if self.unfilled else None,
        }
        if self.milliseconds:
            row['ms'] = float(np.median(self.milliseconds))
        row |= {name: summary for name, summary in by_region.items() if summary}
        for kind in GROUPS:
            names = dict.fromkeys(label[kind] for label in self.labels if label[kind])
            row[f'{kind}s'] = {name: {'fill': self._summary('fill', kind, name)} for name in names}
        return row

    def _summary(self, region: str, kind: str = 'scene', name: str = '') -> dict[str, Any]:
        chosen = [i for i, label in enumerate(self.labels) if name in ('', label[kind])]
        frames = [self.figures[i].get(region, {}) for i in chosen]
        return summarise(frames, [self.labels[i]['scene'] for i in chosen])


def as_stored(depth: np.ndarray) -> np.ndarray:
    """
    Round depth to whole millimetres, as ``magadepth complete`` stores it; 0 = not filled.

    (H, W) metres in, float32 metres out; `to_millimetres` says which values become 0. So a live
    model gets the figures of its PNG files.
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
    ``watch`` is called for each frame with all predictions (for pictures and progress).
    """
    rows = [Row(method) for method in methods]
    indices = list(indices)
    following = source.consecutive and all(b == a + 1 for a, b in pairwise(indices))
    costmap = Costmap()
    for index in indices:
        sample = source[index]
        true_map = None
        if sample.camera is not None and sample.target is not None:
            costmap.update(sample, sample.target)
            true_map = costmap
        predictions = {}
        for row in rows:
            start = perf_counter()
            depth, confidence = row.method.run(sample)
            ms = (perf_counter() - start) * 1e3
            prediction = as_stored(depth)
            row.add(sample, prediction, confidence, ms, true_map, following)
            predictions[row.method.name] = prediction
        if watch is not None:
            watch(index, sample, predictions)
    return rows
