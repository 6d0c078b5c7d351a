# SPDX-License-Identifier: Apache-2.0
"""The cloud arrays of `completion.project` as sensor_msgs/PointCloud2."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from magadepth_ros.completion.project import FIELDS
from magadepth_ros.errors import EncodingError
from magadepth_ros.messages.images import fill_data, memory_of

# A message of rosbags has the same layout, so that bags are written where ROS is not installed.
if TYPE_CHECKING:
    from sensor_msgs.msg import PointCloud2
    from std_msgs.msg import Header

_FLOAT32 = 7


def cloud_memory(msg: PointCloud2, height: int, width: int, fields: int = 4) -> np.ndarray:
    """Return the memory of a message, (height, width, fields) float32, to make its cloud in."""
    memory = memory_of(msg, height * width * fields * 4)
    return memory.view(np.float32).reshape(height, width, fields)


def cloud_layout(cloud: np.ndarray, field: type) -> dict[str, Any]:
    """
    Say how a cloud lies in a message: all fields but ``header`` and ``data``.

    Parameters
    ----------
    cloud:
        (H, W, 3 to 5) float32: x, y, z [m], the colour as bits 0x00RRGGBB, and the confidence;
        NaN = unknown. One row is no image: a cloud without order, in which all is known.
    field:
        the class of sensor_msgs/PointField, of ROS or of rosbags.

    Raises
    ------
    EncodingError
        the array is of another form.

    """
    if cloud.dtype != np.float32 or cloud.ndim != 3 or not 3 <= cloud.shape[2] <= len(FIELDS):
        raise EncodingError(
            f'cloud: expected (H, W, 3 to 5) float32, got {cloud.dtype} {cloud.shape}; '
            'make it with CloudProjector.project'
        )
    height, width, fields = cloud.shape
    return {
        'height': height,
        'width': width,
        'fields': [
            field(name=name, offset=4 * index, datatype=_FLOAT32, count=1)
            for index, name in enumerate(FIELDS[:fields])
        ],
        'is_bigendian': sys.byteorder == 'big',
        'point_step': 4 * fields,
        'row_step': 4 * fields * width,
        # Unknown points are NaN and stay in their place: an image's cloud keeps its order.
        'is_dense': height == 1,
    }


def fill_cloud(msg: PointCloud2, header: Header, cloud: np.ndarray) -> None:
    """
    Fill a message with a cloud, in one copy or, in its `cloud_memory`, without.

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
