# SPDX-License-Identifier: Apache-2.0
"""A node's logger for threads that may outlive the node: it stops before the node ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class ThreadLogger:
    """
    Logs as a node's logger does, until `end`.

    rclpy's logger publishes on /rosout with a publisher of the node, so the node must exist. After
    a signal to the process, that publisher prints an error for each message.
    """

    def __init__(self, node: Any) -> None:
        """``node`` is an rclpy node."""
        self._logger, self._ok = node.get_logger(), node.context.ok
        # Held while a message is logged, so that none is logged after `end` has returned.
        self._lock = threading.Lock()
        self._ended = False

    def info(self, text: str) -> None:
        """Log at level INFO."""
        self._log(lambda: self._logger.info(text))

    def warning(self, text: str) -> None:
        """Log at level WARN, for faults that cost a frame or a topic."""
        self._log(lambda: self._logger.warning(text))

    def error(self, text: str) -> None:
        """Log at level ERROR, for faults that a person has to mend."""
        self._log(lambda: self._logger.error(text))

    def say(self, level: str, text: str) -> None:
        """Log ``text``; ``level`` is the name of a method above."""
        getattr(self, level)(text)

    def end(self) -> None:
        """Log nothing more."""
        with self._lock:
            self._ended = True

    def _log(self, log: Callable[[], Any]) -> None:
        # rclpy refuses two levels from one line of code, so each level has a method of its own.
        with self._lock:
            if not self._ended and self._ok():
                log()
