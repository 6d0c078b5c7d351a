# SPDX-License-Identifier: Apache-2.0
"""A subscriber that measures completion_node from outside, as a robot would see it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.messages.images import image_to_depth
from magadepth_ros.stamps import serialised_stamp_ns, stamp_ns
from magadepth_ros.subscribers.subscriber import Subscriber
from magadepth_ros.subscribers.topic_statistics import TopicStatistics
from magadepth_ros.topics import realsense_topics

CAMERA = realsense_topics()
_SNAPSHOT = (CAMERA.rgb, CAMERA.depth, '/depth/completed', '/depth/confidence')


@dataclass(frozen=True)
class Snapshot:
    """
    One frame of the camera with its completed depth and confidence.

    ``completed`` (H, W) float32 metres, missing as the message has it (0, NaN); ``confidence``
    (H, W) float32 0..1.
    """

    frame: RgbdFrame
    completed: np.ndarray
    confidence: np.ndarray


class DemoSubscriber(Subscriber):
    """
    Subscribes to depth, confidence and cloud, counts them, and measures latency and holes.

    Clouds and confidences stay serialised, as only their stamps are read. So the measurement takes
    little processor time from the measured processes.
    """

    def __init__(self) -> None:
        super().__init__('magadepth_demo')
        self.camera, self.depth = TopicStatistics(), TopicStatistics()
        self.confidence, self.cloud = TopicStatistics(), TopicStatistics()
        self.unfilled: list[float] = []
        self.size = (0, 0)
        self.diagnostics: dict[str, str] = {}
        self.trouble = ''
        self._kept: dict[str, dict[int, bytes | Image]] = {}
        self._keeping = False
        self.node.create_subscription(
            CameraInfo, CAMERA.rgb_info, self._on_camera, qos_profile_sensor_data
        )
        self.node.create_subscription(Image, '/depth/completed', self._on_depth, 2)
        self._raw(Image, '/depth/confidence', self.confidence)
        self._raw(PointCloud2, '/depth/points', self.cloud)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 5)

    def start_keeping(self) -> None:
        """Subscribe to the inputs too and keep messages, until `snapshot` finds a whole frame."""
        self._keeping = True
        for name in (CAMERA.rgb, CAMERA.depth):
            self._raw(Image, name, TopicStatistics(), qos_profile_sensor_data)

    def snapshot(self) -> Snapshot | None:
        """Return the newest frame of which all four images are there, or None."""
        kept = [self._kept.get(name, {}) for name in _SNAPSHOT]
        stamps = set(kept[0]).intersection(*kept[1:])
        if not stamps:
            return None
        rgb, depth, completed, confidence = (
            m if isinstance(m, Image) else deserialize_message(m, Image)
            for m in (messages[max(stamps)] for messages in kept)
        )
        frame = FrameReader(CAMERA).read(rgb, depth)
        return Snapshot(frame, image_to_depth(completed), image_to_depth(confidence))

    def missing(self, seconds: float) -> str:
        """Return why `snapshot` has found nothing since `start_keeping`."""
        silent = [name for name in _SNAPSHOT if not self._kept.get(name)]
        what = f'no message on {", ".join(silent)}' if silent else 'no frame with all its images'
        return f'{what} within {seconds:g} s; the machine may be too busy'

    def _raw(
        self, kind: type, topic: str, stream: TopicStatistics, qos: QoSProfile | int = 2
    ) -> None:
        def on_bytes(data: bytes) -> None:
            stamp = serialised_stamp_ns(data)
            stream.add(stamp)
            if kind is Image:
                self._keep(topic, stamp, data)

        self.node.create_subscription(kind, topic, on_bytes, qos, raw=True)

    def _keep(self, topic: str, stamp: int, message: bytes | Image) -> None:
        if self._keeping:
            kept = self._kept.setdefault(topic, {})
            kept[stamp] = message
            while len(kept) > 30:
                del kept[min(kept)]

    def _on_camera(self, msg: CameraInfo) -> None:
        self.camera.add(stamp_ns(msg))

    def _on_depth(self, msg: Image) -> None:
        stamp = stamp_ns(msg)
        self.depth.add(stamp)
        depth = image_to_depth(msg)
        self.size = (msg.width, msg.height)
        # NaN and 0 are both outside; one pass, no temporary of the image's size in float.
        self.unfilled.append(1.0 - cv2.countNonZero(cv2.inRange(depth, 1e-6, 1e6)) / depth.size)
        self._keep('/depth/completed', stamp, msg)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if 'completion_node' not in status.name:
                continue
            self.diagnostics.update({value.key: value.value for value in status.values})
            stuck = self.diagnostics.get('state') == 'unconfigured'
            if stuck and status.level == DiagnosticStatus.ERROR:
                self.trouble = status.message
