# SPDX-License-Identifier: Apache-2.0
"""A progress line with the time left, for commands that go through many frames."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_BAR = 24


class Progress:
    """
    Counts to ``total`` on standard error; redraws one line on a terminal, else a line at a time.

    Use as a context manager; `advance` after each frame.
    """

    def __init__(self, total: int, what: str, stream: TextIO | None = None) -> None:
        self.total = total
        self.done = 0
        self._what = what
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self._start = self._shown_at = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self.done:
            self._stream.write('\n')
            self._stream.flush()

    def advance(self, count: int = 1) -> None:
        """Count frames, and show where this stands twice a second (every 10 s in a log)."""
        self.done += count
        now = time.monotonic()
        if now - self._shown_at < (0.5 if self._live else 10.0) and self.done < self.total:
            return
        self._shown_at = now
        self._stream.write(f'\r{self.line(now)}\x1b[K' if self._live else f'{self.line(now)}\n')
        self._stream.flush()

    def line(self, now: float) -> str:
        """Return the line for a moment of `time.monotonic`."""
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        spent = max(now - self._start, 1e-6)
        left = spent / self.done * max(self.total - self.done, 0) if self.done else 0.0
        bar = '#' * round(share * _BAR)
        return (
            f'{self._what} [{bar:<{_BAR}}] {self.done}/{self.total} '
            f'{self.done / spent:.1f}/s, {_clock(left)} left'
        )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'
