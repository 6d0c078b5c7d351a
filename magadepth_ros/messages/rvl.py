# SPDX-License-Identifier: Apache-2.0
"""RVL, the lossless depth codec of A. Wilson (ISS 2017), in whole-array operations."""

from __future__ import annotations

import numpy as np

from magadepth_ros.errors import EncodingError

_MAX_NIBBLES = 11
"""Nibbles of a 32-bit number: three bits in each."""


def encode(depth: np.ndarray) -> bytes:
    """
    Compress 16-bit depth without loss.

    The image is stored as a chain of runs: the number of zeros, the number of values, then each
    value's difference to the value before (zigzag). Numbers are cut into groups of three bits,
    lowest first; a fourth bit is set where more groups follow. Eight such nibbles fill a 32-bit
    word from its top.

    Parameters
    ----------
    depth:
        uint16 of any shape, 0 = missing.

    Returns
    -------
    bytes
        little-endian words.

    """
    flat = np.ascontiguousarray(depth, np.uint16).reshape(-1)
    known = flat != 0
    edges = np.flatnonzero(np.diff(known, prepend=False, append=False))
    # Zeros, values, zeros, values ... zeros; no values follow the last zeros, if there are any.
    runs = np.diff(edges, prepend=0, append=len(flat))
    runs = np.append(runs, 0) if runs[-1] else runs[:-1]
    zeros, counts = runs[0::2], runs[1::2]
    values = flat[known].astype(np.int32)
    delta = np.diff(values, prepend=np.int32(0))
    numbers = np.empty(2 * len(counts) + len(values), np.int32)
    heads = 2 * np.arange(len(counts)) + np.cumsum(counts) - counts
    is_head = np.zeros(len(numbers), bool)
    is_head[heads] = is_head[heads + 1] = True
    numbers[heads], numbers[heads + 1] = zeros, counts
    numbers[~is_head] = (delta << 1) ^ (delta >> 31)
    return _pack(numbers)


def decode(data: np.ndarray, pixels: int) -> np.ndarray:
    """
    Decompress to ``pixels`` values.

    Parameters
    ----------
    data:
        (N,) uint8, bytes of `encode`.
    pixels:
        number of values of the image.

    Returns
    -------
    np.ndarray
        (pixels,) uint16, 0 = missing.

    Raises
    ------
    EncodingError
        the data are cut short or broken.

    """
    numbers = _unpack(data)
    heads: list[int] = []
    runs: list[int] = []
    at = place = 0
    while place < pixels:
        if at + 2 > len(numbers):
            raise EncodingError(f'RVL: expected {pixels} pixels, data end at pixel {place}')
        zeros, length = int(numbers[at]), int(numbers[at + 1])
        heads.append(at)
        at += 2 + length
        place += zeros + length
        if place > pixels or at > len(numbers):
            raise EncodingError(
                f'RVL: a run of {length} values behind {zeros} zeros ends at pixel {place}: '
                f'beyond {pixels} pixels or the end of the data; the message is broken'
            )
        runs += (zeros, length)
    is_delta = np.ones(at, bool)
    is_delta[heads] = is_delta[np.add(heads, 1)] = False
    coded = numbers[:at][is_delta].astype(np.int32)
    delta = (coded >> 1) ^ -(coded & 1)
    known = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    result = np.zeros(pixels, np.uint16)
    # Only the low 16 bits of the sum are used, so an overflow does no harm.
    result[known] = np.cumsum(delta, dtype=np.int32).astype(np.uint16)
    return result


def _pack(numbers: np.ndarray) -> bytes:
    sizes = np.ones(len(numbers), np.int32)
    largest, group = int(numbers.max(initial=0)), 1
    while largest >> (3 * group):
        sizes += numbers >= 1 << (3 * group)
        group += 1
    place = _places(sizes)
    nibbles = np.zeros(-(-len(place) // 8) * 8, np.uint8)
    more = place < np.repeat(sizes, sizes) - 1
    nibbles[: len(place)] = ((np.repeat(numbers, sizes) >> (3 * place)) & 7) | (more << 3)
    pairs = (nibbles[0::2] << 4) | nibbles[1::2]
    return pairs.reshape(-1, 4)[:, ::-1].tobytes()


def _unpack(data: np.ndarray) -> np.ndarray:
    words = data[: len(data) // 4 * 4].reshape(-1, 4)[:, ::-1].reshape(-1)
    nibbles = np.empty(2 * len(words), np.uint8)
    nibbles[0::2], nibbles[1::2] = words >> 4, words & 15
    last = np.flatnonzero(nibbles < 8).astype(np.int32)
    if len(last) == 0:
        return np.zeros(0, np.uint32)
    sizes = np.diff(last, prepend=np.int32(-1))
    if sizes.max() > _MAX_NIBBLES:
        raise EncodingError('RVL: a number of more than 32 bits; the message is broken')
    used = nibbles[: last[-1] + 1]
    parts = (used & 7).astype(np.uint32) << (3 * _places(sizes)).astype(np.uint32)
    return np.add.reduceat(parts, last - sizes + 1)


def _places(sizes: np.ndarray) -> np.ndarray:
    """0, 1, ... within each group of nibbles."""
    ends = np.cumsum(sizes, dtype=np.int32)
    count = int(ends[-1]) if len(ends) else 0
    return np.arange(count, dtype=np.int32) - np.repeat(ends - sizes, sizes)
