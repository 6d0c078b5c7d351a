# SPDX-License-Identifier: Apache-2.0
"""Counted, throttled warnings: each kind of trouble speaks at once, then at most every 5 s."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic
from typing import Any

PERIOD = 5.0
ONCE = float('inf')


@dataclass
class _Kind:
    total: int = 0
    spoke: float | None = None


class Reporter:
    """Logs trouble by kind; counts every one; remembers the last for /diagnostics."""

    def __init__(self, logger: Any) -> None:
        """``logger`` is a node's."""
        self._logger = logger
        self._lock = threading.Lock()
        self._kinds: dict[str, _Kind] = {}
        self.last = ''

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind was reported since the start."""
        with self._lock:
            return {name: kind.total for name, kind in self._kinds.items()}

    def warn(self, kind: str, text: str, period: float = PERIOD) -> None:
        """Report something that costs a frame or a topic; the node goes on."""
        said = self._say(kind, text, period)
        if said:
            self._logger.warning(said)

    def error(self, kind: str, text: str, period: float = PERIOD) -> None:
        """Report something that needs a person, or the engine's failure."""
        said = self._say(kind, text, period)
        if said:
            self._logger.error(said)

    def info(self, text: str) -> None:
        """Say what went well."""
        self._logger.info(text)

    def forget(self, kind: str) -> None:
        """Let ``kind`` speak at once when it comes again, as its cause was mended meanwhile."""
        with self._lock:
            if kind in self._kinds:
                self._kinds[kind].spoke = None

    def _say(self, kind: str, text: str, period: float) -> str | None:
        now = monotonic()
        with self._lock:
            entry = self._kinds.setdefault(kind, _Kind())
            entry.total += 1
            self.last = text
            if entry.spoke is not None and now - entry.spoke < period:
                return None
            repeated = f' [{entry.total} times so far]' if entry.total > 1 else ''
            entry.spoke = now
            return text + repeated
