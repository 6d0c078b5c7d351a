# SPDX-License-Identifier: Apache-2.0
"""simulated_camera: plays RGB-D frames in a loop under a RealSense's topic names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Time
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from magadepth_ros.errors import DataError
from magadepth_ros.nodes.camera_faults import CameraFaults, Outgoing
from magadepth_ros.nodes.camera_frames import CameraFrames
from magadepth_ros.nodes.camera_parameters import CameraParameters
from magadepth_ros.nodes.camera_playback import PlaybackSettings, playback
from magadepth_ros.nodes.parameter_declaration import declared
from magadepth_ros.nodes.process import run
from magadepth_ros.stamps import NANO
from magadepth_ros.topics import info_beside, realsense_topics

DEPTH_LEFT = 0.05
"""Distance of the depth camera to the left of the colour camera, with own_depth_frame [m]."""


class SimulatedCamera(Node):
    """
    Publishes RGB, depth, camera_info and tf frames at a fixed rate.

    Topics: ``/<camera_namespace>/<camera_name>/color/image_raw``, ``.../color/camera_info``,
    ``.../aligned_depth_to_color/image_raw`` and ``.../aligned_depth_to_color/camera_info``; below
    the images ``/compressed`` and ``/compressedDepth``, encoded while somebody subscribes; of a
    rendered room ``.../mask/image_raw``.
    """

    def __init__(self, **options: Any) -> None:
        """Render or open the frames, then start to play them; ``options`` go to `Node`."""
        super().__init__('simulated_camera', **options)
        given = {item.name: item.value for item in declared(self, CameraParameters)}
        values = CameraParameters(**given)
        self._faults = CameraFaults(values.faults, values.seed)
        self.add_on_set_parameters_callback(self._on_parameters)
        name, own = values.camera_name, values.own_depth_frame
        frame = values.frame_id or f'{name}_color_optical_frame'
        left = {frame: 0.0, f'{name}_depth_optical_frame': DEPTH_LEFT if own else 0.0}
        self._frames, text = playback(
            values.input,
            PlaybackSettings(
                values.width,
                values.height,
                values.frames,
                values.seed,
                frame,
                values.rgb_encoding,
                values.depth_encoding,
                f'{name}_depth_optical_frame' if own else frame,
                values.moving_base,
                DEPTH_LEFT if own else 0.0,
            ),
        )
        topics = realsense_topics(name, values.camera_namespace)
        depth, depth_info = topics.depth, topics.depth_info
        if own:
            depth = topics.rgb.replace('/color/image_raw', '/depth/image_rect_raw')
            depth_info = info_beside(depth)
        reliability = getattr(QoSReliabilityPolicy, values.reliability.upper())
        profile = QoSProfile(depth=2, reliability=reliability)

        def publisher(kind: type, topic: str, suffix: str = '') -> Any:
            # A remapping names the base topic, as with image_transport.
            resolved = self.resolve_topic_name(topic)
            return self.create_publisher(kind, resolved + suffix, profile)

        self._rgb = publisher(Image, topics.rgb)
        self._rgb_info = publisher(CameraInfo, topics.rgb_info)
        self._depth = publisher(Image, depth)
        self._depth_info = publisher(CameraInfo, depth_info)
        self._mask = publisher(Image, topics.rgb.replace('/color/image_raw', '/mask/image_raw'))
        self._small_rgb = publisher(CompressedImage, topics.rgb, '/compressed')
        self._small_depth = publisher(CompressedImage, depth, '/compressedDepth')
        self._tree = CameraFrames(self, f'{name}_link', left)
        # A steady clock, as a real camera does not follow the ROS time.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / values.rate, self._publish, clock=steady)
        self.get_logger().info(f'{text} at {values.rate:g} Hz on {topics.rgb} and {depth}')

    def _publish(self) -> None:
        frame = next(self._frames)
        now = self.get_clock().now()
        stamp, now_ns = now.to_msg(), now.nanoseconds
        rgb = [Outgoing(self._rgb, frame.rgb, now_ns)]
        depth = [Outgoing(self._depth, frame.depth, now_ns)]
        small = (self._small_rgb, self._small_depth)
        if any(publisher.get_subscription_count() for publisher in small):
            small_rgb, small_depth = frame.compressed()
            rgb.append(Outgoing(self._small_rgb, small_rgb, now_ns))
            depth.append(Outgoing(self._small_depth, small_depth, now_ns))
            if not any(p.get_subscription_count() for p in (self._rgb, self._depth)):
                del rgb[0], depth[0]
        outgoing = self._faults.apply(now_ns, rgb, depth)
        if frame.base is not None:
            self._tree.move(stamp, frame.base)
        # The camera_infos first, so that subscribers have the intrinsics when a pair is complete.
        if outgoing:
            for publisher, info in (
                (self._rgb_info, frame.info),
                (self._depth_info, frame.depth_info),
            ):
                info.header.stamp = stamp
                publisher.publish(info)
        if outgoing and frame.mask is not None and self._mask.get_subscription_count():
            self._mask.publish(frame.mask)
        for item in outgoing:
            seconds, rest = divmod(item.stamp_ns, NANO)
            item.message.header.stamp = Time(sec=seconds, nanosec=rest)
            item.publisher.publish(item.message)

    def _on_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        try:
            for parameter in parameters:
                if parameter.name == 'faults':
                    self._faults.set(parameter.value)
        except DataError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def main(args: Sequence[str] | None = None) -> int:
    """Run the camera until a signal (``ros2 run magadepth_ros simulated_camera``)."""
    return run(SimulatedCamera, args)


if __name__ == '__main__':
    sys.exit(main())
