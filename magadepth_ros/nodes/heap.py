# SPDX-License-Identifier: Apache-2.0
"""Keep freed memory in the process: fresh pages cost several times as much as a copy."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
LARGEST = 32 * 2**20
"""Blocks up to this size [bytes] are used again; glibc allows no more."""
KEPT = 128 * 2**20
"""Free memory at the end of the heap that is not given back to the system [bytes]."""


def keep_freed_memory() -> None:
    """
    Make glibc reuse the memory of a message for the next one; without glibc nothing happens.

    By default glibc asks the kernel for the memory of each image and cloud, and the kernel clears
    every page. The environment variables MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ do the
    same for processes of other packages.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, LARGEST)
    mallopt(_M_TRIM_THRESHOLD, KEPT)
