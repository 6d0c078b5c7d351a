# SPDX-License-Identifier: Apache-2.0
"""Runtimes: one file each behind the protocol of ``engine.py``, opened by :func:`open_engine`."""

from __future__ import annotations

from magadepth_ros.engines.opening import (
    BACKENDS,
    ENGINE_SUFFIXES,
    FASTEST_FIRST,
    PRECISIONS,
    open_engine,
)

__all__ = ['BACKENDS', 'ENGINE_SUFFIXES', 'FASTEST_FIRST', 'PRECISIONS', 'open_engine']
