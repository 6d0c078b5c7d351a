# SPDX-License-Identifier: Apache-2.0
"""A node's logger for threads that may outlive the node: it falls silent before the node goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class ThreadLogger:
    """
    Logs as a node's logger does, until `end`.

    rclpy's logger publishes on /rosout with a publisher of the node, which must be there. Once the
    process was told to stop, that publisher complains about each message.
    """

    def __init__(self, node: Any) -> None:
        """``node`` is an rclpy node."""
        self._logger, self._ok = node.get_logger(), node.context.ok
        # Held while a message goes out, so that none does once `end` has returned.
        self._lock = threading.Lock()
        self._ended = False

    def info(self, text: str) -> None:
        """Say what went well."""
        self._log(lambda: self._logger.info(text))

    def warning(self, text: str) -> None:
        """Say what costs a frame or a topic."""
        self._log(lambda: self._logger.warning(text))

    def error(self, text: str) -> None:
        """Say what needs a person."""
        self._log(lambda: self._logger.error(text))

    def say(self, level: str, text: str) -> None:
        """Say ``text``; ``level`` is the name of a method above."""
        getattr(self, level)(text)

    def end(self) -> None:
        """Log nothing more."""
        with self._lock:
            self._ended = True

    def _log(self, log: Callable[[], Any]) -> None:
        # rclpy refuses two levels from one line of code: each level has its own above.
        with self._lock:
            if not self._ended and self._ok():
                log()
