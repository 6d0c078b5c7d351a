# SPDX-License-Identifier: Apache-2.0
"""The organised cloud array of `completion.project` as sensor_msgs/PointCloud2."""

from __future__ import annotations

import sys

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from magadepth_ros.completion.project import FIELDS, POINT_STEP
from magadepth_ros.errors import EncodingError
from magadepth_ros.messages.images import fill_data, memory_of


def cloud_memory(msg: PointCloud2, height: int, width: int) -> np.ndarray:
    """Return the memory of a message, (height, width, 4) float32, to make its cloud in."""
    memory = memory_of(msg, height * width * POINT_STEP)
    return memory.view(np.float32).reshape(height, width, POINT_STEP // 4)


def fill_cloud(msg: PointCloud2, header: Header, cloud: np.ndarray) -> None:
    """
    Fill a message with an organised cloud, in one copy or, in its `cloud_memory`, without.

    Parameters
    ----------
    msg:
        may be filled again and again; then it keeps its memory.
    header:
        stamp and optical frame.
    cloud:
        (H, W, 4) float32: x, y, z [m], NaN = unknown, and the colour as bits 0x00RRGGBB.

    Raises
    ------
    EncodingError
        the array is of another form.

    """
    if cloud.ndim != 3 or cloud.shape[2] * cloud.itemsize != POINT_STEP:
        raise EncodingError(
            f'cloud: expected (H, W, 4) float32, got {cloud.dtype} {cloud.shape}; '
            'make it with CloudProjector.project'
        )
    msg.header = header
    msg.height, msg.width = cloud.shape[:2]
    if len(msg.fields) != len(FIELDS):
        msg.fields = [
            PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
            for name, offset in FIELDS
        ]
    msg.is_bigendian = sys.byteorder == 'big'
    msg.point_step = POINT_STEP
    msg.row_step = POINT_STEP * cloud.shape[1]
    # Unknown points are NaN and stay in their place, so that the cloud keeps the image's order.
    msg.is_dense = False
    fill_data(msg, np.ascontiguousarray(cloud))
