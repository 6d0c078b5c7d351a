# SPDX-License-Identifier: Apache-2.0
"""Read stamp and image of a message, of ROS or of rosbags, whole or still serialised."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from magadepth_ros.errors import DataError
from magadepth_ros.messages.compressed import compressed_to_depth, compressed_to_rgb
from magadepth_ros.messages.images import image_to_depth, image_to_rgb
from magadepth_ros.pairing import NANO


def stamp_ns(message: Any) -> int:
    """Return header.stamp [ns] of a message."""
    stamp = message.header.stamp
    return stamp.sec * NANO + stamp.nanosec


def serialised_stamp_ns(data: bytes) -> int:
    """Return header.stamp [ns] of a serialised message (CDR); DataError where that is cut off."""
    if len(data) < 12:
        raise DataError(
            f'serialised message: expected a header, 12 bytes or more, got {len(data)}; the '
            'message was cut short, or is of a type without a header'
        )
    # Four bytes of encapsulation, the second of which is odd for little-endian.
    seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    return seconds * NANO + nanoseconds


def read_rgb(message: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an Image or CompressedImage; EncodingError where it is broken."""
    return compressed_to_rgb(message) if hasattr(message, 'format') else image_to_rgb(message)


def read_depth(message: Any) -> np.ndarray:
    """(H, W) float32 metres of an Image or CompressedImage; EncodingError where it is broken."""
    return compressed_to_depth(message) if hasattr(message, 'format') else image_to_depth(message)
