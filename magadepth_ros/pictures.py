# SPDX-License-Identifier: Apache-2.0
"""Read and write the pictures of a frame; a cut or damaged file is an error."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from magadepth_ros.errors import DataError
from magadepth_ros.files import write_result

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
JPEG_SIGNATURE = b'\xff\xd8\xff'


def read_rgb(path: str | Path) -> np.ndarray:
    """Read a colour (or grey) picture as (H, W, 3) uint8 RGB; DataError where it is broken."""
    # The orientation tag is ignored because the depth picture has none to follow.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = decode(Path(path), flags)
    return np.ascontiguousarray(image[:, :, ::-1])


def read_depth(path: str | Path, depth_scale: float = 0.001) -> np.ndarray:
    """
    Read a 16-bit depth picture as (H, W) float32 metres, 0 = missing.

    ``depth_scale`` is metres per unit. Raises DataError where the file is missing or broken or is
    not 16-bit with one channel: an 8-bit picture is a colouring of depth, not depth.
    """
    image = decode(Path(path), cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint16 or image.ndim != 2:
        channels = 1 if image.ndim == 2 else image.shape[2]
        raise DataError(
            f'{path}: expected depth as a 16-bit picture with one channel, got '
            f'{image.dtype.itemsize * 8}-bit with {channels}; save the raw depth, not a preview'
        )
    return (image * np.float64(depth_scale)).astype(np.float32)


def to_millimetres(depth: np.ndarray) -> np.ndarray:
    """
    Round depth to 16-bit millimetres, as messages and picture files hold it.

    Parameters
    ----------
    depth:
        (H, W) floating point metres; NaN, inf, 0 and negative = missing.

    Returns
    -------
    np.ndarray
        (H, W) uint16 mm, 0 = missing. Depth from 65.535 m on becomes missing too, as 16 bits do
        not hold it, and sensors write 65535 for missing.

    """
    millimetres = depth * np.float32(1000.0)
    np.rint(millimetres, out=millimetres)
    # The comparison is False for NaN, so that one pass finds every value without a number.
    holds = (millimetres > 0) & (millimetres < 65535)
    return np.where(holds, millimetres, np.float32(0.0)).astype(np.uint16)


def write_depth_png(path: str | Path, depth_m: np.ndarray) -> None:
    """
    Write depth as a 16-bit PNG atomically: a reader sees the old file or the whole new one.

    Parameters
    ----------
    path:
        the file, in millimetres; a missing folder is made.
    depth_m:
        (H, W) floating point metres, see `to_millimetres`.

    """
    path = Path(path)
    if depth_m.ndim != 2:
        raise DataError(f'{path}: expected depth of shape (H, W), got {depth_m.shape}')
    write_result(path, encode(to_millimetres(depth_m)))


def encode(pixels: np.ndarray, suffix: str = '.png', *options: int) -> bytes:
    """Encode a picture (BGR, as OpenCV has it); ``options`` are pairs of OpenCV's imencode."""
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise DataError(f'a picture of {pixels.shape} cannot be encoded as {suffix}')
    return data.tobytes()


def decode(path: Path, flags: int) -> np.ndarray:
    """Decode a picture with OpenCV's flags; DataError where it is missing, cut or damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f'{path}: cannot be read: {error.strerror}') from None
    fault = _fault(data)
    image = None if fault else cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise DataError(
            f'{path}: not a whole picture ({fault or "unknown format"}); copy it again'
        )
    return image


def _fault(data: bytes) -> str:
    """Return the fault of a PNG or JPEG; OpenCV reads the top of a cut file without an error."""
    if not data:
        return 'the file is empty'
    if data.startswith(JPEG_SIGNATURE):
        return '' if data.rfind(b'\xff\xd9') > data.rfind(b'\xff\xda') else 'JPEG cut short'
    if not data.startswith(PNG_SIGNATURE):
        return ''
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from('>I', data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from('>I', data, end - 4)[0]:
            return 'PNG with a damaged chunk'
        if data[at + 4 : at + 8] == b'IEND':
            return ''
        at = end
    return 'PNG cut short'
