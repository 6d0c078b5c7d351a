# SPDX-License-Identifier: Apache-2.0
"""Reuse the memory of images: fresh pages cost several times as much as the arithmetic."""

from __future__ import annotations

import sys
from array import array as memory
from math import prod

import numpy as np


def _references_of_unused() -> int:
    """Count the references to an array that only the pool holds; it depends on the version."""
    for array in [np.empty(0)]:
        return sys.getrefcount(array)
    raise AssertionError


_UNUSED = _references_of_unused()

MOST_KINDS = 128
"""Number of different shapes and types of arrays in a pool; a frame needs five to ten."""


class Buffers:
    """
    A pool of arrays; it reuses an array once nobody else refers to it or to a view of it.

    So a caller may keep a result for any time; only released arrays are overwritten. Use it from
    one thread at a time. The memory belongs to an `array.array` of bytes, as in a message of ROS,
    so that a result is published without a copy.

    A pool with `MOST_KINDS` shapes and types forgets its arrays before it makes another, so that
    pictures of ever new sizes do not fill the memory.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[tuple[int, ...], type], list[np.ndarray]] = {}

    def take(self, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
        """Return an array of this shape and type with arbitrary content."""
        known = self._arrays.get((shape, dtype))
        if known is None:
            if len(self._arrays) >= MOST_KINDS:
                self._arrays.clear()
            known = self._arrays[shape, dtype] = []
        for array in known:
            if sys.getrefcount(array) == _UNUSED:
                return array
        size = prod(shape) * np.dtype(dtype).itemsize
        array = np.ndarray(shape, dtype, memory('B', bytes(size)))
        known.append(array)
        return array
