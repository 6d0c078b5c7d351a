# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image to arrays and back, through the buffer protocol only."""

from __future__ import annotations

import array
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from magadepth_ros.errors import EncodingError, UnknownEncodingError
from magadepth_ros.messages.encodings import COLOUR, DEPTH, SUBSAMPLED, Layout

# Reading works on any message with these fields, so that bags are read where ROS is not installed.
if TYPE_CHECKING:
    from sensor_msgs.msg import Image

MILLIMETRE = np.float32(0.001)
MAX_SIDE = 16384
"""Widest and highest image taken [px]; a header that claims more is broken."""


def view(msg: Image, layout: Layout) -> np.ndarray:
    """
    Return a message's pixels without copying them.

    Parameters
    ----------
    msg:
        sensor_msgs/Image; ``step`` (padding behind each row), ``is_bigendian`` and a last row
        without padding are respected.
    layout:
        memory layout of the encoding.

    Returns
    -------
    np.ndarray
        (H, W) or (H, W, C) of the layout's dtype, a read-only view of the message's memory.

    Raises
    ------
    EncodingError
        the size, the step and the amount of data contradict each other.

    """
    width, height, step = int(msg.width), int(msg.height), int(msg.step)
    check_size('image size', width, height)
    row = width * layout.bytes_per_pixel
    if step < row:
        raise EncodingError(
            f'step of {msg.encoding!r}: expected at least {row} bytes for {width} pixels, '
            f'got {step}; the publisher must set step to the bytes of one row'
        )
    memory = flat(msg.data)
    needed = step * (height - 1) + row
    if memory.size < needed:
        raise EncodingError(
            f'data of {msg.encoding!r}: expected {needed} bytes for {width}x{height} with '
            f'step {step}, got {memory.size}; the message was cut short'
        )
    dtype = np.dtype(layout.dtype).newbyteorder('>' if msg.is_bigendian else '<')
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, layout.bytes_per_pixel)
    if layout.channels > 1:
        shape += (layout.channels,)
        strides += (dtype.itemsize,)
    pixels = np.ndarray(shape, dtype, buffer=memory, strides=strides)
    pixels.flags.writeable = False
    return pixels


