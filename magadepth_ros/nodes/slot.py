# SPDX-License-Identifier: Apache-2.0
"""The latest-only slot between the callbacks and the worker: a newer pair replaces an older."""

from __future__ import annotations

import threading

from magadepth_ros.pairing import Counters, Pair


class LatestSlot:
    """
    One place per camera; nothing queues, so a slow engine drops pairs and never shows old ones.

    A pair that is not newer than the last one of its camera is dropped too, except after a jump
    of the clock (another ``epoch``) and for stamps of zero. Both count as ``stale``.
    """

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._waiting: dict[int, Pair] = {}
        self._last: dict[int, tuple[int, int]] = {}
        self._closed = False

    def put(self, camera: int, pair: Pair, counters: Counters) -> None:
        """Offer a pair of one camera; callable from any thread, never blocks for long."""
        with self._ready:
            if self._closed:
                return
            epoch, stamp_ns = self._last.get(camera, (-1, 0))
            if pair.epoch == epoch and 0 < pair.stamp_ns <= stamp_ns:
                counters.stale += 1
                return
            if camera in self._waiting:
                counters.stale += 1
            self._waiting[camera] = pair
            self._last[camera] = (pair.epoch, pair.stamp_ns)
            self._ready.notify()

    def take(self, timeout: float) -> list[tuple[int, Pair]]:
        """Wait up to ``timeout`` seconds; return what waits, at most one pair per camera."""
        with self._ready:
            self._ready.wait_for(lambda: self._waiting or self._closed, timeout)
            taken = sorted(self._waiting.items())
            self._waiting.clear()
            return taken

    def close(self) -> None:
        """Wake the worker for the last time; nothing is taken in any more."""
        with self._ready:
            self._closed = True
            self._waiting.clear()
            self._ready.notify_all()
