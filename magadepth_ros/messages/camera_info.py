# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo that goes out, scaled to its image."""

from __future__ import annotations

import copy

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from magadepth_ros.completion.camera_model import CameraModel, scaled_matrix


def camera_info(header: Header, source: CameraInfo, width: int, height: int) -> CameraInfo:
    """
    Make the camera_info of an outgoing image.

    Distortion, rectification, projection, binning and region of interest of ``source`` are kept;
    where the image has another size, K and P are scaled to it.
    """
    same = (width, height) == (source.width, source.height)
    msg = copy.copy(source) if same else copy.deepcopy(source)
    msg.header = header
    if not same:
        sx, sy = width / source.width, height / source.height
        msg.width, msg.height = width, height
        msg.k = scaled_matrix(np.reshape(source.k, (3, 3)), sx, sy).reshape(-1)
        msg.p = scaled_matrix(np.reshape(source.p, (3, 4)), sx, sy).reshape(-1)
    return msg


def pinhole_info(header: Header, camera: CameraModel) -> CameraInfo:
    """Make the camera_info of an ideal pinhole camera (no distortion)."""
    msg = CameraInfo(header=header, width=camera.width, height=camera.height)
    msg.distortion_model = camera.distortion_model or 'plumb_bob'
    msg.d = [0.0] * 5
    msg.k = camera.matrix.reshape(-1)
    msg.r = np.eye(3).reshape(-1)
    msg.p = np.hstack([camera.matrix, np.zeros((3, 1))]).reshape(-1)
    return msg
