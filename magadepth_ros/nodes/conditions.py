# SPDX-License-Identifier: Apache-2.0
"""The conditions of one camera, or of the node: they are set, cleared, logged and shown."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from magadepth_ros.nodes.condition_table import CONDITIONS, ERROR, OK, Condition
from magadepth_ros.nodes.logger import ThreadLogger

HOLD = 5.0
"""Seconds that an event counts as going on after it has happened."""
REPEAT = 30.0
"""Seconds between two log lines of an event that goes on."""
QUIET = 5.0
"""Seconds between two log lines of a condition that comes and goes."""


@dataclass
class Active:
    """A condition that holds, with its sentence, its remedy and the time of its begin."""

    condition: Condition
    level: bytes
    sentence: str
    remedy: str
    since: float
    last: float
    logged: bool = False

    @property
    def text(self) -> str:
        """Sentence and remedy."""
        return f'{self.sentence}; {self.remedy}'


class Conditions:
    """
    The conditions of one camera, or those of the node; may be used from any thread.

    Each condition is logged when it begins and when it ends. A condition that comes and goes is
    logged at most every 5 s, with its count.
    """

    def __init__(self, logger: ThreadLogger, name: str = '', hold: float = HOLD) -> None:
        """``name`` is the camera's; an event lasts ``hold`` seconds."""
        self._logger = logger
        self._prefix = f'{name}: ' if name else ''
        self._hold = max(hold, HOLD)
        self._lock = threading.RLock()
        self._active: dict[str, Active] = {}
        self._logged: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._last = ''

    def set(self, code: str, level: bytes | None = None, log: bool = True, **fields: Any) -> None:
        """
        Begin a condition, or note that an event happened once more.

        ``fields`` fill its sentence and its remedy; ``level`` replaces the level of the table. A
        condition of level OK is shown but not logged.
        """
        condition = CONDITIONS[code]
        level = condition.level if level is None else level
        sentence = condition.sentence.format(**fields)
        remedy = condition.remedy.format(**fields)
        now = monotonic()
        with self._lock:
            active = self._active.get(code)
            if active is None or condition.event:
                self._counts[code] = self._counts.get(code, 0) + 1
            if active is None:
                active = Active(condition, level, sentence, remedy, now, now)
                self._active[code] = active
            else:
                active.level, active.sentence, active.remedy = level, sentence, remedy
                active.last = now
            self._last = f'{datetime.now():%H:%M:%S} {code}: {sentence}'
            spoke = self._logged.get(code)
            if active.logged:
                due = condition.event and spoke is not None and now - spoke >= REPEAT
            else:
                due = spoke is None or now - spoke >= QUIET
            if log and due and level != OK:
                active.logged = True
                self._logged[code] = now
                times = f' [{self._counts[code]} times so far]' if self._counts[code] > 1 else ''
                write = self._logger.error if level == ERROR else self._logger.warning
                write(f'{self._prefix}{code}: {active.text}{times}')

    def clear(self, *codes: str) -> None:
        """End conditions; it may be called where they do not hold."""
        with self._lock:
            for code in codes:
                active = self._active.pop(code, None)
                if active is not None and active.logged:
                    seconds = monotonic() - active.since
                    self._logger.info(f'{self._prefix}{code} is over after {seconds:.0f} s')

    def check(
        self,
        code: str,
        wrong: bool,
        level: bytes | None = None,
        log: bool = True,
        **fields: Any,
    ) -> None:
        """`set` a condition if ``wrong``, else `clear` it; a lasting condition is logged once."""
        if wrong:
            self.set(code, level, log, **fields)
        else:
            self.clear(code)

    def rest(self) -> None:
        """End all conditions without logging, as when the node is deactivated."""
        with self._lock:
            self._active.clear()

    def active(self) -> list[Active]:
        """Return the conditions that hold now, the worst first."""
        now = monotonic()
        with self._lock:
            for code, active in list(self._active.items()):
                if active.condition.event and now - active.last > self._hold:
                    self.clear(code)
            order = list(CONDITIONS)
            return sorted(
                self._active.values(),
                key=lambda active: (-active.level[0], order.index(active.condition.code)),
            )

    @property
    def last(self) -> str:
        """The newest condition, with the time of the day; '' where there was none."""
        return self._last

    def info(self, text: str) -> None:
        """Log a text at level INFO."""
        self._logger.info(f'{self._prefix}{text}')
