# SPDX-License-Identifier: Apache-2.0
"""Arrivals of the messages of one topic, for measurements."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from magadepth_ros.nodes.frame_statistics import percentile


@dataclass
class TopicStatistics:
    """Arrivals of one topic: stamps [ns], times of arrival [s], latencies from the stamp [ms]."""

    stamps: list[int] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def add(self, stamp_ns: int) -> None:
        """Note a message that has just arrived."""
        self.stamps.append(stamp_ns)
        self.arrivals.append(time.monotonic())
        self.latencies.append((time.time_ns() - stamp_ns) / 1e6)

    @property
    def rate(self) -> float:
        """Messages a second [Hz] between the first and the last."""
        if len(self.arrivals) < 2:
            return 0.0
        return (len(self.arrivals) - 1) / max(self.arrivals[-1] - self.arrivals[0], 1e-6)

    def percentile(self, share: float) -> float | None:
        """Return that percentile of the latency [ms], to 0.01; None without any message."""
        return round(percentile(self.latencies, share), 2) if self.latencies else None
