# SPDX-License-Identifier: Apache-2.0
"""Masks of glass, mirrors and other wrong depth: find the mask that belongs to a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from magadepth_ros.errors import UnknownEncodingError
from magadepth_ros.messages.encodings import COLOUR
from magadepth_ros.messages.images import view
from magadepth_ros.stamps import NANO, stamp_ns

_KEPT = 16
_ENCODINGS = ('mono8', '8UC1')


class Masks:
    """The newest masks; one thread adds masks, another one reads them."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[int, Any], ...] = ()

    @property
    def in_use(self) -> bool:
        """Whether a mask has come."""
        return bool(self._kept)

    def add(self, message: Any) -> None:
        """Take a sensor_msgs/Image."""
        self._kept = (*self._kept, (stamp_ns(message), message))[-_KEPT:]

    def nearest(self, stamp: int, max_age: float) -> Any:
        """Return the mask nearest to a stamp [ns], within ``max_age`` [s] of it, or None."""
        # Of two equally near masks the later one.
        at, mask = min(
            self._kept, key=lambda kept: (abs(kept[0] - stamp), -kept[0]), default=(stamp, None)
        )
        return mask if abs(at - stamp) <= max_age * NANO else None


def mask_of(message: Any) -> np.ndarray:
    """(H, W) uint8 of a mono8 image, not 0 = do not trust; EncodingError for other encodings."""
    if message.encoding not in _ENCODINGS:
        raise UnknownEncodingError(
            f'mask encoding: expected {" or ".join(_ENCODINGS)}, got {message.encoding!r}'
        )
    return view(message, COLOUR['mono8'])
