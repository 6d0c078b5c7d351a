# SPDX-License-Identifier: Apache-2.0
"""The organised cloud array of `completion.project` as sensor_msgs/PointCloud2."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from magadepth_ros.completion.project import FIELDS, POINT_STEP
from magadepth_ros.errors import EncodingError
from magadepth_ros.messages.images import fill_data, memory_of

# A message of rosbags has the same layout, so that bags are written where ROS is not installed.
if TYPE_CHECKING:
    from sensor_msgs.msg import PointCloud2
    from std_msgs.msg import Header

_FLOAT32 = 7


def cloud_memory(msg: PointCloud2, height: int, width: int) -> np.ndarray:
    """Return the memory of a message, (height, width, 4) float32, to make its cloud in."""
    memory = memory_of(msg, height * width * POINT_STEP)
    return memory.view(np.float32).reshape(height, width, POINT_STEP // 4)


def cloud_layout(cloud: np.ndarray, field: type) -> dict[str, Any]:
    """
    Say how an organised cloud lies in a message: all fields but ``header`` and ``data``.

    Parameters
    ----------
    cloud:
        (H, W, 4) float32: x, y, z [m], NaN = unknown, and the colour as bits 0x00RRGGBB.
    field:
        the class of sensor_msgs/PointField, of ROS or of rosbags.

    Raises
    ------
    EncodingError
        the array is of another form.

    """
    if cloud.dtype != np.float32 or cloud.ndim != 3 or cloud.shape[2] != 4:
        raise EncodingError(
            f'cloud: expected (H, W, 4) float32, got {cloud.dtype} {cloud.shape}; '
            'make it with CloudProjector.project'
        )
    return {
        'height': cloud.shape[0],
        'width': cloud.shape[1],
        'fields': [
            field(name=name, offset=offset, datatype=_FLOAT32, count=1) for name, offset in FIELDS
        ],
        'is_bigendian': sys.byteorder == 'big',
        'point_step': POINT_STEP,
        'row_step': POINT_STEP * cloud.shape[1],
        # Unknown points are NaN and stay in their place: the cloud keeps the image's order.
        'is_dense': False,
    }


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
        as for `cloud_layout`, which raises EncodingError where it is of another form.

    """
    from sensor_msgs.msg import PointField

    msg.header = header
    for name, value in cloud_layout(cloud, PointField).items():
        setattr(msg, name, value)
    fill_data(msg, np.ascontiguousarray(cloud))
