# SPDX-License-Identifier: Apache-2.0
"""Stop a command at Ctrl-C or SIGTERM at a point that the command chooses."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class Stop:
    """True after the first SIGINT or SIGTERM; the end of the context restores the old handlers."""

    def __init__(self) -> None:
        self._set = False
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self._set

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._set = True
