# SPDX-License-Identifier: Apache-2.0
"""Copy a bag and add topics; needs rosbags, not ROS."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from magadepth_ros.errors import DataError
from magadepth_ros.messages.clouds import cloud_layout
from magadepth_ros.recordings.bags import IMAGE, TYPES, Reader, Ros1Reader, Ros2Reader

POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
POINT_FIELD = 'sensor_msgs/msg/PointField'
_NO_HASH = 'RIHS01_' + '0' * 64


class BagWriter:
    """Copies the messages of one bag to a new one and adds messages to it."""

    def __init__(self, writer: Writer, source: Ros2Reader) -> None:
        self._writer = writer
        self._added: dict[str, Any] = {}
        self._copies = {}
        for connection in source.connections:
            ext: Any = connection.ext
            definition = connection.msgdef.data or None
            if definition is None and connection.msgtype in TYPES.fielddefs:
                kwargs: dict[str, Any] = {'typestore': TYPES}
            else:
                kwargs = {'msgdef': definition or '', 'rihs01': connection.digest or _NO_HASH}
            self._copies[connection.id] = writer.add_connection(
                connection.topic,
                connection.msgtype,
                serialization_format=ext.serialization_format,
                offered_qos_profiles=ext.offered_qos_profiles,
                **kwargs,
            )

    def copy(self, connection: Any, logged_ns: int, data: bytes) -> None:
        """Write a message of the source unchanged."""
        self._writer.write(self._copies[connection.id], logged_ns, data)

    def add_image(
        self, topic: str, logged_ns: int, header: Any, pixels: np.ndarray, encoding: str
    ) -> None:
        """Write (H, W) pixels as sensor_msgs/Image."""
        pixels = np.ascontiguousarray(pixels)
        message = TYPES.types[IMAGE](
            header=header,
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=int(sys.byteorder == 'big'),
            step=pixels.strides[0],
            data=pixels.reshape(-1).view(np.uint8),
        )
        self.add(topic, logged_ns, IMAGE, message)

    def add_cloud(self, topic: str, logged_ns: int, header: Any, cloud: np.ndarray) -> None:
        """Write an organised cloud of `CloudProjector` as sensor_msgs/PointCloud2."""
        message = TYPES.types[POINT_CLOUD](
            header=header,
            data=np.ascontiguousarray(cloud).reshape(-1).view(np.uint8),
            **cloud_layout(cloud, TYPES.types[POINT_FIELD]),
        )
        self.add(topic, logged_ns, POINT_CLOUD, message)

    def add(self, topic: str, logged_ns: int, msgtype: str, message: Any) -> None:
        """Write a message of one of the types of this module on a new topic."""
        if topic not in self._added:
            self._added[topic] = self._writer.add_connection(topic, msgtype, typestore=TYPES)
        self._writer.write(self._added[topic], logged_ns, TYPES.serialize_cdr(message, msgtype))


@contextmanager
def new_bag(target: str | Path, source: Reader) -> Iterator[BagWriter]:
    """
    Open a new bag, which gets its name only when it is whole.

    Parameters
    ----------
    target:
        a folder; or one file, where it ends with .mcap or .db3.
    source:
        the open bag whose topics are copied; its storage is kept where ``target`` is a folder.

    Raises
    ------
    DataError
        the target exists, or the source is of ROS 1.

    """
    target = Path(target)
    if isinstance(source, Ros1Reader):
        raise DataError(
            f'{source.path}: is a ROS 1 bag, whose topics cannot be copied to a ROS 2 bag; '
            'convert it first: rosbags-convert --help'
        )
    if target.exists():
        raise DataError(f'{target}: exists already; give another name, or remove it first')
    single = target.suffix in ('.mcap', '.db3')
    plugin = StoragePlugin.MCAP if _is_mcap(source.path) else StoragePlugin.SQLITE3
    if single:
        plugin = StoragePlugin.MCAP if target.suffix == '.mcap' else StoragePlugin.SQLITE3
    # The files inside are named after their folder, so it has its final name from the start.
    hidden = target.with_name(f'.{target.name}.partial')
    folder = hidden / (target.stem if single else target.name)
    try:
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(parents=True)
    except OSError as error:
        raise DataError(f'{target}: cannot be written: {error.strerror}') from None
    try:
        with Writer(folder, version=8, storage_plugin=plugin) as writer:
            yield BagWriter(writer, source)
        whole = next(folder.glob(f'*{target.suffix}')) if single else folder
        whole.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _is_mcap(path: Any) -> bool:
    return path.suffix == '.mcap' or any(path.glob('*.mcap'))
