# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of one camera: callbacks that only store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from magadepth_ros.messages.reading import stamp_ns
from magadepth_ros.nodes import qos
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter
from magadepth_ros.pairing import DEPTH, RGB, Pairer

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # ROS 2 as wheels has none: extrinsics come by the parameter depth_to_rgb.
    TFMessage = None


class CameraInputs:
    """The subscriptions of one camera; they exist only while the node listens."""

    def __init__(
        self, node: Node, prefix: str, parameters: NodeParameters, reporter: Reporter
    ) -> None:
        """``prefix`` is '' or a camera's namespace with a slash behind it."""
        self._node = node
        self._reporter = reporter
        depth_transport = parameters.depth_transport
        if depth_transport == 'auto':
            depth_transport = parameters.transport
        resolve = node.resolve_topic_name
        self.rgb_type: type = Image
        self.depth_type: type = Image
        # Remapping is applied once more when a subscription is made, so that plain names stay
        # unresolved until then. image_transport's rule for its suffixes: the base name is
        # resolved (and so remapped), then extended.
        self._rgb = f'{prefix}rgb/image'
        self._depth = f'{prefix}depth/image'
        self._info = f'{prefix}rgb/camera_info'
        # Below the image, as depth/camera_info is the name of an output.
        self._depth_info = f'{prefix}depth/image/camera_info'
        if parameters.transport == 'compressed':
            self.rgb_type = CompressedImage
            self._rgb = f'{resolve(self._rgb)}/compressed'
        if depth_transport == 'compressed':
            self.depth_type = CompressedImage
            self._depth = f'{resolve(self._depth)}/compressedDepth'
        self.rgb_topic = resolve(self._rgb)
        self.depth_topic = resolve(self._depth)
        self.info_topic = resolve(self._info)
        self.depth_info_topic = resolve(self._depth_info)
        self.camera_info: CameraInfo | None = None
        self.depth_info: CameraInfo | None = None
        self.registration = parameters.registration()
        self._subscriptions: list[Subscription] = []

    def subscribe(self, pairer: Pairer) -> None:
        """Start to listen."""
        if self._subscriptions:
            return

        def on_rgb(msg: Any) -> None:
            pairer.add(RGB, stamp_ns(msg), msg)

        def on_depth(msg: Any) -> None:
            pairer.add(DEPTH, stamp_ns(msg), msg)

        self._add(self.rgb_type, self._rgb, self.rgb_topic, on_rgb)
        self._add(self.depth_type, self._depth, self.depth_topic, on_depth)
        self._add(CameraInfo, self._info, self.info_topic, self._on_info)
        if self.registration is None:
            return
        self._add(CameraInfo, self._depth_info, self.depth_info_topic, self._on_depth_info)
        if TFMessage is not None:
            latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            add = self.registration.add_transforms
            self._subscriptions.append(
                self._node.create_subscription(TFMessage, '/tf_static', add, latched)
            )

    def unsubscribe(self) -> None:
        """Stop to listen; the last camera_info is kept."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _on_info(self, msg: CameraInfo) -> None:
        self.camera_info = msg

    def _on_depth_info(self, msg: CameraInfo) -> None:
        self.depth_info = msg

    def _add(self, kind: type, name: str, topic: str, callback: Callable[[Any], None]) -> None:
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                name,
                callback,
                qos.sensor_input(),
                event_callbacks=qos.subscription_events(self._reporter, topic),
                qos_overriding_options=qos.overrides(),
            )
        )
