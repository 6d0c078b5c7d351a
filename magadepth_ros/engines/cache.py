# SPDX-License-Identifier: Apache-2.0
"""Where engines built from a model are kept, so that each is built once."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/magadepth_ros`` (default ``~/.cache/magadepth_ros``)."""
    base = os.environ.get('XDG_CACHE_HOME', '')
    root = Path(base) if os.path.isabs(base) else Path.home() / '.cache'
    return root / 'magadepth_ros'
