# SPDX-License-Identifier: Apache-2.0
"""Find flying pixels and speckle: measurements that neither neighbours nor picture support."""

from __future__ import annotations

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers

_NEIGHBOURS = [(dy, dx) for dy in range(3) for dx in range(3) if (dy, dx) != (1, 1)]
_STRANGERS = 3
_BEYOND_ANY = np.float32(1e9)


def find_suspects(
    measured: np.ndarray, valid: np.ndarray, tolerance: float, buffers: Buffers | None = None
) -> np.ndarray:
    """
    Find the pixels to ask an engine about: it is shown the image without them.

    They are those that several neighbours contradict while none or one supports them (speckle),
    or two where something nearer is beside them (a line of flying pixels around an object). So a
    wire stays, which has two of its own and nothing nearer, and so does sparse depth, which has no
    neighbours at all.

    Parameters
    ----------
    measured:
        (H, W) float32 metres, 0 = missing.
    valid:
        (H, W) bool.
    tolerance:
        what contradicts, relative to the depth.
    buffers:
        where temporary images come from.

    Returns
    -------
    np.ndarray
        (H, W) bool.

    """
    buffers = buffers or Buffers()
    tolerance = np.float32(tolerance)
    around = np.ones((3, 3), np.uint8)
    # Few pixels have a stranger beside them; only these are looked at one by one.
    present = buffers.take(measured.shape)
    np.copyto(present, measured)
    np.copyto(present, _BEYOND_ANY, where=~valid)
    nearest, farthest = cv2.erode(present, around), cv2.dilate(measured, around)
    limit = np.multiply(measured, tolerance, out=present)
    suspects = (measured - nearest > limit) | (farthest - measured > limit)
    suspects &= valid

    rows, columns = np.nonzero(suspects)
    # What goes on to the border goes on beyond it.
    framed = cv2.copyMakeBorder(measured, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = measured[rows, columns]
    limit = tolerance * depth
    nearer, alike, farther = (np.zeros(len(rows), np.uint8) for _ in range(3))
    for dy, dx in _NEIGHBOURS:
        other = framed[rows + dy, columns + dx]
        off = other - depth
        nearer += (off < -limit) & (other > 0)
        alike += np.abs(off) <= limit
        farther += off > limit
    suspects[rows, columns] = (nearer + farther >= _STRANGERS) & (
        (alike < 2) | ((alike < 3) & (nearer > 0))
    )
    return suspects


def refute(
    suspects: np.ndarray, measured: np.ndarray, predicted: np.ndarray, tolerance: float
) -> np.ndarray:
    """
    Tell which suspects a prediction made without them contradicts too.

    Where a suspect stands between two surfaces, a prediction may ramp from one to the other just
    there; it is put on the one it is nearer to first.

    Parameters
    ----------
    suspects:
        (H, W) bool, from `find_suspects`.
    measured:
        (H, W) float32 metres, 0 = missing.
    predicted:
        (H, W) float32 metres; changed at suspects.
    tolerance:
        what contradicts, relative to the depth.

    Returns
    -------
    np.ndarray
        (H, W) bool.

    """
    rows, columns = np.nonzero(suspects)
    trusted = np.where(suspects, np.float32(0.0), measured)
    framed = cv2.copyMakeBorder(trusted, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    near, far = np.full(len(rows), _BEYOND_ANY), np.zeros(len(rows), np.float32)
    for dy, dx in _NEIGHBOURS:
        other = framed[rows + dy, columns + dx]
        np.minimum(near, other, out=near, where=other > 0)
        np.maximum(far, other, out=far)
    guess = predicted[rows, columns]
    between = far - near > np.float32(tolerance) * near
    guess = np.where(between, np.where(guess - near < far - guess, near, far), guess)
    predicted[rows, columns] = guess
    contradicted = np.zeros_like(suspects)
    off = np.abs(measured[rows, columns] - guess)
    contradicted[rows, columns] = off > np.float32(tolerance) * guess
    return contradicted
