# SPDX-License-Identifier: Apache-2.0
"""Keep freed memory in the process, as fresh pages cost several times what is copied into them."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
LARGEST = 32 * 2**20
"""Blocks up to this size [bytes] are used again; glibc allows no more."""
KEPT = 128 * 2**20
"""Free memory at the end of the heap that is not given back to the system [bytes]."""


def keep_freed_memory() -> None:
    """
    Have glibc use the memory of a message again for the next one; nothing happens elsewhere.

    By default it asks the system for each image and cloud anew, and the system clears every page.
    MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ do the same for a process of another package.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, LARGEST)
    mallopt(_M_TRIM_THRESHOLD, KEPT)
