# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage: JPEG and PNG colour in, compressedDepth in and out."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np

from magadepth_ros.errors import EncodingError, UnknownEncodingError
from magadepth_ros.messages import rvl
from magadepth_ros.messages.images import check_size, fill_data, flat, to_metres, to_rgb
from magadepth_ros.pictures import JPEG_SIGNATURE, PNG_SIGNATURE, encode, to_millimetres

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage
    from std_msgs.msg import Header

_HEADER = struct.Struct('<iff')
_SIZE = struct.Struct('<II')

QUANTISATION = 100.0
"""Of 32FC1 depth as 16-bit inverse depth: 1 mm steps at 3 m (compressed_depth_image_transport)."""


def compressed_to_rgb(msg: CompressedImage) -> np.ndarray:
    """
    Decode a JPEG or PNG picture.

    Returns
    -------
    np.ndarray
        (H, W, 3) uint8 RGB.

    Raises
    ------
    EncodingError
        the format is not JPEG or PNG, or the data are cut short or broken.

    """
    data = flat(msg.data)
    encoding = msg.format.partition(';')[0].strip()
    if encoding.startswith('bayer_'):
        mosaic = _decode(data, cv2.IMREAD_UNCHANGED, msg.format)
        # The encoder stores a raw Bayer image as grey; it has to be converted. An image that the
        # encoder got as colour is decoded as colour.
        if mosaic.ndim == 2:
            return to_rgb(mosaic, encoding)
    decoded = _decode(data, cv2.IMREAD_COLOR, msg.format)
    # The format names the order in which the publisher gave the channels to its encoder; most
    # publishers give bgr.
    if 'compressed rgb' in msg.format:
        return decoded
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def compressed_to_depth(msg: CompressedImage) -> np.ndarray:
    """
    Decode a ``compressedDepth`` message: PNG or RVL, of 16UC1 or of quantised 32FC1.

    Its data begin with twelve bytes: an int32 and the two float32 A, B of the quantisation
    depth = A / (value - B), used for 32FC1. A bare 16-bit PNG is taken as millimetres.

    Returns
    -------
    np.ndarray
        (H, W) float32 metres, 0 or NaN = missing.

    Raises
    ------
    EncodingError
        JPEG (which keeps 8 bits and smears edges), another format, or broken data.

    """
    data = flat(msg.data)
    if data[:3].tobytes() == JPEG_SIGNATURE or 'jpeg' in msg.format or 'jpg' in msg.format:
        raise UnknownEncodingError(
            f'depth as {msg.format!r}: JPEG keeps 8 of 16 bits and smears edges, so the depth is '
            'lost; use the compressedDepth topic of the camera'
        )
    if data[:8].tobytes() == PNG_SIGNATURE:
        return to_metres(_decode(data, cv2.IMREAD_UNCHANGED, msg.format, depth=True))
    encoding = msg.format.split(';')[0].strip()
    if encoding not in ('16UC1', 'mono16', '32FC1'):
        raise UnknownEncodingError(
            f'compressed depth: expected format 16UC1 or 32FC1; compressedDepth, got '
            f'{msg.format!r}; remap depth/image to the base name of a compressedDepth topic'
        )
    if data.size < _HEADER.size:
        raise EncodingError(
            f'compressed depth: expected a header of {_HEADER.size} bytes, got {data.size}'
        )
    _, a, b = _HEADER.unpack(data[: _HEADER.size].tobytes())
    body = data[_HEADER.size :]
    if msg.format.rstrip().endswith('rvl'):
        raw = _decode_rvl(body)
    else:
        raw = _decode(body, cv2.IMREAD_UNCHANGED, msg.format, depth=True)
    if encoding != '32FC1':
        return to_metres(raw)
    if raw.dtype != np.uint16 or not (np.isfinite(a) and np.isfinite(b) and a > 0):
        raise EncodingError(
            f'compressed depth: expected finite A > 0 and B of the quantisation, got A {a:g}, '
            f'B {b:g}; the message is broken'
        )
    with np.errstate(divide='ignore'):
        metres = np.float32(a) / (raw.astype(np.float32) - np.float32(b))
    metres[raw == 0] = np.nan
    return metres


