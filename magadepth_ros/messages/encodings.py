# SPDX-License-Identifier: Apache-2.0
"""The table of image encodings: layout of the bytes, and conversion to RGB."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Layout:
    """
    The memory layout of one encoding of ``sensor_msgs/Image``.

    ``channels`` counts the elements of ``dtype`` per pixel (2 for packed YUV 4:2:2, whose chroma
    is shared by two pixels). ``to_rgb`` is OpenCV's conversion code to RGB, or None where the
    elements are RGB already.
    """

    dtype: type[np.unsignedinteger] | type[np.floating]
    channels: int
    to_rgb: int | None = None

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of one pixel [B]."""
        return np.dtype(self.dtype).itemsize * self.channels


# OpenCV names a Bayer pattern by its second row and column, ROS by its first: RGGB is «BayerBG».
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}

COLOUR: dict[str, Layout] = {
    'rgb8': Layout(np.uint8, 3),
    'bgr8': Layout(np.uint8, 3, cv2.COLOR_BGR2RGB),
    'rgba8': Layout(np.uint8, 4, cv2.COLOR_RGBA2RGB),
    'bgra8': Layout(np.uint8, 4, cv2.COLOR_BGRA2RGB),
    'mono8': Layout(np.uint8, 1, cv2.COLOR_GRAY2RGB),
    '8UC1': Layout(np.uint8, 1, cv2.COLOR_GRAY2RGB),
    'rgb16': Layout(np.uint16, 3),
    'bgr16': Layout(np.uint16, 3, cv2.COLOR_BGR2RGB),
    'rgba16': Layout(np.uint16, 4, cv2.COLOR_RGBA2RGB),
    'bgra16': Layout(np.uint16, 4, cv2.COLOR_BGRA2RGB),
    'mono16': Layout(np.uint16, 1, cv2.COLOR_GRAY2RGB),
    'yuv422': Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_YUYV),
    'yuyv': Layout(np.uint8, 2, cv2.COLOR_YUV2RGB_YUYV),
    **{f'bayer_{name}8': Layout(np.uint8, 1, code) for name, code in _BAYER.items()},
    **{f'bayer_{name}16': Layout(np.uint16, 1, code) for name, code in _BAYER.items()},
}
"""Encodings that are read as a colour image."""

SUBSAMPLED = frozenset(name for name, layout in COLOUR.items() if layout.channels == 2)
"""Encodings whose chroma is shared by two pixels, so that the width is even."""

DEPTH: dict[str, Layout] = {
    '16UC1': Layout(np.uint16, 1),
    'mono16': Layout(np.uint16, 1),
    '32FC1': Layout(np.float32, 1),
}
"""Encodings that are read as depth: 16 bit in millimetres, 32 bit in metres (REP 118)."""
