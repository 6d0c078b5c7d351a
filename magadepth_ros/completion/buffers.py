# SPDX-License-Identifier: Apache-2.0
"""Reuse the memory of images: touching fresh pages costs several times the arithmetic in them."""

from __future__ import annotations

import sys
from array import array as memory
from math import prod

import numpy as np


def _references_of_unused() -> int:
    """Count those to an array that only a pool holds; some are the interpreter's, by version."""
    for array in [np.empty(0)]:
        return sys.getrefcount(array)
    raise AssertionError


_UNUSED = _references_of_unused()


class Buffers:
    """
    Hands out arrays, and hands one out again once nobody else refers to it or to a view of it.

    So results may be kept as long as one likes; only what was let go of is overwritten. For one
    thread at a time. An `array.array` of bytes owns the memory, as it does in a message of ROS: a
    result is published without being copied into one.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[tuple[int, ...], type], list[np.ndarray]] = {}

    def take(self, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
        """Return an array of this shape and type with arbitrary content."""
        known = self._arrays.setdefault((shape, dtype), [])
        for array in known:
            if sys.getrefcount(array) == _UNUSED:
                return array
        size = prod(shape) * np.dtype(dtype).itemsize
        array = np.ndarray(shape, dtype, memory('B', bytes(size)))
        known.append(array)
        return array
