# SPDX-License-Identifier: Apache-2.0
"""Pair the RGB and depth messages of a camera by their stamps; hold the newest pairs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from magadepth_ros.stamps import NANO

RGB = 0
DEPTH = 1

HALF_FRAME = -1.0
"""Value of ``slop``: half of the shorter period of the two streams, measured by stamps."""

JUMP_NS = NANO
"""Stamps of one stream that go back by more than this mean another clock or a looped bag."""

_FIRST_SLOP_NS = NANO // 60
_SHORTEST_SLOP_NS = 1_000_000
_LONGEST_SLOP_NS = NANO // 4


@dataclass(frozen=True)
class MessagePair:
    """
    An RGB and a depth message that belong together.

    ``stamp_ns`` is the RGB's; ``gap_ns`` depth's stamp minus that; ``epoch`` counts the jumps of
    the clock before; ``arrived`` is `time.perf_counter` when the later of the two came.
    """

    rgb: Any
    depth: Any
    stamp_ns: int
    gap_ns: int
    epoch: int
    arrived: float


@dataclass
class Counters:
    """Counters of the messages and pairs of one camera."""

    received_rgb: int = 0
    received_depth: int = 0
    matched: int = 0
    unmatched_rgb: int = 0
    """RGB messages that left without a partner (too far apart, duplicate or cleared)."""
    unmatched_depth: int = 0
    aged: int = 0
    """Pairs dropped because they were older than max_age when the worker took them."""
    stale: int = 0
    """Pairs dropped because a newer one was there already."""
    refused: int = 0
    """Pairs dropped because a message could not be read."""
    unwanted: int = 0
    """Pairs that were not completed, as nobody subscribed to the result."""
    unmasked: int = 0
    """Pairs without a mask, where masks are in use; dropped where mask_policy is required."""
    failed: int = 0
    """Pairs lost because the engine failed and on_failure is silent."""
    jumps: int = 0
    """Times the stamps jumped back and pairing began anew."""
    unstamped: int = 0
    """Messages with a stamp of zero."""


class Pairer:
    """
    Pairs two streams: a message is paired with the nearest unpaired one of the other stream.

    The rules are those of message_filters' synchronisers: with ``slop`` 0 stamps must be equal;
    else the gap must be below ``slop``; the nearest wins, of two equally near the one that came
    first; a second message with the stamp of a waiting one replaces it; each stream keeps
    ``queue_size`` waiting messages and drops the oldest stamp first. On top of them a stream whose
    stamps jump back by more than a second clears both queues (a bag that loops, a simulation that
    restarts), as waiting for the old time would last for ever.

    Stamps of zero pair with each other only: the latest with the latest.

    Not thread safe: feed it from one thread.
    """

    name = 'own'
    """Name of the implementation that pairs."""
    slop_ns: int
    """Largest gap in use [ns]; 0 = equal stamps."""

    def __init__(
        self,
        on_pair: Callable[[MessagePair], int | None],
        slop: float = HALF_FRAME,
        queue_size: int = 10,
    ) -> None:
        """
        Prepare empty queues.

        Parameters
        ----------
        on_pair:
            called with each pair, in the thread that added its second message; may return how many
            pairs it dropped as stale, see `LatestPairs`.
        slop:
            largest gap between the stamps [s]; 0 = equal stamps, negative = half a frame.
        queue_size:
            messages of each stream that may wait for their partner.

        """
        if queue_size < 1:
            raise ValueError(f'queue_size: expected 1 or more, got {queue_size}')
        self.counters = Counters()
        self._on_pair = on_pair
        self._queue_size = queue_size
        self._newest: list[int | None] = [None, None]
        self._steps: tuple[deque[int], deque[int]] = (deque(maxlen=15), deque(maxlen=15))
        self._use_slop(slop)
        self._start()

    @property
    def newest(self) -> tuple[int | None, int | None]:
        """Newest stamps seen of RGB and depth [ns]; None where nothing came yet."""
        return self._newest[RGB], self._newest[DEPTH]

    def set_slop(self, slop: float) -> None:
        """Change ``slop`` [s] while running; see the constructor."""
        other_rule = (slop == 0) != (self._slop == 0)
        self._use_slop(slop)
        if other_rule:
            self.clear()
            self._start()

    def add(self, stream: int, stamp_ns: int, message: Any) -> None:
        """Take one message (``stream`` is `RGB` or `DEPTH`); pairs it at once where it can."""
        if stream == RGB:
            self.counters.received_rgb += 1
        else:
            self.counters.received_depth += 1
        if stamp_ns == 0:
            self.counters.unstamped += 1
        self._follow(stream, stamp_ns)
        self._offer(stream, stamp_ns, message)
        self._count_unmatched()

    def clear(self) -> None:
        """Forget waiting messages and stamps; counters stay."""
        for queue in self._queues:
            queue.clear()
        self._newest = [None, None]
        for steps in self._steps:
            steps.clear()
        self._count_unmatched()

    def restart(self) -> None:
        """Clear after a jump of the clock; pairs of before and after are told apart by epoch."""
        self.clear()
        self.counters.jumps += 1

    def waiting(self) -> tuple[int, int]:
        """Messages of RGB and depth that wait for a partner."""
        return len(self._queues[RGB]), len(self._queues[DEPTH])

    def _use_slop(self, slop: float) -> None:
        self._slop = slop
        self.slop_ns = _FIRST_SLOP_NS if slop < 0 else round(slop * NANO)

    # Another implementation of the matching overrides the next two methods.

    def _start(self) -> None:
        self._queues: Sequence[dict[int, Any]] = ({}, {})
        """Waiting messages of RGB and depth by their stamps [ns]."""

    def _offer(self, stream: int, stamp_ns: int, message: Any) -> None:
        own, other = self._queues[stream], self._queues[1 - stream]
        own[stamp_ns] = message
        while len(own) > self._queue_size:
            del own[min(own)]
        if stamp_ns not in own or not other:
            return
        partner = min(other, key=lambda stamp: abs(stamp - stamp_ns))
        gap = abs(partner - stamp_ns)
        if gap == 0 or gap < self.slop_ns:
            stamps = (stamp_ns, partner) if stream == RGB else (partner, stamp_ns)
            rgb = self._queues[RGB].pop(stamps[RGB])
            depth = self._queues[DEPTH].pop(stamps[DEPTH])
            self._emit(rgb, depth, stamps[RGB], stamps[DEPTH])

    def _emit(self, rgb: Any, depth: Any, rgb_ns: int, depth_ns: int) -> None:
        self.counters.matched += 1
        jumps, now = self.counters.jumps, perf_counter()
        pair = MessagePair(rgb, depth, rgb_ns, depth_ns - rgb_ns, jumps, now)
        self.counters.stale += self._on_pair(pair) or 0

    def _follow(self, stream: int, stamp_ns: int) -> None:
        # Measure jumps and periods; a stamp of zero carries no time.
        if stamp_ns == 0:
            return
        newest = self._newest[stream]
        if newest is not None and newest - stamp_ns > JUMP_NS:
            self.restart()
            newest = None
        if newest is None:
            self._newest[stream] = stamp_ns
        elif stamp_ns > newest:
            self._newest[stream] = stamp_ns
            if self._slop < 0:
                self._measure(stream, stamp_ns - newest)

    def _measure(self, stream: int, step_ns: int) -> None:
        self._steps[stream].append(step_ns)
        periods = [median(steps) for steps in self._steps if len(steps) >= 5]
        if len(periods) == 2:
            half = round(min(periods) / 2)
            self.slop_ns = min(max(half, _SHORTEST_SLOP_NS), _LONGEST_SLOP_NS)

    def _count_unmatched(self) -> None:
        counters = self.counters
        rgb_waits, depth_waits = self.waiting()
        counters.unmatched_rgb = counters.received_rgb - counters.matched - rgb_waits
        counters.unmatched_depth = counters.received_depth - counters.matched - depth_waits


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
