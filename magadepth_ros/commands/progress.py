# SPDX-License-Identifier: Apache-2.0
"""The progress display of every command: tqdm's bar on a terminal, a line every 10 s in a log."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress(total: float | None, what: str, unit: str = ' frames', **options: Any) -> Any:
    """
    Return a bar of tqdm on standard error, a context manager with ``update(count)``.

    Parameters
    ----------
    total:
        the sum of all ``update`` counts; None where it is not known.
    what:
        text before the bar.
    unit:
        of a count.
    options:
        of ``tqdm``.

    """
    live = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=what,
        unit=unit,
        file=sys.stderr,
        dynamic_ncols=live,
        ascii=None if live else True,
        mininterval=0.5 if live else 10.0,
        # In a log, the bar at 0 % and bars of a second or less are of no use.
        delay=0.0 if live else 10.0,
        **options,
    )
