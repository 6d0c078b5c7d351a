# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo: the intrinsics of an image, checked against it and scaled to it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from magadepth_ros.errors import EncodingError

KNOWN_MODELS = ('', 'plumb_bob', 'rational_polynomial', 'equidistant', 'fisheye', 'none')


@dataclass(frozen=True)
class Intrinsics:
    """
    A pinhole camera: focal lengths and principal point [px], image size [px].

    ``model`` names the distortion model of the message; ``distorted`` says that its coefficients
    are not all zero, so that a pinhole projection of this image is only an approximation.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    model: str = ''
    distorted: bool = False

    @property
    def matrix(self) -> np.ndarray:
        """K as (3, 3) float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def scaled(self, width: int, height: int) -> Intrinsics:
        """
        Give the intrinsics of the same picture at another size.

        Pixel centres are at whole numbers: u' + 0.5 = (u + 0.5) * scale.

        Raises
        ------
        EncodingError
            the aspect ratio differs by more than a pixel: that is a crop, not a scaling.

        """
        if (width, height) == (self.width, self.height):
            return self
        sx, sy = width / self.width, height / self.height
        if abs(sx * self.height - height) > 1 and abs(sy * self.width - width) > 1:
            raise EncodingError(
                f'camera_info is for {self.width}x{self.height}, the image is {width}x{height}: '
                'expected one size, or sizes of the same shape; remap camera_info to the topic '
                'that belongs to the image'
            )
        return Intrinsics(
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
            width=width,
            height=height,
            model=self.model,
            distorted=self.distorted,
        )


def intrinsics(msg: CameraInfo) -> Intrinsics:
    """
    Read the intrinsics (``K``) of a message.

    Raises
    ------
    EncodingError
        no size, an uncalibrated camera (K of zeros), numbers that are not finite, or an unknown
        distortion model.

    """
    values = np.asarray(msg.k, np.float64)
    if msg.width == 0 or msg.height == 0:
        raise EncodingError(
            f'camera_info: expected the image size, got {msg.width}x{msg.height}; '
            'calibrate the camera or set width and height in its driver'
        )
    if values.shape != (9,) or not np.isfinite(values).all():
        raise EncodingError('camera_info: expected nine finite numbers in K')
    fx, fy, cx, cy = values[0], values[4], values[2], values[5]
    if fx <= 0 or fy <= 0:
        raise EncodingError(
            f'camera_info: expected focal lengths above 0 px, got fx {fx:g}, fy {fy:g}; '
            'the camera is not calibrated'
        )
    if msg.distortion_model not in KNOWN_MODELS:
        raise EncodingError(
            f'camera_info: distortion model {msg.distortion_model!r} is not known; '
            f'expected one of {", ".join(m for m in KNOWN_MODELS if m)}'
        )
    coefficients = np.asarray(msg.d, np.float64)
    return Intrinsics(
        float(fx),
        float(fy),
        float(cx),
        float(cy),
        int(msg.width),
        int(msg.height),
        msg.distortion_model,
        bool(np.any(np.abs(coefficients) > 1e-9)),
    )


def camera_info(header: Header, source: CameraInfo, camera: Intrinsics) -> CameraInfo:
    """
    Make the camera_info of an outgoing image.

    Distortion, rectification, projection, binning and region of interest of ``source`` are kept;
    where ``camera`` has another size, K and P are scaled to it.
    """
    msg = copy.copy(source)
    msg.header = header
    if (camera.width, camera.height) == (source.width, source.height):
        return msg
    sx, sy = camera.width / source.width, camera.height / source.height
    msg = copy.deepcopy(source)
    msg.header = header
    msg.width, msg.height = camera.width, camera.height
    msg.k = camera.matrix.reshape(-1)
    projection = np.asarray(source.p, np.float64).reshape(3, 4)
    scaled = projection * np.array([[sx], [sy], [1.0]])
    if projection.any():
        scaled[0, 2] = (projection[0, 2] + 0.5) * sx - 0.5
        scaled[1, 2] = (projection[1, 2] + 0.5) * sy - 0.5
    msg.p = scaled.reshape(-1)
    return msg


def pinhole_info(header: Header, camera: Intrinsics) -> CameraInfo:
    """Make the camera_info of an ideal pinhole camera (no distortion)."""
    msg = CameraInfo(header=header, width=camera.width, height=camera.height)
    msg.distortion_model = camera.model or 'plumb_bob'
    msg.d = [0.0] * 5
    msg.k = camera.matrix.reshape(-1)
    msg.r = np.eye(3).reshape(-1)
    msg.p = np.hstack([camera.matrix, np.zeros((3, 1))]).reshape(-1)
    return msg
