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
    """Return the memory of a message as (height, width, fields) float32, to write a cloud into."""
    memory = memory_of(msg, height * width * fields * 4)
    return memory.view(np.float32).reshape(height, width, fields)


def cloud_layout(cloud: np.ndarray, field: type) -> dict[str, Any]:
    """
    Return the fields of a PointCloud2 that describe a cloud: all but ``header`` and ``data``.

    Parameters
    ----------
    cloud:
        (H, W, 3 to 5) float32: x, y, z [m], the colour as bits 0x00RRGGBB, and the confidence;
        NaN = unknown. A cloud of one row is unorganised, and all its points are known.
    field:
        the class of sensor_msgs/PointField, of ROS or of rosbags.

    Raises
    ------
    EncodingError
        the array has another shape or dtype.

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
        # Unknown points are NaN and keep their place, so that the cloud stays organised.
        'is_dense': height == 1,
    }


def fill_cloud(msg: PointCloud2, header: Header, cloud: np.ndarray) -> None:
    """
    Fill a message with a cloud; a cloud in the message's `cloud_memory` is not copied.

    Parameters
    ----------
    msg:
        the PointCloud2; one that is filled again keeps its memory.
    header:
        stamp and optical frame.
    cloud:
        as for `cloud_layout`, which raises EncodingError for another shape or dtype.

    """
    from sensor_msgs.msg import PointField

    msg.header = header
    for name, value in cloud_layout(cloud, PointField).items():
        setattr(msg, name, value)
    fill_data(msg, np.ascontiguousarray(cloud))
