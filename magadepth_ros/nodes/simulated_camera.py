# SPDX-License-Identifier: Apache-2.0
"""simulated_camera: an RGB-D camera under RealSense's topic names, from a film in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from magadepth_ros.errors import DataError
from magadepth_ros.manifest import read_manifest
from magadepth_ros.messages.camera_info import Intrinsics, pinhole_info
from magadepth_ros.messages.images import fill, to_millimetres
from magadepth_ros.nodes.process import run
from magadepth_ros.simulation import simulated_frames, simulated_intrinsics


@dataclass(frozen=True)
class Shot:
    """The messages of one frame; only their stamps change while the film plays."""

    rgb: Image
    depth: Image
    info: CameraInfo


def film(source: str, width: int, height: int, count: int, seed: int, frame_id: str) -> list[Shot]:
    """
    Prepare the messages of every frame beforehand, so that playing them costs little.

    Parameters
    ----------
    source:
        '' renders a room; else a manifest folder, whose frames are fitted to the size.
    width, height:
        size of the images [px].
    count:
        frames of the film at most; 0 = all of a manifest, 30 of a rendered room.
    seed:
        chooses the rendered room.
    frame_id:
        optical frame of all messages.

    Raises
    ------
    DataError
        the folder cannot be read.

    """
    if not source:
        camera = Intrinsics(*simulated_intrinsics(width, height), width, height, 'plumb_bob')
        frames = simulated_frames(width, height, count or 30, seed)
        return [_shot(rgb, depth, camera, frame_id) for rgb, depth in frames]
    shots = []
    for frame in read_manifest(Path(source)).frames[: count or None]:
        data = frame.load()
        rgb, depth = data.rgb, data.depth
        known = frame.K or simulated_intrinsics(depth.shape[1], depth.shape[0])
        camera = Intrinsics(*known, depth.shape[1], depth.shape[0], 'plumb_bob')
        shots.append(_shot(*_fitted(rgb, depth, camera, width, height), frame_id))
    if not shots:
        raise DataError(f'{source}: expected at least one frame in the manifest')
    return shots


class SimulatedCamera(Node):
    """
    Publishes rgb8, aligned 16UC1 depth and camera_info at a fixed rate.

    Topics: ``/<camera_namespace>/<camera_name>/color/image_raw``, ``.../color/camera_info``,
    ``.../aligned_depth_to_color/image_raw`` and ``.../aligned_depth_to_color/camera_info``.
    """

    def __init__(self, **options: Any) -> None:
        """Render or read the film, then start to play; ``options`` go to `Node`."""
        super().__init__('simulated_camera', **options)
        source = self._declare('input', '', 'Manifest folder to play; empty = a rendered room.')
        rate = self._declare('rate', 30.0, 'Frames a second [Hz].', (0.1, 240.0))
        width = self._declare('width', 640, 'Width of the images [px].', (16, 4096))
        height = self._declare('height', 480, 'Height of the images [px].', (16, 4096))
        count = self._declare('frames', 0, 'Frames of the film; 0 = all, 30 rendered.', (0, 5000))
        seed = self._declare('seed', 0, 'Which rendered room.', (0, 2**31 - 1))
        name = self._declare('camera_name', 'camera', 'Second part of the topic names.')
        space = self._declare('camera_namespace', 'camera', 'First part; may be empty.')
        reliability = self._declare(
            'reliability', 'reliable', "QoS of the images: 'reliable' or 'best_effort'."
        )
        if reliability not in ('reliable', 'best_effort'):
            raise DataError(
                f"reliability: expected 'reliable' or 'best_effort', got {reliability!r}"
            )
        self._film = film(source, width, height, count, seed, f'{name}_color_optical_frame')
        self._next = 0
        base = f'/{space}/{name}' if space else f'/{name}'
        profile = QoSProfile(
            history=QoSHistoryPolicy.KEEP_LAST,
            depth=2,
            reliability=getattr(QoSReliabilityPolicy, reliability.upper()),
        )

        def publisher(kind: type, topic: str) -> Any:
            return self.create_publisher(kind, f'{base}/{topic}', profile)

        self._rgb = publisher(Image, 'color/image_raw')
        self._rgb_info = publisher(CameraInfo, 'color/camera_info')
        self._depth = publisher(Image, 'aligned_depth_to_color/image_raw')
        self._depth_info = publisher(CameraInfo, 'aligned_depth_to_color/camera_info')
        # A camera keeps its pace whatever the ROS time does.
        self.create_timer(1.0 / rate, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(
            f'{len(self._film)} frames of {width}x{height} at {rate:g} Hz below {base}'
        )

    def _publish(self) -> None:
        shot = self._film[self._next]
        self._next = (self._next + 1) % len(self._film)
        stamp = self.get_clock().now().to_msg()
        for msg in (shot.rgb, shot.depth, shot.info):
            msg.header.stamp = stamp
        # The small ones first, so that the intrinsics are there when a pair is complete.
        self._rgb_info.publish(shot.info)
        self._depth_info.publish(shot.info)
        self._depth.publish(shot.depth)
        self._rgb.publish(shot.rgb)

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


def _shot(rgb: np.ndarray, depth: np.ndarray, camera: Intrinsics, frame_id: str) -> Shot:
    header = Header(frame_id=frame_id)
    shot = Shot(Image(header=header), Image(header=header), pinhole_info(header, camera))
    fill(shot.rgb, rgb, 'rgb8')
    fill(shot.depth, to_millimetres(depth), '16UC1')
    return shot


def _fitted(
    rgb: np.ndarray, depth: np.ndarray, camera: Intrinsics, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, Intrinsics]:
    """Crop the middle to the wanted shape, then scale: nearest for depth, so holes stay holes."""
    h, w = depth.shape
    scale = min(w / width, h / height)
    cut_w, cut_h = min(w, round(width * scale)), min(h, round(height * scale))
    left, top = (w - cut_w) // 2, (h - cut_h) // 2
    part = (slice(top, top + cut_h), slice(left, left + cut_w))
    rgb, depth = rgb[part], depth[part]
    camera = Intrinsics(
        camera.fx, camera.fy, camera.cx - left, camera.cy - top, cut_w, cut_h, camera.model
    )
    if (cut_w, cut_h) != (width, height):
        smooth = cv2.INTER_AREA if cut_w > width else cv2.INTER_LINEAR
        rgb = cv2.resize(rgb, (width, height), interpolation=smooth)
        depth = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
        camera = camera.scaled(width, height)
    return rgb, depth, camera


def main(args: Sequence[str] | None = None) -> int:
    """Run the camera until a signal (``ros2 run magadepth_ros simulated_camera``)."""
    return run(SimulatedCamera, args)


if __name__ == '__main__':
    sys.exit(main())
