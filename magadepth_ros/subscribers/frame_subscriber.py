# SPDX-License-Identifier: Apache-2.0
"""A subscriber that joins the topics of a running completion_node to frames, for viewers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.node import NodeNameNonExistentError
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from magadepth_ros.errors import DataError, EncodingError
from magadepth_ros.messages.frames import FrameReader, depth_of
from magadepth_ros.stamps import serialised_stamp_ns
from magadepth_ros.subscribers.subscriber import Subscriber
from magadepth_ros.topics import IMAGE_TYPES, CameraTopics
from magadepth_ros.viewer import ViewedFrame

_KEPT = 20
_COMPRESSED = '/compressedDepth'
_NEAR_NS = 50_000_000
"""How far the stamp of the measured depth may be from the RGB's [ns]."""


class FrameSubscriber(Subscriber):
    """Subscribes to a completed depth topic, to the topics beside it and to the camera's."""

    def __init__(self, completed: str, rgb: str = '', depth: str = '') -> None:
        """
        Join the graph.

        Parameters
        ----------
        completed:
            the topic of the completed depth; confidence and camera_info are beside it. With
            ``/compressedDepth``, for depth of another computer, no confidence is subscribed to.
        rgb, depth:
            the camera's image topics; '' takes the inputs of the publisher of ``completed``.

        """
        super().__init__('magadepth_view')
        self._completed, self._rgb, self._depth = completed, rgb, depth
        base = completed.removesuffix(_COMPRESSED).rpartition('/')[0]
        self._confidence = '' if completed.endswith(_COMPRESSED) else f'{base}/confidence'
        self._kept: dict[str, dict[int, bytes]] = {}
        self._kinds: dict[str, type] = {}
        self._shown = 0
        info = f'{base}/camera_info'
        self._reader = FrameReader(CameraTopics(rgb, info, completed))
        self.node.create_subscription(CameraInfo, info, self._on_info, 1)
        for topic in (completed, self._confidence, rgb, depth):
            if topic:
                self._listen(topic)

    def wait(self, seconds: float, stop: Callable[[], bool]) -> ViewedFrame | None:
        """
        Return the newest whole frame that has not been returned yet; None: none in time.

        The frame has no measured depth where that has another size or did not arrive, and no
        confidence where the depth is compressed.
        """
        end = time.monotonic() + seconds
        while not stop() and (left := end - time.monotonic()) > 0:
            if not (self._rgb and self._depth):
                self._find_inputs()
            self.executor.spin_once(timeout_sec=min(left, 0.1))
            frame = self._newest()
            if frame is not None:
                return frame
        return None

    def missing(self) -> str:
        """Return which topic has brought nothing, for people who wait."""
        wanted = {'completed depth': self._completed, 'the RGB': self._rgb}
        if self._confidence:
            wanted['confidence'] = self._confidence
        silent = [
            f'{name} on {topic}' if topic else f'{name} (its topic is not known)'
            for name, topic in wanted.items()
            if not self._kept.get(topic)
        ]
        return ', '.join(silent) or 'frames with equal stamps'

    def _newest(self) -> ViewedFrame | None:
        topics = [self._completed, self._rgb]
        topics += [self._confidence] if self._confidence else []
        kept = [self._kept.get(topic, {}) for topic in topics]
        stamps = {s for s in kept[0] if s > self._shown}.intersection(*kept[1:])
        if not stamps:
            return None
        stamp = self._shown = max(stamps)
        try:
            completed, rgb, *confidence = (self._message(topic, stamp) for topic in topics)
            frame = self._reader.read(rgb, completed)
            measured = self._measured(stamp, frame.depth.shape)
            return ViewedFrame(frame, measured, depth_of(confidence[0]) if confidence else None)
        except (DataError, EncodingError) as error:
            self.node.get_logger().warning(f'frame skipped: {error}', throttle_duration_sec=5.0)
            return None

    def _measured(self, stamp: int, shape: tuple[int, ...]) -> np.ndarray | None:
        stamps = self._kept.get(self._depth, {})
        nearest = min(stamps, key=lambda other: abs(other - stamp), default=None)
        if nearest is None or abs(nearest - stamp) > _NEAR_NS:
            return None
        depth = depth_of(self._message(self._depth, nearest))
        return depth if depth.shape == shape else None

    def _message(self, topic: str, stamp: int) -> Any:
        return deserialize_message(self._kept[topic][stamp], self._kinds[topic])

    def _listen(self, topic: str) -> None:
        packed = topic.endswith((_COMPRESSED, '/compressed'))
        kind = CompressedImage if packed else Image
        kept = self._kept.setdefault(topic, {})
        self._kinds[topic] = kind

        def on_bytes(data: bytes) -> None:
            # It stays serialised, as only a few of thirty frames a second are shown.
            kept[serialised_stamp_ns(data)] = data
            while len(kept) > _KEPT:
                del kept[min(kept)]

        self.node.create_subscription(kind, topic, on_bytes, qos_profile_sensor_data, raw=True)

    def _find_inputs(self) -> None:
        # Listen to the images that the publisher of the completed depth subscribes to.
        for publisher in self.node.get_publishers_info_by_topic(self._completed):
            if not publisher.node_namespace.startswith('/'):
                # The graph knows the topics of a new node before its name.
                continue
            try:
                found = self.node.get_subscriber_names_and_types_by_node(
                    publisher.node_name, publisher.node_namespace
                )
            except NodeNameNonExistentError:
                # The node has just ended.
                continue
            images = [name for name, kinds in found if set(kinds) & set(IMAGE_TYPES)]
            depths = [name for name in images if 'depth' in name]
            colours = [n for n in images if n not in depths and 'mask' not in n]
            if not self._depth and len(depths) == 1:
                self._depth = depths[0]
                self._listen(self._depth)
            if not self._rgb and len(colours) == 1:
                self._rgb = colours[0]
                self._reader.topics = self._reader.topics._replace(rgb=self._rgb)
                self._listen(self._rgb)

    def _on_info(self, msg: CameraInfo) -> None:
        self._reader.rgb_info = msg
