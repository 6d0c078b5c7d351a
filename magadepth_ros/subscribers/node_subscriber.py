# SPDX-License-Identifier: Apache-2.0
"""A subscriber to outputs and diagnostics of completion_node, for the benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image, PointCloud2

from magadepth_ros.nodes.frame_statistics import STAGES
from magadepth_ros.stamps import serialised_stamp_ns
from magadepth_ros.subscribers.subscriber import Subscriber
from magadepth_ros.subscribers.topic_statistics import TopicStatistics


class NodeSubscriber(Subscriber):
    """
    Subscribes to topics of each camera and to the node's diagnostics.

    Messages stay serialised, so that the measurement takes little processor time.
    ``topics`` are names below ``depth/``. ``depth`` has the arrivals of the first topic, for each
    camera, since the last `forget`.
    """

    def __init__(self, cameras: Sequence[str], topics: Sequence[str]) -> None:
        super().__init__('magadepth_benchmark')
        self.depth = {camera: TopicStatistics() for camera in cameras}
        self._said: dict[str, dict[str, str]] = {}
        self._bytes: dict[str, int] = {}
        for camera in cameras:
            for name in topics:
                kind = PointCloud2 if name.startswith('points') else Image
                wanted = camera if name == topics[0] else ''
                self._subscribe(kind, f'/{camera}/depth/{name}', wanted)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 5)

    def forget(self) -> None:
        """Begin to count anew."""
        for camera in self.depth:
            self.depth[camera] = TopicStatistics()

    def frame_size_mib(self) -> float:
        """Return the size of a frame of all cameras, summed over the topics that came [MiB]."""
        return round(sum(self._bytes.values()) / 2**20, 3)

    def stages(self) -> dict[str, float]:
        """Return the median of each stage of the node [ms], over its cameras."""
        found: dict[str, list[float]] = {}
        for camera in self.depth:
            said = self._said.get(camera, {})
            for stage in STAGES:
                if f'{stage} p50 [ms]' in said:
                    found.setdefault(stage, []).append(float(said[f'{stage} p50 [ms]']))
        return {stage: round(statistics.median(times), 3) for stage, times in found.items()}

    def engine(self) -> str:
        """Return runtime and precision from the node's diagnostics; '' before the first."""
        return ' '.join(self._said.get('engine', {}).get('engine', '').split(' ', 2)[:2])

    def _subscribe(self, kind: type, topic: str, camera: str) -> None:
        def on_bytes(data: bytes) -> None:
            self._bytes[topic] = len(data)
            if camera:
                self.depth[camera].add(serialised_stamp_ns(data))

        self.node.create_subscription(kind, topic, on_bytes, 2, raw=True)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            name = status.name.rpartition(': ')[2]
            self._said[name] = {value.key: value.value for value in status.values}
