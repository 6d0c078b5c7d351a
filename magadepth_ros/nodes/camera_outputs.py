# SPDX-License-Identifier: Apache-2.0
"""Publishers of one camera; each fills its message only when somebody subscribes."""

from __future__ import annotations

from math import isnan
from time import monotonic, perf_counter

from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Float64, Header

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.colorize import colorize
from magadepth_ros.completion.completer import Completion
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.project import CloudProjector, points_above, stride_for
from magadepth_ros.messages.camera_info import camera_info
from magadepth_ros.messages.clouds import cloud_memory, fill_cloud
from magadepth_ros.messages.compressed import depth_to_compressed
from magadepth_ros.messages.images import fill, reused
from magadepth_ros.nodes import qos
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.pictures import to_millimetres


class CameraOutputs:
    """
    The publishers of one camera; all messages have the header of the RGB image.

    ``depth/completed`` (and ``/compressedDepth`` below it), ``depth/camera_info``,
    ``depth/confidence``, ``depth/colorized``, ``depth/points``, ``depth/points_marking``. Used
    from the worker thread.
    """

    def __init__(self, node: Node, prefix: str) -> None:
        """``prefix`` is '' or a camera's namespace with a slash behind it."""
        self._node = node
        self.publishers: list[Publisher] = []
        base = f'{prefix}depth'
        self._depth = self._add(Image, f'{base}/completed')
        resolved = node.resolve_topic_name(f'{base}/completed')
        self._compressed = self._add(CompressedImage, f'{resolved}/compressedDepth')
        self._info = self._add(CameraInfo, f'{base}/camera_info')
        self._confidence = self._add(Image, f'{base}/confidence')
        self._colorized = self._add(Image, f'{base}/colorized')
        self._points = self._add(PointCloud2, f'{base}/points')
        self._marking = self._add(PointCloud2, f'{base}/points_marking')
        # Messages keep their memory: fresh pages cost several times as much as writing the data.
        self._depth_msg, self._confidence_msg, self._colorized_msg = (
            reused(Image) for _ in range(3)
        )
        self._points_msg, self._marking_msg = reused(PointCloud2), reused(PointCloud2)
        self._projector = CloudProjector()
        self._next_cloud = self._next_colorized = 0.0

    def wanted(self) -> bool:
        """Whether anybody subscribes to any of it."""
        return any(publisher.get_subscription_count() for publisher in self.publishers)

    def publish(
        self,
        header: Header,
        completion: Completion,
        parameters: NodeParameters,
        depth_range: tuple[float, float],
    ) -> None:
        """Publish the images of one frame; depth first, as robots wait for it."""
        if self._depth.get_subscription_count():
            self._depth_msg.header = header
            if parameters.output_encoding == '16UC1':
                fill(self._depth_msg, to_millimetres(completion.depth), '16UC1')
            else:
                fill(self._depth_msg, completion.depth, '32FC1')
            self._depth.publish(self._depth_msg)
        if self._compressed.get_subscription_count():
            self._compressed.publish(
                depth_to_compressed(
                    header,
                    completion.depth,
                    parameters.output_encoding,
                    parameters.compressed_format,
                    *depth_range,
                )
            )
        if self._confidence.get_subscription_count():
            self._confidence_msg.header = header
            fill(self._confidence_msg, completion.confidence, '32FC1')
            self._confidence.publish(self._confidence_msg)
        if self._colorized.get_subscription_count():
            now = monotonic()
            if now >= self._next_colorized:
                self._next_colorized = _next(self._next_colorized, now, parameters.colorized_rate)
                self._colorized_msg.header = header
                fill(self._colorized_msg, colorize(completion.depth, *depth_range), 'rgb8')
                self._colorized.publish(self._colorized_msg)

    def publish_with_camera(
        self,
        frame: RgbdFrame,
        camera: CameraModel,
        completion: Completion,
        parameters: NodeParameters,
    ) -> float:
        """Publish camera_info and clouds; return the milliseconds of the cloud."""
        if self._info.get_subscription_count():
            self._info.publish(camera_info(frame.header, frame.info, *frame.size))
        now, clouds = monotonic(), (self._points, self._marking)
        if now < self._next_cloud or not any(c.get_subscription_count() for c in clouds):
            return 0.0
        self._next_cloud = _next(self._next_cloud, now, parameters.cloud_rate)
        start = perf_counter()
        stride = parameters.cloud_stride or stride_for(completion.depth.shape)
        confidence = completion.confidence
        rows, columns = (-(-pixels // stride) for pixels in completion.depth.shape)
        fields = 5 if parameters.cloud_confidence else 4
        cloud = self._projector.project(
            completion.depth,
            frame.rgb,
            camera,
            stride,
            out=cloud_memory(self._points_msg, rows, columns, fields),
            confidence=confidence if parameters.cloud_confidence else None,
        )
        if self._marking.get_subscription_count():
            sure = points_above(
                cloud, confidence[::stride, ::stride], parameters.marking_confidence
            )
            fill_cloud(self._marking_msg, frame.header, sure)
            self._marking.publish(self._marking_msg)
        if self._points.get_subscription_count():
            fill_cloud(self._points_msg, frame.header, cloud)
            self._points.publish(self._points_msg)
        return (perf_counter() - start) * 1e3

    def wants_camera(self) -> bool:
        """Whether anybody subscribes to a topic that needs the intrinsics."""
        wanted = (self._info, self._points, self._marking)
        return any(publisher.get_subscription_count() for publisher in wanted)

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in self.publishers:
            self._node.destroy_publisher(publisher)
        self.publishers.clear()

    def _add(self, kind: type, name: str) -> Publisher:
        publisher = self._node.create_publisher(
            kind,
            name,
            qos.output(),
            qos_overriding_options=qos.overrides(),
        )
        self.publishers.append(publisher)
        return publisher


class DebugOutputs:
    """``~/debug/latency_ms`` and ``~/debug/processing_time_ms`` of each frame of any camera."""

    def __init__(self, node: Node) -> None:
        self._latency = node.create_publisher(Float64, '~/debug/latency_ms', 1)
        self._processing = node.create_publisher(Float64, '~/debug/processing_time_ms', 1)

    def wanted(self) -> bool:
        """Whether anybody subscribes to any of it."""
        publishers = (self._latency, self._processing)
        return any(publisher.get_subscription_count() for publisher in publishers)

    def publish(self, latency_ms: float, processing_ms: float) -> None:
        """Publish the times of one frame [ms]; an unknown latency (NaN) is not published."""
        if not isnan(latency_ms):
            self._latency.publish(Float64(data=latency_ms))
        self._processing.publish(Float64(data=processing_ms))


def _next(planned: float, now: float, rate: float) -> float:
    """When the next message of a topic with a rate limit [Hz] is due; 0 = no limit."""
    if rate <= 0:
        return 0.0
    # Counted from the planned time, not from now, so that 10 Hz stays 10 Hz at 30 frames a second.
    return max(planned, now - 1.0 / rate) + 1.0 / rate
