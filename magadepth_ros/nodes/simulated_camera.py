# SPDX-License-Identifier: Apache-2.0
"""simulated_camera: plays RGB-D frames in a loop under a RealSense's topic names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from magadepth_ros.errors import DataError
from magadepth_ros.nodes.camera_playback import (
    DEPTH_ENCODINGS,
    RGB_ENCODINGS,
    PlaybackSettings,
    playback,
)
from magadepth_ros.nodes.process import run
from magadepth_ros.topics import realsense_topics

RELIABILITIES = ('reliable', 'best_effort')


class SimulatedCamera(Node):
    """
    Publishes RGB, aligned depth and camera_info at a fixed rate, compressed where asked for.

    Topics: ``/<camera_namespace>/<camera_name>/color/image_raw``, ``.../color/camera_info``,
    ``.../aligned_depth_to_color/image_raw`` and ``.../aligned_depth_to_color/camera_info``; below
    the images ``/compressed`` and ``/compressedDepth``, encoded while somebody subscribes.
    """

    def __init__(self, **options: Any) -> None:
        """Render or open the frames, then start to play them; ``options`` go to `Node`."""
        super().__init__('simulated_camera', **options)
        source = self._declare('input', '', 'Manifest folder or bag to play; empty = a room.')
        rate = self._declare('rate', 30.0, 'Frames a second [Hz].', (0.1, 240.0))
        width = self._declare('width', 640, 'Width of the images [px].', (16, 4096))
        height = self._declare('height', 480, 'Height of the images [px].', (16, 4096))
        count = self._declare('frames', 0, 'Frames to play; 0 = all, 30 rendered.', (0, 5000))
        seed = self._declare('seed', 0, 'Which rendered room.', (0, 2**31 - 1))
        name = self._declare('camera_name', 'camera', 'Second part of the topic names.')
        space = self._declare('camera_namespace', 'camera', 'First part; may be empty.')
        frame = self._declare('frame_id', '', "Of all messages; empty = a RealSense's.")
        reliability = self._choose('reliability', RELIABILITIES, 'QoS of the images')
        rgb_encoding = self._choose('rgb_encoding', RGB_ENCODINGS, 'Encoding of the RGB')
        depth_encoding = self._choose('depth_encoding', DEPTH_ENCODINGS, 'Encoding of the depth')
        frame = frame or f'{name}_color_optical_frame'
        settings = PlaybackSettings(
            width, height, count, seed, frame, rgb_encoding, depth_encoding
        )
        self._frames, text = playback(source, settings)
        topics = realsense_topics(name, space)
        profile = QoSProfile(
            history=QoSHistoryPolicy.KEEP_LAST,
            depth=2,
            reliability=getattr(QoSReliabilityPolicy, reliability.upper()),
        )

        def publisher(kind: type, topic: str, suffix: str = '') -> Any:
            # A remapping names the base, as with image_transport.
            resolved = self.resolve_topic_name(topic)
            return self.create_publisher(kind, resolved + suffix, profile)

        self._rgb = publisher(Image, topics.rgb)
        self._rgb_info = publisher(CameraInfo, topics.rgb_info)
        self._depth = publisher(Image, topics.depth)
        self._depth_info = publisher(CameraInfo, topics.depth_info)
        self._small_rgb = publisher(CompressedImage, topics.rgb, '/compressed')
        self._small_depth = publisher(CompressedImage, topics.depth, '/compressedDepth')
        # A camera keeps its pace whatever the ROS time does.
        self.create_timer(1.0 / rate, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f'{text} at {rate:g} Hz on {topics.rgb} and {topics.depth}')

    def _publish(self) -> None:
        frame = next(self._frames)
        stamp = self.get_clock().now().to_msg()
        for msg in (frame.rgb, frame.depth, frame.info):
            msg.header.stamp = stamp
        # The small ones first, so that the intrinsics are there when a pair is complete.
        self._rgb_info.publish(frame.info)
        self._depth_info.publish(frame.info)
        raw, small = (self._depth, self._rgb), (self._small_depth, self._small_rgb)
        if any(publisher.get_subscription_count() for publisher in small):
            rgb, depth = frame.compressed()
            self._small_depth.publish(depth)
            self._small_rgb.publish(rgb)
            if not any(publisher.get_subscription_count() for publisher in raw):
                return
        self._depth.publish(frame.depth)
        self._rgb.publish(frame.rgb)

    def _choose(self, name: str, choices: tuple[str, ...], text: str) -> str:
        value = self._declare(name, choices[0], f'{text}: {", ".join(choices)}.')
        if value not in choices:
            raise DataError(f'{name}: expected one of {", ".join(choices)}, got {value!r}')
        return value

    def _declare(
        self, name: str, default: Any, text: str, limits: tuple[float, float] | None = None
    ) -> Any:
        descriptor = ParameterDescriptor(description=text, read_only=True)
        if limits is not None and isinstance(default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=limits[0], to_value=limits[1])
            ]
        elif limits is not None:
            descriptor.integer_range = [
                IntegerRange(from_value=int(limits[0]), to_value=int(limits[1]))
            ]
        return self.declare_parameter(name, default, descriptor).value


def main(args: Sequence[str] | None = None) -> int:
    """Run the camera until a signal (``ros2 run magadepth_ros simulated_camera``)."""
    return run(SimulatedCamera, args)


if __name__ == '__main__':
    sys.exit(main())
