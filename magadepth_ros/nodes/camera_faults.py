# SPDX-License-Identifier: Apache-2.0
"""Faults of the simulated camera on request: stall, drop, late, swap, jitter, replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from magadepth_ros.errors import DataError

FAULTS = {
    'stall': 'nothing comes in 3 of every 10 s',
    'drop': 'every third depth image is missing',
    'late': 'depth comes 0.2 s after its stamp',
    'swap': 'colour comes on the topic of depth, and depth on that of colour',
    'jitter': "depth's stamps are off by up to 20 ms",
    'replay': 'all stamps are an hour old, as those of a bag',
}
"""Name -> what it does."""

LATE_NS = 200_000_000
JITTER_NS = 20_000_000
REPLAY_NS = 3_600_000_000_000
_SILENT, _PERIOD = 3_000_000_000, 10_000_000_000


class Outgoing(NamedTuple):
    """One image to be published with this stamp [ns]."""

    publisher: Any
    message: Any
    stamp_ns: int


class CameraFaults:
    """Delays, drops or changes the images of a frame; without a fault all go out at once."""

    def __init__(self, names: str = '', seed: int = 0) -> None:
        """``names`` as for `set`."""
        self._rng = np.random.default_rng(seed)
        self._waiting: deque[tuple[int, Outgoing]] = deque()
        self._count = 0
        self.names: frozenset[str] = frozenset()
        self.set(names)

    def set(self, names: str) -> None:
        """
        Set the faults, separated by commas; '' = none.

        Raises
        ------
        DataError
            a name that is not in `FAULTS`.

        """
        given = frozenset(name.strip() for name in names.split(',')) - {''}
        if unknown := sorted(given - FAULTS.keys()):
            raise DataError(f'faults: expected {", ".join(FAULTS)}, got {", ".join(unknown)}')
        self.names = given

    def apply(
        self, now_ns: int, rgb: Sequence[Outgoing], depth: Sequence[Outgoing]
    ) -> list[Outgoing]:
        """
        Return the images to publish now, of this frame and of earlier ones.

        ``rgb`` and ``depth`` are the same picture raw and compressed, each in the same order.
        """
        self._count += 1
        if 'stall' in self.names and now_ns % _PERIOD < _SILENT:
            self._waiting.clear()
            return []
        if 'replay' in self.names:
            rgb, depth = (
                [item._replace(stamp_ns=item.stamp_ns - REPLAY_NS) for item in items]
                for items in (rgb, depth)
            )
        if 'jitter' in self.names:
            shift = int(self._rng.integers(-JITTER_NS, JITTER_NS + 1))
            depth = [item._replace(stamp_ns=item.stamp_ns + shift) for item in depth]
        if 'swap' in self.names:
            pairs = list(zip(rgb, depth, strict=True))
            rgb = [a._replace(publisher=b.publisher) for a, b in pairs]
            depth = [b._replace(publisher=a.publisher) for a, b in pairs]
        if 'drop' in self.names and self._count % 3 == 0:
            depth = []
        delay = LATE_NS if 'late' in self.names else 0
        self._waiting.extend((now_ns + delay, item) for item in depth)
        due = [item for at, item in self._waiting if at <= now_ns]
        self._waiting = deque(entry for entry in self._waiting if entry[0] > now_ns)
        return [*due, *rgb]
