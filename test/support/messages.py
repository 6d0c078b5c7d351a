# SPDX-License-Identifier: Apache-2.0
"""Images as a camera driver would publish them."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from magadepth_ros.messages.images import fill
from magadepth_ros.pictures import to_millimetres


def rgb_image(header: Header, rgb: np.ndarray) -> Image:
    """Make an rgb8 message of (H, W, 3) uint8 RGB."""
    msg = Image(header=header)
    fill(msg, rgb, 'rgb8')
    return msg


def depth_image(header: Header, depth: np.ndarray, encoding: str = '32FC1') -> Image:
    """Make a message of (H, W) float32 metres, in 32FC1 (metres) or 16UC1 (millimetres)."""
    msg = Image(header=header)
    fill(msg, to_millimetres(depth) if encoding == '16UC1' else depth, encoding)
    return msg
