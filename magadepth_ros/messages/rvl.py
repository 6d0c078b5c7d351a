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

    The picture is a chain of runs: how many zeros, how many values, then each value's difference
    to the value before (zigzag). Numbers are cut into groups of three bits, lowest first, with a
    fourth bit that says «more follows»; eight such nibbles fill a 32-bit word from its top.

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
    starts, ends = edges[0::2], edges[1::2]
    counts = ends - starts
    zeros = starts - np.concatenate([[0], ends[:-1]]) if len(starts) else starts
    tail = len(flat) - (ends[-1] if len(ends) else 0)
    if tail:
        zeros, counts = np.append(zeros, tail), np.append(counts, 0)
    values = flat[known].astype(np.int64)
    delta = np.diff(values, prepend=0)
    numbers = np.empty(2 * len(counts) + len(values), np.int64)
    before = np.cumsum(counts) - counts
    heads = 2 * np.arange(len(counts)) + before
    numbers[heads], numbers[heads + 1] = zeros, counts
    run = np.repeat(np.arange(len(counts)), counts)
    numbers[np.arange(len(values)) + 2 * (run + 1)] = (delta << 1) ^ (delta >> 63)
    return _pack(numbers)


def decode(data: np.ndarray, pixels: int) -> np.ndarray:
    """
    Decompress to ``pixels`` values.

    Parameters
    ----------
    data:
        (N,) uint8, what `encode` gives.
    pixels:
        how many values the picture has.

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
    result = np.zeros(pixels, np.uint16)
    starts, lengths, places = [], [], []
    at = place = 0
    while place < pixels:
        if at + 2 > len(numbers):
            raise EncodingError(f'RVL: expected {pixels} pixels, data end at pixel {place}')
        place += int(numbers[at])
        length = int(numbers[at + 1])
        at += 2
        if place + length > pixels or at + length > len(numbers):
            raise EncodingError(
                f'RVL: a run of {length} values at pixel {place} goes beyond {pixels} pixels or '
                'the end of the data; the message is broken'
            )
        starts.append(at)
        lengths.append(length)
        places.append(place)
        at += length
        place += length
    counts = np.array(lengths, np.int64)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    coded = numbers[np.repeat(starts, counts) + offsets] if len(offsets) else numbers[:0]
    delta = (coded >> 1) ^ -(coded & 1)
    result[np.repeat(places, counts) + offsets] = (np.cumsum(delta) & 0xFFFF).astype(np.uint16)
    return result


def _pack(numbers: np.ndarray) -> bytes:
    sizes = np.ones(len(numbers), np.int64)
    for group in range(1, _MAX_NIBBLES):
        sizes += numbers >= 1 << (3 * group)
    first = np.cumsum(sizes) - sizes
    total = int(sizes.sum())
    nibbles = np.zeros(-(-total // 8) * 8, np.uint8)
    for group in range(int(sizes.max(initial=0))):
        some = sizes > group
        more = (sizes[some] - 1 > group).astype(np.int64) << 3
        nibbles[first[some] + group] = ((numbers[some] >> (3 * group)) & 7) | more
    pairs = (nibbles[0::2] << 4) | nibbles[1::2]
    return pairs.reshape(-1, 4)[:, ::-1].tobytes()


def _unpack(data: np.ndarray) -> np.ndarray:
    words = data[: len(data) // 4 * 4].reshape(-1, 4)[:, ::-1].reshape(-1)
    nibbles = np.empty(2 * len(words), np.uint8)
    nibbles[0::2], nibbles[1::2] = words >> 4, words & 15
    last = np.flatnonzero(nibbles < 8)
    if len(last) == 0:
        return np.zeros(0, np.int64)
    first = np.concatenate([[0], last[:-1] + 1])
    sizes = last - first + 1
    if sizes.max() > _MAX_NIBBLES:
        raise EncodingError('RVL: a number of more than 32 bits; the message is broken')
    numbers = np.zeros(len(last), np.int64)
    for group in range(int(sizes.max())):
        some = sizes > group
        numbers[some] |= (nibbles[first[some] + group].astype(np.int64) & 7) << (3 * group)
    return numbers
