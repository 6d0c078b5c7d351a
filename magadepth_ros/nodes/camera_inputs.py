# SPDX-License-Identifier: Apache-2.0
"""Subscriptions for one camera: images go to the pairer, other messages to the reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from magadepth_ros.errors import describe
from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.nodes import qos
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.pairing import DEPTH, RGB, Pairer
from magadepth_ros.stamps import stamp_ns
from magadepth_ros.topics import INPUTS, CameraTopics


@dataclass(frozen=True)
class Input:
    """
    One input topic.

    ``name`` is the name given to rclpy, ``topic`` the resolved name, and ``base`` the resolved
    name without the suffix of a transport. ``kind`` is the type, such as
    ``sensor_msgs/msg/Image``; ``stream`` is ``rgb`` or ``depth`` for an image, else ''.
    """

    name: str
    topic: str
    base: str
    message: type
    stream: str = ''

    @property
    def kind(self) -> str:
        """Type as the graph writes it."""
        return f'{self.message.__module__.split(".")[0]}/msg/{self.message.__name__}'


class CameraInputs:
    """The subscriptions of one camera; they exist only while the node is active and enabled."""

    def __init__(
        self, node: Node, prefix: str, parameters: NodeParameters, conditions: Conditions
    ) -> None:
        """``prefix`` is '' or a camera's namespace with a slash behind it."""
        self._node = node
        self._conditions = conditions
        self.subscriptions: dict[Input, Subscription] = {}
        """The inputs that are subscribed to now."""
        self._transforms: Subscription | None = None
        depth_transport = parameters.depth_transport
        if depth_transport == 'auto':
            depth_transport = parameters.transport
        names = CameraTopics(*(f'{prefix}{name}' for name in INPUTS))
        self._rgb = self._image('rgb', names.rgb, parameters.transport, '/compressed')
        self._depth = self._image('depth', names.depth, depth_transport, '/compressedDepth')
        self._rgb_info = self._plain(names.rgb_info)
        self._depth_info = self._plain(names.depth_info)
        self._mask = self._plain(names.mask, Image)
        inputs = (self._rgb, self._rgb_info, self._depth, self._depth_info, self._mask)
        self.topics = CameraTopics(*(each.topic for each in inputs))
        self.reader = FrameReader(self.topics, parameters.registration())

    def subscribe(self, pairer: Pairer) -> None:
        """Subscribe to all inputs."""
        if self.subscriptions:
            return

        def on_rgb(msg: Any) -> None:
            pairer.add(RGB, stamp_ns(msg), msg)

        def on_depth(msg: Any) -> None:
            pairer.add(DEPTH, stamp_ns(msg), msg)

        self._subscribe(self._rgb, on_rgb)
        self._subscribe(self._depth, on_depth)
        self._subscribe(self._rgb_info, self._on_rgb_info)
        self._subscribe(self._mask, self.reader.masks.add)
        if self.reader.registration is not None:
            self._subscribe(self._depth_info, self._on_depth_info)
            self._subscribe_to_transforms(self.reader.registration.add_transforms)

    def unsubscribe(self) -> None:
        """Unsubscribe from all inputs; the newest camera_infos are kept."""
        for subscription in (*self.subscriptions.values(), self._transforms):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self.subscriptions.clear()
        self._transforms = None

    def _image(self, stream: str, name: str, transport: str, suffix: str) -> Input:
        topic = self._node.resolve_topic_name(name)
        if transport == 'raw':
            return Input(name, topic, topic, Image, stream)
        # As image_transport does it: the base name is resolved (and so remapped), then the
        # suffix is appended.
        return Input(topic + suffix, topic + suffix, topic, CompressedImage, stream)

    def _plain(self, name: str, message: type = CameraInfo) -> Input:
        # Remapping is applied once more when a subscription is made, so that plain names stay
        # unresolved until then.
        topic = self._node.resolve_topic_name(name)
        return Input(name, topic, topic, message)

    def _on_rgb_info(self, msg: CameraInfo) -> None:
        self.reader.rgb_info = msg

    def _on_depth_info(self, msg: CameraInfo) -> None:
        self.reader.depth_info = msg

    def _subscribe(self, to: Input, callback: Callable[[Any], None]) -> None:
        self.subscriptions[to] = self._node.create_subscription(
            to.message,
            to.name,
            callback,
            qos.sensor_input(),
            qos_overriding_options=qos.overrides(),
        )

    def _subscribe_to_transforms(self, callback: Callable[[Any], None]) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ModuleNotFoundError:
            # ROS 2 as wheels has none: extrinsics come by the parameter depth_to_rgb.
            return
        except Exception as error:
            self._conditions.set('NO_TRANSFORMS', reason=describe(error))
            return
        latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        try:
            self._transforms = self._node.create_subscription(
                TFMessage, '/tf_static', callback, latched
            )
        # A message package of another ROS build raises errors of various types here.
        except Exception as error:
            self._conditions.set('NO_TRANSFORMS', reason=describe(error))