def depth_to_compressed(
    header: Header,
    depth: np.ndarray,
    encoding: str = '32FC1',
    compression: str = 'png',
    nearest: float = 0.1,
    farthest: float = 10.0,
) -> CompressedImage:
    """
    Encode depth for ``compressedDepth`` subscribers.

    Parameters
    ----------
    header:
        of the message; it is not copied.
    depth:
        (H, W) float32 metres, NaN = unknown.
    encoding:
        ``16UC1`` (millimetres, lossless from there) or ``32FC1`` (quantised inverse depth).
    compression:
        ``png`` or ``rvl``.
    nearest, farthest:
        range of the quantisation of 32FC1 [m]; depth outside becomes unknown. A nearer begin
        makes the steps coarser, so the range begins at 0.05 m or farther.

    """
    from sensor_msgs.msg import CompressedImage

    if encoding == '16UC1':
        raw, a, b = to_millimetres(depth), 0.0, 0.0
    elif encoding == '32FC1':
        a = QUANTISATION * (QUANTISATION + 1.0)
        a = min(a, 65534.0 / max(1.0 / max(nearest, 0.05) - 1.0 / farthest, 1e-6))
        # The farthest depth has the value 1, as 0 means unknown.
        b = 1.0 - a / farthest
        with np.errstate(divide='ignore', invalid='ignore'):
            value = np.rint(np.float32(a) / depth + np.float32(b))
        raw = np.where((value >= 1) & (value <= 65535), value, 0).astype(np.uint16)
    else:
        raise EncodingError(f'output encoding: expected 32FC1 or 16UC1, got {encoding!r}')
    if compression == 'rvl':
        body = _SIZE.pack(raw.shape[1], raw.shape[0]) + rvl.encode(raw)
    elif compression == 'png':
        # Level 1: a third of the time of the default for a tenth more bytes.
        body = encode(raw, '.png', cv2.IMWRITE_PNG_COMPRESSION, 1)
    else:
        raise EncodingError(f'depth compression: expected png or rvl, got {compression!r}')
    msg = CompressedImage(header=header, format=f'{encoding}; compressedDepth {compression}')
    fill_data(msg, np.frombuffer(_HEADER.pack(0, a, b) + body, np.uint8))
    return msg


def rgb_to_compressed(header: Header, rgb: np.ndarray) -> CompressedImage:
    """Encode (H, W, 3) uint8 RGB as JPEG of quality 90 of 100, as image_transport does."""
    from sensor_msgs.msg import CompressedImage

    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    msg = CompressedImage(header=header, format='rgb8; jpeg compressed bgr8')
    fill_data(msg, flat(encode(bgr, '.jpg', cv2.IMWRITE_JPEG_QUALITY, 90)))
    return msg


def _decode(data: np.ndarray, flags: int, name: str, depth: bool = False) -> np.ndarray:
    _check_whole(data, name)
    try:
        decoded = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise EncodingError(f'{name!r} cannot be decoded: {error}') from error
    if decoded is None:
        raise EncodingError(f'{name!r}: {data.size} bytes are no picture; the data are broken')
    if depth and (decoded.dtype != np.uint16 or decoded.ndim != 2):
        raise UnknownEncodingError(
            f'{name!r}: expected 16-bit depth with one channel, got {decoded.dtype} '
            f'{decoded.shape}; an 8-bit or colour picture is no depth'
        )
    return decoded


def _check_whole(data: np.ndarray, name: str) -> None:
    """Refuse pictures that are cut short or too large: OpenCV would decode either."""
    head = data[:24].tobytes()
    tail = data[-4096:].tobytes()
    if head.startswith(PNG_SIGNATURE):
        width, height = struct.unpack('>II', head[16:24]) if len(head) == 24 else (0, 0)
        whole = b'IEND' in tail
    elif head.startswith(JPEG_SIGNATURE):
        width, height = _jpeg_size(data)
        whole = b'\xff\xd9' in tail
    else:
        raise EncodingError(
            f'{name!r}: expected JPEG or PNG data, got {data.size} bytes that begin with '
            f'{head[:4].hex() or "nothing"}'
        )
    check_size(repr(name), width, height)
    if not whole:
        raise EncodingError(f'{name!r}: the picture has no end; the message was cut short')


def _jpeg_size(data: np.ndarray) -> tuple[int, int]:
    """Width and height from the frame header; (0, 0) where there is none."""
    at = 2
    while at + 9 <= data.size and data[at] == 0xFF:
        marker = int(data[at + 1])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack('>HH', data[at + 5 : at + 9].tobytes())
            return width, height
        # A fill byte, then markers without a length.
        if marker == 0xFF:
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + max(2, (int(data[at + 2]) << 8) | int(data[at + 3]))
    return 0, 0


def _decode_rvl(body: np.ndarray) -> np.ndarray:
    if body.size < _SIZE.size:
        raise EncodingError(f'RVL: expected width and height, got {body.size} bytes')
    width, height = _SIZE.unpack(body[: _SIZE.size].tobytes())
    check_size('RVL', width, height)
    return rvl.decode(body[_SIZE.size :], width * height).reshape(height, width)
