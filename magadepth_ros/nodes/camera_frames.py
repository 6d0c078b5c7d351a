# SPDX-License-Identifier: Apache-2.0
"""The frames of the simulated camera on /tf_static and /tf, where tf2_msgs is installed."""

from __future__ import annotations

import math

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile

from magadepth_ros.simulation.drive import MOUNT, PITCH, BasePose

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # ROS 2 as wheels has none.
    TFMessage = None

_OPTICAL = Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)


class CameraFrames:
    """``odom`` -> ``base_link`` -> ``<camera>_link`` -> the optical frames."""

    def __init__(self, node: Node, link: str, optical: dict[str, float]) -> None:
        """Publish the fixed transforms; ``optical``: offset of each frame to the left [m]."""
        if TFMessage is None:
            node.get_logger().warning(
                'tf2_msgs is not installed, so no /tf_static and no /tf are published'
            )
            return
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self._static = node.create_publisher(TFMessage, '/tf_static', latched)
        self._moving = node.create_publisher(TFMessage, '/tf', 10)
        stamp = node.get_clock().now().to_msg()
        down = Quaternion(y=math.sin(PITCH / 2), w=math.cos(PITCH / 2))
        transforms = [_transform(stamp, 'base_link', link, MOUNT, down)]
        for frame, left in optical.items():
            transforms.append(_transform(stamp, link, frame, (0.0, left, 0.0), _OPTICAL))
        self._static.publish(TFMessage(transforms=transforms))

    def move(self, stamp: Time, base: BasePose) -> None:
        """Publish the pose of the base."""
        if TFMessage is None:
            return
        turn = Quaternion(z=math.sin(base.yaw / 2), w=math.cos(base.yaw / 2))
        place = (base.x, base.y, 0.0)
        self._moving.publish(
            TFMessage(transforms=[_transform(stamp, 'odom', 'base_link', place, turn)])
        )


def _transform(
    stamp: Time, parent: str, child: str, place: tuple[float, float, float], turn: Quaternion
) -> TransformStamped:
    x, y, z = place
    result = TransformStamped(child_frame_id=child)
    result.header.stamp, result.header.frame_id = stamp, parent
    result.transform = Transform(translation=Vector3(x=x, y=y, z=z), rotation=turn)
    return result
