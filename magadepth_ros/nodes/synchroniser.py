# SPDX-License-Identifier: Apache-2.0
"""Pairing by message_filters' own synchronisers where that package is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.duration import Duration

from magadepth_ros.errors import DataError
from magadepth_ros.pairing import MessagePair, Pairer
from magadepth_ros.stamps import NANO, stamp_ns

try:
    import message_filters
except ImportError:
    message_filters = None


def make_pairer(
    kind: str, on_pair: Callable[[MessagePair], int | None], slop: float, queue_size: int
) -> Pairer:
    """
    Make the pairer named by the parameter ``synchronizer``.

    Parameters
    ----------
    kind:
        ``auto`` takes message_filters where it is installed; ``message_filters``; ``own``.
    on_pair, slop, queue_size:
        see `Pairer`.

    Raises
    ------
    DataError
        ``message_filters`` is asked for and not installed.

    """
    if kind == 'message_filters' and message_filters is None:
        raise DataError(
            'synchronizer message_filters: expected the ROS package message_filters, it is not '
            "installed; install it or set synchronizer to 'auto'"
        )
    if kind == 'own' or message_filters is None:
        return Pairer(on_pair, slop, queue_size)
    return MessageFiltersPairer(on_pair, slop, queue_size)


class MessageFiltersPairer(Pairer):
    """A `Pairer` in which message_filters matches; jumps and counters are those of `Pairer`."""

    name = 'message_filters'

    def _start(self) -> None:
        self._inputs = (message_filters.SimpleFilter(), message_filters.SimpleFilter())
        if self._slop == 0:
            self._sync = message_filters.TimeSynchronizer(self._inputs, self._queue_size)
        else:
            self._sync = message_filters.ApproximateTimeSynchronizer(
                self._inputs, self._queue_size, self.slop_ns / NANO
            )
        self._sync.registerCallback(self._matched)
        self._queues = self._sync.queues

    def _offer(self, stream: int, stamp_ns: int, message: Any) -> None:
        # It is measured while messages come; the exact synchroniser does not look at it.
        self._sync.slop = Duration(nanoseconds=self.slop_ns)
        self._inputs[stream].signalMessage(message)

    def _matched(self, rgb: Any, depth: Any) -> None:
        self._emit(rgb, depth, stamp_ns(rgb), stamp_ns(depth))
