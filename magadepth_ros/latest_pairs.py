# SPDX-License-Identifier: Apache-2.0
"""Hold the newest pair of each camera for the worker."""

from __future__ import annotations

import threading

from magadepth_ros.pairing import MessagePair


class LatestPairs:
    """
    The newest pair of each camera, for one thread that takes them.

    Nothing queues: a newer pair replaces the one that waits, so that a slow engine drops pairs and
    never shows old ones. A pair that is not newer than the last one of its camera is dropped too,
    except after a jump of the clock (another ``epoch``) and for stamps of zero.
    """

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._closed = False
        self._waiting: dict[int, MessagePair] = {}
        self._last: dict[int, tuple[int, int]] = {}

    def put(self, camera: int, pair: MessagePair) -> int:
        """Add a pair, from any thread; returns how many pairs were dropped as stale, 0 or 1."""
        with self._ready:
            if self._closed:
                return 0
            epoch, stamp_ns = self._last.get(camera, (-1, 0))
            if pair.epoch == epoch and 0 < pair.stamp_ns <= stamp_ns:
                return 1
            dropped = int(camera in self._waiting)
            self._waiting[camera] = pair
            self._last[camera] = (pair.epoch, pair.stamp_ns)
            self._ready.notify()
            return dropped

    def take(self, timeout: float) -> list[tuple[int, MessagePair]]:
        """Wait up to ``timeout`` seconds; return the waiting pairs, at most one a camera."""
        with self._ready:
            self._ready.wait_for(lambda: self._waiting or self._closed, timeout)
            taken = sorted(self._waiting.items())
            self._waiting.clear()
            return taken

    def close(self) -> None:
        """Refuse further pairs, and wake the waiting thread."""
        with self._ready:
            self._closed = True
            self._waiting.clear()
            self._ready.notify_all()

    def open(self) -> None:
        """Accept pairs again after `close`, as if none had come yet."""
        with self._ready:
            self._closed = False
            self._waiting.clear()
            self._last.clear()
