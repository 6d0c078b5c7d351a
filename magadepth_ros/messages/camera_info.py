# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo: the camera it describes, and the message at its image's size."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from magadepth_ros.completion.camera_model import FISHEYE_MODELS, CameraModel, scaled_matrix

# Messages of rosbags have the same fields, so that bags are read where ROS is not installed.
if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo
    from std_msgs.msg import Header


def shown_part(info: Any, width: int, height: int) -> tuple[int, int, int, int]:
    """
    Return left, top, width and height of the part of the sensor that an image shows [px].

    K and P are those of the whole sensor. An image of another size shows the message's region of
    interest, if it has one, at any scale (binning).
    """
    whole, roi = (0, 0, int(info.width), int(info.height)), info.roi
    if (width, height) == whole[2:] or not (roi.width and roi.height):
        return whole
    return int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)


def matrices(info: Any, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return K (9,) and P (12,) of a CameraInfo for an image of this size; see `shown_part`."""
    left, top, w, h = shown_part(info, width, height)
    k, p = (
        scaled_matrix(np.reshape(m, (3, -1)), width / w, height / h, left, top).ravel()
        for m in (info.k, info.p)
    )
    return k, p


def camera_model(info: Any, topic: str = '', size: tuple[int, int] | None = None) -> CameraModel:
    """
    Read the camera of a CameraInfo message, of ROS or of rosbags.

    ``size`` is the (width, height) of the image; None stands for the whole sensor. The camera has
    K and D. Where ``topic`` has one of image_proc's names for rectified images (image_rect,
    .../rect/...), it has P, and no distortion.

    Raises
    ------
    DataError
        the message has no size or no calibration, its distortion model is not supported, or the
        image has another shape.

    """
    k, p = np.reshape(info.k, (3, 3)), np.reshape(info.p, (3, 4))
    *path, name = topic.removesuffix('/compressed').split('/')
    rectified = {'rect', 'rectified'} & {*path, name} or re.search(r'_rect(ified)?(_|$)', name)
    by_p = rectified and p[0, 0] > 0
    (fx, _, cx, *_), (_, fy, cy, *_), _ = (p if by_p else k).tolist()
    coefficients = () if by_p or not any(info.d) else tuple(float(value) for value in info.d)
    model = '' if by_p else info.distortion_model
    size = size or (int(info.width), int(info.height))
    left, top, width, height = shown_part(info, *size)
    camera = CameraModel(width, height, fx, fy, cx - left, cy - top, model, coefficients)
    return camera.scaled(*size)


def camera_info(header: Any, source: Any, width: int, height: int) -> Any:
    """
    Make the camera_info of an outgoing image; ``header`` and ``source`` of ROS or of rosbags.

    Distortion and rectification of ``source`` are kept. Where the image has another size, K and P
    are scaled to it; they then include binning and region of interest, which are reset. A
    ``source`` without a size is copied, with the new header.
    """
    msg = copy.copy(source)
    msg.header = header
    if source.width and source.height and (width, height) != (source.width, source.height):
        msg.width, msg.height = width, height
        msg.k, msg.p = matrices(source, width, height)
        msg.binning_x = msg.binning_y = 0
        roi = copy.copy(source.roi)
        roi.x_offset = roi.y_offset = roi.width = roi.height = 0
        msg.roi = roi
    return msg


def info_of(header: Header, camera: CameraModel) -> CameraInfo:
    """Make the camera_info of a camera with unrectified images."""
    from sensor_msgs.msg import CameraInfo

    msg = CameraInfo(header=header, width=camera.width, height=camera.height)
    msg.distortion_model = camera.distortion_model or 'plumb_bob'
    zeros = [0.0] * (4 if camera.distortion_model in FISHEYE_MODELS else 5)
    msg.d = list(camera.distortion) or zeros
    msg.k = camera.matrix.reshape(-1)
    msg.r = np.eye(3).reshape(-1)
    msg.p = np.hstack([camera.matrix, np.zeros((3, 1))]).reshape(-1)
    return msg
