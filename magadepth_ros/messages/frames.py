# SPDX-License-Identifier: Apache-2.0
"""The one way from an RGB and a depth message, of ROS or of rosbags, to an `RgbdFrame`."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import DataError, EncodingError, SwappedError
from magadepth_ros.messages.camera_info import camera_model
from magadepth_ros.messages.compressed import compressed_to_depth, compressed_to_rgb
from magadepth_ros.messages.encodings import COLOUR, DEPTH
from magadepth_ros.messages.images import image_to_depth, image_to_rgb
from magadepth_ros.messages.masks import Masks, mask_of
from magadepth_ros.messages.registration import DepthRegistration, View
from magadepth_ros.stamps import stamp_ns
from magadepth_ros.topics import CameraTopics


def rgb_of(message: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an Image or CompressedImage; EncodingError where it is broken."""
    return compressed_to_rgb(message) if hasattr(message, 'format') else image_to_rgb(message)


def depth_of(message: Any) -> np.ndarray:
    """(H, W) float32 metres of an Image or CompressedImage; EncodingError where it is broken."""
    return compressed_to_depth(message) if hasattr(message, 'format') else image_to_depth(message)


class FrameReader:
    """
    Makes an `RgbdFrame` of each pair of messages of one camera.

    Its owner sets ``rgb_info`` and ``depth_info`` to the newest camera_infos as they come, and
    adds masks to ``masks``.
    """

    def __init__(
        self, topics: CameraTopics, registration: DepthRegistration | None = None
    ) -> None:
        """``topics`` are named in errors; without ``registration`` depth counts as aligned."""
        self.topics = topics
        self.registration = registration
        self.rgb_info: Any = None
        self.depth_info: Any = None
        self.masks = Masks()
        self._known: tuple[Any, tuple[int, int], CameraModel] | None = None

    def read(self, rgb: Any, depth: Any, mask_max_age: float = 0.0) -> RgbdFrame:
        """
        Decode a pair of messages, register its depth, scale its RGB, find its intrinsics and mask.

        ``mask_max_age`` is the largest gap between the stamps of RGB and mask [s].

        Raises
        ------
        EncodingError
            an image is broken; UnknownEncodingError where its encoding is not one of its stream,
            SwappedError where RGB carries depth and depth carries colour.
        RegistrationError
            the depth is in another frame and cannot be registered; the message says why.
        DataError
            the images do not belong together.

        """
        start = perf_counter()
        _refuse_swapped(rgb, depth)
        picture, metres = rgb_of(rgb), depth_of(depth)
        decoded = perf_counter()
        timings = {'decode': (decoded - start) * 1e3}
        info = self.rgb_info
        if self.registration is not None:
            colour = View(self.topics.rgb, rgb.header.frame_id, info, self.topics.rgb_info)
            sensor = View(
                self.topics.depth,
                depth.header.frame_id,
                self.depth_info,
                self.topics.depth_info,
            )
            if self.registration.needed(colour, sensor):
                size = picture.shape[1], picture.shape[0]
                metres = self.registration.register(metres, colour, sensor, size)
                timings['register'] = (perf_counter() - decoded) * 1e3
        camera, fault = self._camera(info, (metres.shape[1], metres.shape[0]))
        frame = RgbdFrame(
            picture,
            metres,
            camera,
            fault,
            stamp_ns(rgb),
            rgb.header,
            info,
            timings,
            stream=self.topics.rgb,
        )
        mask = self.masks.nearest(frame.stamp_ns, mask_max_age)
        if mask is None:
            return frame
        try:
            return frame.without(mask_of(mask))
        except (DataError, EncodingError) as error:
            return replace(frame, mask_fault=str(error))

    def _camera(self, info: Any, size: tuple[int, int]) -> tuple[CameraModel | None, str]:
        if info is None:
            return None, ''
        # Reading K costs more than a comparison, so the same message is read only once.
        if self._known is None or self._known[0] is not info or self._known[1] != size:
            try:
                self._known = info, size, camera_model(info, self.topics.rgb, size)
            except DataError as error:
                return None, f'{self.topics.rgb_info}: {error}'
        return self._known[2], ''


def _refuse_swapped(rgb: Any, depth: Any) -> None:
    encodings = [getattr(m, 'format', '') or getattr(m, 'encoding', '') for m in (rgb, depth)]
    if _carries_depth(rgb) and _carries_colour(depth):
        raise SwappedError('encodings {!r} and {!r}'.format(*encodings))


def _carries_depth(message: Any) -> bool:
    if hasattr(message, 'format'):
        return 'compressedDepth' in message.format
    return message.encoding in DEPTH.keys() - COLOUR.keys()


def _carries_colour(message: Any) -> bool:
    if hasattr(message, 'format'):
        return 'compressedDepth' not in message.format and not message.format.startswith('16UC1')
    return message.encoding in COLOUR.keys() - DEPTH.keys()
