# SPDX-License-Identifier: Apache-2.0
"""One RGB-D frame, registered and checked: the input of a completion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from magadepth_ros.completion.camera_model import CameraModel, same_aspect_ratio
from magadepth_ros.errors import DataError, ShapeError


@dataclass(frozen=True, eq=False)
class RgbdFrame:
    """
    Colour and depth of one moment, in the image of the colour camera.

    The constructor checks the arrays. RGB of the depth's aspect ratio but another size is scaled
    to the depth's size, as the depth's pixels are the measurements.

    Attributes
    ----------
    rgb:
        (H, W, 3) uint8 RGB.
    depth:
        (H, W) float32 metres; 0, NaN, inf = missing.
    camera:
        intrinsics at this size; None where they are unknown or cannot be used.
    camera_fault:
        why ``info`` cannot be used; empty where it can, or where there is none.
    masked:
        whether a mask has removed depth that is not to be trusted.
    mask_fault:
        why the mask cannot be used; empty where it can, or where there is none.
    stream:
        name of the camera; only frames of one camera follow each other.
    stamp_ns:
        stamp of the colour image [ns]; 0 = unknown.
    header, info:
        std_msgs/Header of the colour image and its sensor_msgs/CameraInfo, of ROS or of rosbags;
        None where the frame did not come as messages.
    timings:
        milliseconds of the stages before: decode, register.

    Raises
    ------
    DataError
        an array is of another type or too small; ShapeError where the two differ in shape.

    """

    rgb: np.ndarray
    depth: np.ndarray
    camera: CameraModel | None = None
    camera_fault: str = ''
    stamp_ns: int = 0
    header: Any = None
    info: Any = None
    timings: Mapping[str, float] = field(default_factory=dict)
    masked: bool = False
    mask_fault: str = ''
    stream: str = ''

    def __post_init__(self) -> None:
        rgb, depth = self.rgb, self.depth
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise DataError(f'rgb is {rgb.dtype} {rgb.shape}, expected uint8 (H, W, 3)')
        if depth.ndim != 2 or depth.dtype != np.float32:
            raise DataError(
                f'depth is {depth.dtype} {depth.shape}, expected float32 metres of (H, W)'
            )
        if min(depth.shape) < 2:
            raise DataError(
                f'depth of {depth.shape[1]}x{depth.shape[0]} is too small: expected 2x2 or more'
            )
        object.__setattr__(self, 'rgb', np.ascontiguousarray(at_size_of(rgb, depth)))
        object.__setattr__(self, 'depth', np.ascontiguousarray(depth))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [px]."""
        return self.depth.shape[1], self.depth.shape[0]

    def without(self, mask: np.ndarray) -> RgbdFrame:
        """
        Return the frame with the depth under a mask set to missing.

        Parameters
        ----------
        mask:
            (h, w) uint8 of the frame's shape, at any size; not 0 = do not trust the depth here.

        Raises
        ------
        ShapeError
            the mask is of another shape.

        """
        (h, w), (width, height) = mask.shape, self.size
        if (w, h) != self.size:
            if not same_aspect_ratio(self.size, (w, h)):
                raise ShapeError(
                    f'the mask is {w}x{h} and depth {width}x{height}: expected equal sizes or '
                    'aspect ratios; make the mask from the colour image'
                )
            mask = cv2.resize(mask, self.size, interpolation=cv2.INTER_NEAREST_EXACT)
        depth = self.depth.copy()
        depth[mask > 0] = 0.0
        return replace(self, depth=depth, masked=True)


def at_size_of(rgb: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Scale (H, W, 3) RGB to the size of (h, w) depth; ShapeError where their shapes differ."""
    if rgb.shape[:2] == depth.shape:
        return rgb
    (height, width), (h, w) = rgb.shape[:2], depth.shape
    if not same_aspect_ratio((width, height), (w, h)):
        raise ShapeError(
            f'RGB is {width}x{height} and depth {w}x{h}: expected equal sizes or aspect ratios; '
            'switch depth alignment on in the camera driver and use its aligned topic'
        )
    method = cv2.INTER_AREA if h < height else cv2.INTER_LINEAR
    return cv2.resize(rgb, (w, h), interpolation=method)
