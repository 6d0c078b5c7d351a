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
        what ``update`` counts up to; None where that is not known.
    what:
        said before the bar.
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
        # A log learns nothing from a bar at 0 %, nor from one of a second.
        delay=0.0 if live else 10.0,
        **options,
    )
