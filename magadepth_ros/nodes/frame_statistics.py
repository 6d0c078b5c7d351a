# SPDX-License-Identifier: Apache-2.0
"""Rates, latencies and stage times of one camera, gathered by the worker, read by /diagnostics."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from time import monotonic

import numpy as np

STAGES = (
    *('wait', 'decode', 'register', 'fit', 'infer', 'restore', 'confidence', 'merge'),
    *('publish', 'cloud', 'overhead'),
)
"""In the order of a frame; ``overhead`` is the sum of a frame's others but wait and infer."""
_KEPT = 300


@dataclass(frozen=True)
class Summary:
    """Counts since the last summary, and percentiles of the last 300 frames [ms]."""

    rate_hz: float
    frames: int
    latency_p50: float
    latency_p95: float
    processing_p50: float
    processing_p95: float
    unfilled_share: float
    measured_share: float
    stages: Mapping[str, float] = field(default_factory=dict)


class FrameStatistics:
    """Thread safe; a frame costs a few appends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames = 0
        self._since = 0
        self._start = monotonic()
        self._latency: deque[float] = deque(maxlen=_KEPT)
        self._processing: deque[float] = deque(maxlen=_KEPT)
        self._stages: dict[str, deque[float]] = {}
        self._unfilled = 1.0
        self._measured = 0.0

    def frame(
        self, latency_ms: float, processing_ms: float, unfilled: float, measured: float
    ) -> None:
        """Count one published frame: times [ms], NaN = unknown; shares of its pixels, 0..1."""
        with self._lock:
            self._frames += 1
            self._since += 1
            if not isnan(latency_ms):
                self._latency.append(latency_ms)
            self._processing.append(processing_ms)
            self._unfilled, self._measured = unfilled, measured

    def stages(self, timings: Mapping[str, float]) -> None:
        """Take the milliseconds of some stages of one frame."""
        with self._lock:
            for name, value in timings.items():
                self._stages.setdefault(name, deque(maxlen=_KEPT)).append(value)

    def summary(self) -> Summary:
        """Return the summary, and begin a new period for the rate."""
        with self._lock:
            now = monotonic()
            rate = self._since / max(now - self._start, 1e-6)
            self._since, self._start = 0, now
            stages = {
                name: float(np.median(self._stages[name]))
                for name in STAGES
                if self._stages.get(name)
            }
            latency, processing = list(self._latency), list(self._processing)
            frames, unfilled, measured = self._frames, self._unfilled, self._measured
        return Summary(
            rate_hz=rate,
            frames=frames,
            latency_p50=percentile(latency, 50),
            latency_p95=percentile(latency, 95),
            processing_p50=percentile(processing, 50),
            processing_p95=percentile(processing, 95),
            unfilled_share=unfilled,
            measured_share=measured,
            stages=stages,
        )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the ``share``-th percentile of the values; NaN without any."""
    return float(np.percentile(values, share)) if values else float('nan')
