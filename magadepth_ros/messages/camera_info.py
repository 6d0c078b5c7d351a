# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo that goes out, scaled to its image."""

from __future__ import annotations

import copy

import numpy as np
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.messages.registration import matrices


def camera_info(header: Header, source: CameraInfo, width: int, height: int) -> CameraInfo:
    """
    Make the camera_info of an outgoing image.

    Distortion and rectification of ``source`` are kept. Where the image has another size, K and P
    are brought to it, and binning and region of interest, which are in them then, are taken out.
    """
    msg = copy.copy(source)
    msg.header = header
    if (width, height) != (source.width, source.height):
        msg.width, msg.height = width, height
        msg.k, msg.p = matrices(source, width, height)
        msg.binning_x = msg.binning_y = 0
        msg.roi = RegionOfInterest(do_rectify=source.roi.do_rectify)
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
