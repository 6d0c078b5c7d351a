# SPDX-License-Identifier: Apache-2.0
"""Read the stamps of messages, in nanoseconds."""

from __future__ import annotations

import struct
from typing import Any

from magadepth_ros.errors import DataError

NANO = 1_000_000_000


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
