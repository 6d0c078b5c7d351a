# SPDX-License-Identifier: Apache-2.0
"""Find flying pixels and speckle: measurements that neighbours and prediction contradict."""

from __future__ import annotations

import cv2
import numpy as np

_NEIGHBOURS = [(dy, dx) for dy in range(3) for dx in range(3) if (dy, dx) != (1, 1)]
_STRANGERS = 3
_BEYOND_ANY = np.float32(1e9)


def find_suspects(measured: np.ndarray, valid: np.ndarray, tolerance: float) -> np.ndarray:
    """
    Find suspected outliers, which are hidden from the engine.

    A suspect is contradicted by several neighbours and supported by at most one (speckle), or by
    two where something nearer is beside it (a line of flying pixels around an object). So a pixel
    of a wire is no suspect: two neighbours on the wire support it, and nothing is nearer. Nor is a
    pixel of a plane at a grazing angle, or of sparse depth, which has no neighbours at all.

    Parameters
    ----------
    measured:
        (H, W) float32 metres, 0 = missing.
    valid:
        (H, W) bool.
    tolerance:
        smallest contradicting difference, relative to the depth.

    Returns
    -------
    np.ndarray
        (H, W) bool.

    """
    height, width = measured.shape
    # NaN is neither nearer nor farther. A surface at the border continues beyond it.
    present = np.where(valid, measured, np.float32(np.nan))
    framed = cv2.copyMakeBorder(present, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    near, far = measured * np.float32(1 - tolerance), measured * np.float32(1 + tolerance)
    nearer, farther, missing = (np.zeros(measured.shape, np.uint8) for _ in range(3))
    for dy, dx in _NEIGHBOURS:
        other = framed[dy : dy + height, dx : dx + width]
        # OpenCV's true is 255, which is -1 as int8.
        nearer -= cv2.compare(other, near, cv2.CMP_LT)
        farther -= cv2.compare(other, far, cv2.CMP_GT)
        missing += np.isnan(other)
    strangers = nearer + farther
    alike = 8 - strangers - missing
    suspects = (alike < 2) | ((alike < 3) & (nearer > 0))
    suspects &= (strangers >= _STRANGERS) & valid
    rows, columns = np.nonzero(suspects)
    suspects[rows, columns] = ~_on_a_plane(present, rows, columns, tolerance)
    return suspects


def _on_a_plane(
    present: np.ndarray, rows: np.ndarray, columns: np.ndarray, tolerance: float
) -> np.ndarray:
    """Whether pixels lie on the plane of their neighbours: 1/depth is linear in the pixels."""
    framed = cv2.copyMakeBorder(present, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=np.nan)
    flat, wide = framed.ravel(), framed.shape[1]
    centres = (rows + 2) * wide + columns + 2
    on_a_plane = np.ones(len(rows), bool)
    for step in (1, wide):
        inverse = [1 / flat.take(centres + k * step) for k in range(-2, 3)]
        before, here, behind = (
            np.abs(2 * inverse[k] - inverse[k - 1] - inverse[k + 1]) <= 2 * tolerance * inverse[k]
            for k in (1, 2, 3)
        )
        # Where one side is missing, the other side decides.
        on_a_plane &= np.where(
            np.isnan(inverse[1]), behind, np.where(np.isnan(inverse[3]), before, here)
        )
        on_a_plane &= before | behind
    return on_a_plane


def refute(
    suspects: np.ndarray, measured: np.ndarray, predicted: np.ndarray, tolerance: float
) -> np.ndarray:
    """
    Return the suspects that the prediction, which was made without them, contradicts too.

    Between two surfaces a prediction may form a ramp. At a suspect, such a prediction is first set
    to the nearer of the two surfaces.

    Parameters
    ----------
    suspects:
        (H, W) bool, from `find_suspects`.
    measured:
        (H, W) float32 metres, 0 = missing.
    predicted:
        (H, W) float32 metres; changed at suspects.
    tolerance:
        smallest contradicting difference, relative to the depth.

    Returns
    -------
    np.ndarray
        (H, W) bool.

    """
    rows, columns = np.nonzero(suspects)
    trusted = np.where(suspects, np.float32(0.0), measured)
    framed = cv2.copyMakeBorder(trusted, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    flat, wide = framed.ravel(), framed.shape[1]
    corners = rows * wide + columns
    near, far = np.full(len(rows), _BEYOND_ANY), np.zeros(len(rows), np.float32)
    for dy, dx in _NEIGHBOURS:
        other = flat.take(corners + (dy * wide + dx))
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
