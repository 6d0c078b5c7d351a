# SPDX-License-Identifier: Apache-2.0
"""Time methods in turns on the same frames: medians per stage, ratios round by round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from magadepth_ros.completion import Completer
from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.project import CloudProjector

STAGES = ('fit', 'infer', 'restore', 'confidence', 'merge', 'cloud')
BUDGET_MS = 5000.0
"""Time that a method may take at each size [ms]; a slow method takes part in fewer rounds."""

Frame = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Candidate:
    """
    A method that is timed.

    ``run(rgb, depth)`` returns milliseconds: ``complete`` for the depth, and its stages if known.
    """

    name: str
    kind: str
    runtime: str
    run: Callable[[np.ndarray, np.ndarray], dict[str, float]]


def model_candidate(name: str, completer: Completer, camera: CameraModel) -> Candidate:
    """Return the candidate of a model, with all stages and the cloud of the result."""
    projector = CloudProjector()

    def run(rgb: np.ndarray, depth: np.ndarray) -> dict[str, float]:
        start = perf_counter()
        completion = completer.complete(rgb, depth)
        completed = perf_counter()
        projector.project(completion.depth, rgb, camera)
        cloud = (perf_counter() - completed) * 1e3
        return {**completion.timings, 'complete': (completed - start) * 1e3, 'cloud': cloud}

    engine = completer.engine
    return Candidate(name, 'model', f'{engine.backend} {engine.precision}', run)


def method_candidate(
    name: str, function: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Candidate:
    """Return the candidate of a classical method, a ``function(rgb, depth)`` of the baselines."""

    def run(rgb: np.ndarray, depth: np.ndarray) -> dict[str, float]:
        start = perf_counter()
        function(rgb, depth)
        return {'complete': (perf_counter() - start) * 1e3}

    return Candidate(name, 'peer', 'CPU', run)


def measure(
    candidates: Sequence[Candidate],
    frames: Sequence[Frame],
    repeats: int,
    advance: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """
    Time all candidates on the same frames, round after round, and return a row for each.

    Parameters
    ----------
    candidates:
        the ratios are relative to the first one.
    frames:
        (rgb, depth) of one size, gone through in a circle.
    repeats:
        number of counted rounds, after one warm-up round. A method takes part in as many as
        `BUDGET_MS` allows; where the warm-up alone takes longer, that round is counted.
    advance:
        called after every round.

    Returns
    -------
    list of dict
        name, kind, runtime, size [px], rounds, ``ms`` (median, also ``p95_ms``), ``stages`` with
        the median of each [ms], and ``ratio``.

    """
    warm_up = [candidate.run(*frames[0]) for candidate in candidates]
    rounds = [min(repeats, int(BUDGET_MS / times['complete'])) for times in warm_up]
    taken = [[] if allowed else [times] for times, allowed in zip(warm_up, rounds)]
    for count in range(repeats):
        frame = frames[count % len(frames)]
        for candidate, times, allowed in zip(candidates, taken, rounds):
            if count < allowed:
                times.append(candidate.run(*frame))
        advance()
    height, width = frames[0][1].shape
    first = [times['complete'] for times in taken[0]]
    return [
        {
            'name': candidate.name,
            'kind': candidate.kind,
            'runtime': candidate.runtime,
            'size': [width, height],
            'rounds': len(times),
            **_figures(times, first),
        }
        for candidate, times in zip(candidates, taken)
    ]


def measure_batch(
    name: str, completer: Completer, frames: Sequence[Frame], batch: int, repeats: int
) -> dict[str, Any]:
    """
    Time a model on ``batch`` frames at a time, as the node completes several cameras.

    Returns a row like those of `measure`; ``ms`` and the stage ``infer`` are the share of a frame.
    """
    times = []
    for count in range(repeats + 1):
        some = [RgbdFrame(*frames[(count + i) % len(frames)]) for i in range(batch)]
        start = perf_counter()
        completions = completer.complete_batch(some)
        whole = (perf_counter() - start) * 1e3 / batch
        times.append({'complete': whole, 'infer': completions[0].timings['infer']})
    # The first one prepares the engine for this number.
    times = times[1:]
    height, width = frames[0][1].shape
    engine = completer.engine
    return {
        'name': name,
        'kind': 'model',
        'runtime': f'{engine.backend} {engine.precision}',
        'size': [width, height],
        'batch': batch,
        'rounds': repeats,
        **_figures(times, [time['complete'] for time in times]),
    }


def _figures(times: list[dict[str, float]], first: list[float]) -> dict[str, Any]:
    whole = [time['complete'] for time in times]
    return {
        'ms': round(statistics.median(whole), 3),
        'p95_ms': round(float(np.percentile(whole, 95)), 3),
        'stages': {
            stage: round(statistics.median(time[stage] for time in times), 3)
            for stage in STAGES
            if stage in times[0]
        },
        # Ratios within a round, as a disturbance meets both methods of it.
        'ratio': round(statistics.median(a / b for a, b in zip(whole, first)), 3),
    }