def check_size(what: str, width: int, height: int) -> None:
    """Raise EncodingError, which begins with ``what``, for a size [px] that no image has."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise EncodingError(
            f'{what}: expected 1..{MAX_SIDE} pixels a side, got {width}x{height}; '
            'check width and height in the publisher'
        )


def image_to_rgb(msg: Image) -> np.ndarray:
    """
    Read a colour image.

    Of 16-bit encodings the high byte is taken. cv_bridge, where it is installed, converts
    encodings that are not in the table.

    Returns
    -------
    np.ndarray
        (H, W, 3) uint8 RGB; a read-only view of the message for rgb8, else new memory.

    Raises
    ------
    EncodingError
        the encoding is unknown, or the message contradicts itself.

    """
    layout = COLOUR.get(msg.encoding)
    if layout is None:
        return _by_cv_bridge(msg)
    if msg.encoding in SUBSAMPLED and msg.width % 2:
        raise EncodingError(
            f'{msg.encoding!r} shares chroma between two pixels: expected an even width, '
            f'got {msg.width}'
        )
    return to_rgb(view(msg, layout), msg.encoding)


def to_rgb(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """
    Convert (H, W) or (H, W, C) pixels of an encoding in the table to (H, W, 3) uint8 RGB.

    Raises
    ------
    EncodingError
        the encoding is not in the table, or cannot be converted at this size.

    """
    if encoding not in COLOUR:
        raise UnknownEncodingError(
            f'colour encoding: expected one of {", ".join(COLOUR)}, got {encoding!r}'
        )
    if pixels.dtype.itemsize == 2:
        pixels = (pixels >> 8).astype(np.uint8)
    code = COLOUR[encoding].to_rgb
    if code is None:
        return pixels
    try:
        return cv2.cvtColor(np.ascontiguousarray(pixels), code)
    except cv2.error as error:
        raise EncodingError(
            f'{encoding!r} of {pixels.shape[1]}x{pixels.shape[0]} cannot become RGB: {error}'
        ) from error


def image_to_depth(msg: Image) -> np.ndarray:
    """
    Read a depth image (REP 118).

    Returns
    -------
    np.ndarray
        (H, W) float32 metres; missing pixels are what the sensor wrote (0, NaN, inf, 65.535).
        A read-only view of the message for native 32FC1, else new memory.

    Raises
    ------
    EncodingError
        the encoding is no depth encoding, or the message contradicts itself.

    """
    layout = DEPTH.get(msg.encoding)
    if layout is None:
        raise UnknownEncodingError(
            f'depth encoding: expected one of {", ".join(DEPTH)}, got {msg.encoding!r}; '
            'remap depth/image to a depth topic'
        )
    return to_metres(view(msg, layout))


def to_metres(raw: np.ndarray) -> np.ndarray:
    """Scale raw depth to float32 metres: 16-bit integers are millimetres, floats are metres."""
    if raw.dtype.kind == 'u':
        return np.multiply(raw, MILLIMETRE, dtype=np.float32)
    if raw.dtype.isnative and raw.flags.aligned:
        return raw
    return raw.astype(np.float32)


def reused(kind: type) -> Any:
    """
    Make a message, of a ROS type with uint8[] data, to be filled for each frame.

    It takes an `array.array` as its data without a copy; ordinary messages copy it from Jazzy on.
    """
    try:
        return kind(check_fields=True)
    except AssertionError:
        # Humble has no such option, and never copies.
        return kind()


def fill(msg: Image, pixels: np.ndarray, encoding: str) -> None:
    """Fill an outgoing message with (H, W) or (H, W, C) pixels; see `fill_data`."""
    pixels = np.ascontiguousarray(pixels)
    msg.height, msg.width = pixels.shape[:2]
    msg.encoding = encoding
    msg.is_bigendian = 0
    msg.step = pixels.strides[0]
    fill_data(msg, pixels)


def fill_data(msg: Any, values: np.ndarray) -> None:
    """
    Make a C-contiguous array's bytes ``msg.data`` (any message with uint8[] data).

    The bytes are copied once. They are not copied where the array is `memory_of` the message, or
    is a whole `array.array` of bytes, which the message then shares.
    """
    owner = _owner(values)
    if owner is not None and owner is not msg.data:
        msg.data = owner
    elif owner is None:
        np.copyto(memory_of(msg, values.nbytes), values.reshape(-1).view(np.uint8))


def _owner(values: np.ndarray) -> array.array | None:
    # Return the array.array whose whole memory the bytes are; else None.
    base: Any = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    whole = isinstance(base, array.array) and base.typecode == 'B' and len(base) == values.nbytes
    return base if whole else None


def memory_of(msg: Any, size: int) -> np.ndarray:
    """
    Return the ``size`` bytes of ``msg.data`` to be written, (size,) uint8.

    A message that is filled again keeps its memory, which saves allocations and page faults.
    """
    data = msg.data
    if not isinstance(data, array.array) or len(data) != size:
        msg.data = array.array('B', bytes(size))
        data = msg.data  # a copy, in some versions
    return np.frombuffer(data, np.uint8)


def flat(data: object) -> np.ndarray:
    """Return the bytes of an object with the buffer protocol as (N,) uint8; else EncodingError."""
    try:
        memory = memoryview(data)  # type: ignore[arg-type]
        if memory.nbytes == 0:
            return np.zeros(0, np.uint8)
        return np.frombuffer(memory, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise EncodingError(
            f'data: expected contiguous bytes, got {type(data).__name__} ({error})'
        ) from error


def _by_cv_bridge(msg: Image) -> np.ndarray:
    try:
        from cv_bridge import CvBridge
    except ImportError:
        raise UnknownEncodingError(
            f'RGB encoding: expected one of {", ".join(COLOUR)}, got {msg.encoding!r}; '
            'install cv_bridge for others, or remap rgb/image to a colour topic'
        ) from None
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(msg, 'rgb8'), np.uint8)
    # cv_bridge raises its own error, cv2.error, TypeError or KeyError for a broken message.
    except Exception as error:
        raise UnknownEncodingError(
            f'cv_bridge cannot make {msg.encoding!r} RGB: {error}'
        ) from error
