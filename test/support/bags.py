# SPDX-License-Identifier: Apache-2.0
"""Bags made of messages that a test chooses, and what is in a bag, by rosbags alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import (
    CompressionFormat,
    CompressionMode,
    Reader,
    StoragePlugin,
    Writer,
)
from rosbags.typesys import Stores, get_typestore

from magadepth_ros.completion.camera_model import CameraModel

STORE = get_typestore(Stores.ROS2_JAZZY)
START = 1_700_000_000_000_000_000


def make(kind: str, *values: Any, **named: Any) -> Any:
    """Make a message: ``make('std_msgs/msg/String', 'text')``."""
    return STORE.types[kind](*values, **named)


def header(stamp_ns: int, frame: str) -> Any:
    time = make('builtin_interfaces/msg/Time', stamp_ns // 10**9, stamp_ns % 10**9)
    return make('std_msgs/msg/Header', time, frame)


def image(stamp_ns: int, frame: str, pixels: np.ndarray, encoding: str) -> Any:
    pixels = np.ascontiguousarray(pixels)
    data = pixels.reshape(-1).view(np.uint8)
    height, width = pixels.shape[:2]
    made = header(stamp_ns, frame)
    return make('sensor_msgs/msg/Image', made, height, width, encoding, 0, pixels.strides[0], data)


def camera_info(stamp_ns: int, frame: str, camera: CameraModel) -> Any:
    return make(
        'sensor_msgs/msg/CameraInfo',
        header(stamp_ns, frame),
        camera.height,
        camera.width,
        camera.distortion_model or 'plumb_bob',
        np.array(camera.distortion or (0.0,) * 5),
        camera.matrix.ravel(),
        np.eye(3).ravel(),
        np.hstack([camera.matrix, np.zeros((3, 1))]).ravel(),
        0,
        0,
        make('sensor_msgs/msg/RegionOfInterest', 0, 0, 0, 0, False),
    )


def fixed(parent: str, child: str, shift: Iterable[float], turn: Iterable[float]) -> Any:
    """Make a TFMessage with one transform: translation [m] and quaternion x, y, z, w."""
    transform = make(
        'geometry_msgs/msg/Transform',
        make('geometry_msgs/msg/Vector3', *shift),
        make('geometry_msgs/msg/Quaternion', *turn),
    )
    stamped = make('geometry_msgs/msg/TransformStamped', header(0, parent), child, transform)
    return make('tf2_msgs/msg/TFMessage', [stamped])


def write_bag(
    path: Path, messages: Iterable[tuple[str, Any]], plugin: str = 'MCAP', mode: str = 'NONE'
) -> Path:
    """Write (topic, message) in this order, a millisecond apart; ``mode`` of zstd compression."""
    bag = Writer(path, version=8, storage_plugin=StoragePlugin[plugin])
    if mode != 'NONE':
        bag.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with bag as writer:
        connections: dict[str, Any] = {}
        for index, (topic, message) in enumerate(messages):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            data = STORE.serialize_cdr(message, kind)
            writer.write(connections[topic], START + index * 10**6, data)
    return path


def read_bag(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Topic -> (time of recording [ns], message) of all that a bag holds."""
    found: dict[str, list[tuple[int, Any]]] = {}
    with Reader(path) as reader:
        for connection, logged, data in reader.messages():
            message = STORE.deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((logged, message))
    return found
