# SPDX-License-Identifier: Apache-2.0
"""The topics that the node hears from one camera: images to the pairer, the rest to the reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.nodes import qos
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter
from magadepth_ros.pairing import DEPTH, RGB, Pairer, stamp_ns
from magadepth_ros.topics import INPUTS, CameraTopics

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
        self._subscriptions: list[Subscription] = []
        depth_transport = parameters.depth_transport
        if depth_transport == 'auto':
            depth_transport = parameters.transport
        # Remapping is applied once more when a subscription is made, so that plain names stay
        # unresolved until then. image_transport's rule for its suffixes: the base name is
        # resolved (and so remapped), then extended.
        names = [f'{prefix}{name}' for name in INPUTS]
        self.rgb_type: type = Image
        self.depth_type: type = Image
        if parameters.transport == 'compressed':
            self.rgb_type = CompressedImage
            names[0] = f'{node.resolve_topic_name(names[0])}/compressed'
        if depth_transport == 'compressed':
            self.depth_type = CompressedImage
            names[2] = f'{node.resolve_topic_name(names[2])}/compressedDepth'
        self._names = CameraTopics(*names)
        self.topics = CameraTopics(*map(node.resolve_topic_name, names))
        self.reader = FrameReader(self.topics, parameters.registration())

    def subscribe(self, pairer: Pairer) -> None:
        """Start to listen."""
        if self._subscriptions:
            return

        def on_rgb(msg: Any) -> None:
            pairer.add(RGB, stamp_ns(msg), msg)

        def on_depth(msg: Any) -> None:
            pairer.add(DEPTH, stamp_ns(msg), msg)

        self._add(self.rgb_type, self._names.rgb, on_rgb)
        self._add(self.depth_type, self._names.depth, on_depth)
        self._add(CameraInfo, self._names.rgb_info, self._on_rgb_info)
        registration = self.reader.registration
        if registration is None:
            return
        self._add(CameraInfo, self._names.depth_info, self._on_depth_info)
        if TFMessage is not None:
            latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            self._subscriptions.append(
                self._node.create_subscription(
                    TFMessage, '/tf_static', registration.add_transforms, latched
                )
            )

    def unsubscribe(self) -> None:
        """Stop to listen; the newest camera_infos are kept."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _on_rgb_info(self, msg: CameraInfo) -> None:
        self.reader.rgb_info = msg

    def _on_depth_info(self, msg: CameraInfo) -> None:
        self.reader.depth_info = msg

    def _add(self, kind: type, name: str, callback: Callable[[Any], None]) -> None:
        events = qos.subscription_events(self._reporter, self._node.resolve_topic_name(name))
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                name,
                callback,
                qos.sensor_input(),
                event_callbacks=events,
                qos_overriding_options=qos.overrides(),
            )
        )
