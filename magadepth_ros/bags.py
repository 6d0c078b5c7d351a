# SPDX-License-Identifier: Apache-2.0
"""Read RGB-D frames of ROS 2 bags and write bags with more topics; needs rosbags, not ROS."""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from magadepth_ros.completion.project import FIELDS, POINT_STEP
from magadepth_ros.errors import DataError
from magadepth_ros.messages.compressed import compressed_to_depth, compressed_to_rgb
from magadepth_ros.messages.images import image_to_depth, image_to_rgb

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
TRANSFORMS = 'tf2_msgs/msg/TFMessage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'

# What completion_node and `magadepth complete` make is no input.
_COMPLETED = ('/completed', '/confidence', '/colorized')
_FLOAT32 = 7
_NO_HASH = 'RIHS01_' + '0' * 64
# These messages are the same in every distribution; bags up to Humble do not define their types.
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


@contextmanager
def open_bag(path: str | Path) -> Iterator[Reader]:
    """
    Open a bag of any ROS 2 distribution: a folder, or a single .mcap or .db3 file.

    Raises
    ------
    DataError
        missing, broken, or of ROS 1.

    """
    path = Path(path)
    if path.suffix == '.bag':
        raise DataError(f'{path}: is a ROS 1 bag; convert it first: rosbags-convert --help')
    if path.suffix == '.db3' and (path.parent / 'metadata.yaml').is_file():
        path = path.parent
    try:
        reader = Reader(path)
        reader.open()
    # rosbags lets through whatever the parser of the storage raises.
    except Exception as error:
        raise _broken(path, error) from None
    try:
        yield reader
    finally:
        reader.close()


def messages(
    reader: Reader, topics: Collection[str] | None = None
) -> Iterator[tuple[Any, int, bytes]]:
    """Yield (connection, logged [ns], data) in order; DataError where the bag is damaged."""
    chosen = [c for c in reader.connections if topics is None or c.topic in topics]
    if not chosen:
        return
    try:
        yield from reader.messages(connections=chosen)
    except Exception as error:
        raise _broken(reader.path, error) from None


def _broken(path: Any, error: Exception) -> DataError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return DataError(
        f'{path}: cannot be read as a bag ({reason}); was the recording ended cleanly? '
        '`ros2 bag reindex` repairs what can be repaired'
    )


@dataclass(frozen=True)
class Topics:
    """
    The topics of one camera in a bag.

    ``info`` and ``depth_info`` are the camera_infos beside the two, None where there is none.
    """

    rgb: str
    depth: str
    info: str | None
    depth_info: str | None = None


def find_topics(reader: Reader, rgb: str | None = None, depth: str | None = None) -> Topics:
    """
    Find the colour topic and the depth that is aligned to it, by type and by name.

    Raises
    ------
    DataError
        a given topic is missing, or none or several could be meant.

    """
    types = {c.topic: c.msgtype for c in reader.connections if c.msgcount}
    images = {
        topic
        for topic, kind in types.items()
        if kind in (IMAGE, COMPRESSED) and not any(word in topic for word in _COMPLETED)
    }
    listed = ', '.join(sorted(images)) or 'none'
    for topic in (rgb, depth):
        if topic is not None and topic not in images:
            raise DataError(f'{reader.path}: no images on {topic}; image topics are: {listed}')
    depth = depth or _choose(
        [t for t in images if 'depth' in t and not t.endswith(('/compressed', '/theora'))],
        ('aligned', 'registered', 'to_rgb', 'to_color', 'rect'),
        types,
        f'{reader.path}: depth topic: found %s of: {listed}; name it with --depth-topic',
    )
    rgb = rgb or _choose(
        [t for t in images if not any(w in t for w in ('depth', 'infra', 'confid', '/ir/'))],
        ('color', 'colour', 'rgb', 'rect', 'left'),
        types,
        f'{reader.path}: colour topic: found %s of: {listed}; name it with --rgb-topic',
    )
    return Topics(rgb, depth, _info_beside(rgb, types), _info_beside(depth, types))


def _info_beside(topic: str, types: dict[str, str]) -> str | None:
    # A transport's topic is one level below the image.
    beside = [topic.rsplit('/', n)[0] + '/camera_info' for n in (1, 2) if topic.count('/') >= n]
    return next((t for t in beside if types.get(t) == CAMERA_INFO), None)


def _choose(topics: list[str], words: tuple[str, ...], types: dict[str, str], error: str) -> str:
    for word in words:
        topics = [t for t in topics if word in t] or topics
    topics = [t for t in topics if types[t] == IMAGE] or topics
    if len(topics) != 1:
        raise DataError(error % (len(topics) or 'none'))
    return topics[0]


def read_message(connection: Any, data: bytes) -> Any:
    """Deserialise a message of one of the types of this module; DataError where it is broken."""
    try:
        return _TYPES.deserialize_cdr(data, connection.msgtype)
    except Exception as error:
        raise DataError(f'{connection.topic}: broken message ({error})') from None


def stamp_ns(data: bytes) -> int:
    """Return header.stamp [ns] of a serialised message that begins with a header."""
    if len(data) < 12:
        raise DataError('a message without a header')
    order = '<' if data[1] & 1 else '>'
    seconds, nanoseconds = struct.unpack_from(order + 'iI', data, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def read_rgb(message: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an Image or CompressedImage; EncodingError where it is broken."""
    return compressed_to_rgb(message) if hasattr(message, 'format') else image_to_rgb(message)


def read_depth(message: Any) -> np.ndarray:
    """(H, W) float32 metres of an Image or CompressedImage; EncodingError where it is broken."""
    return compressed_to_depth(message) if hasattr(message, 'format') else image_to_depth(message)


class BagWriter:
    """Copies the messages of one bag to a new one and adds messages to it."""

    def __init__(self, writer: Writer, source: Reader) -> None:
        self._writer = writer
        self._added: dict[str, Any] = {}
        self._copies = {}
        for connection in source.connections:
            ext: Any = connection.ext
            definition = connection.msgdef.data or None
            if definition is None and connection.msgtype in _TYPES.fielddefs:
                kwargs: dict[str, Any] = {'typestore': _TYPES}
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
        """Write a message as it was."""
        self._writer.write(self._copies[connection.id], logged_ns, data)

    def add_image(
        self, topic: str, logged_ns: int, header: Any, pixels: np.ndarray, encoding: str
    ) -> None:
        """Write (H, W) pixels as sensor_msgs/Image."""
        pixels = np.ascontiguousarray(pixels)
        message = _TYPES.types[IMAGE](
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
        field = _TYPES.types['sensor_msgs/msg/PointField']
        message = _TYPES.types[POINT_CLOUD](
            header=header,
            height=cloud.shape[0],
            width=cloud.shape[1],
            fields=[field(name=n, offset=o, datatype=_FLOAT32, count=1) for n, o in FIELDS],
            is_bigendian=sys.byteorder == 'big',
            point_step=POINT_STEP,
            row_step=POINT_STEP * cloud.shape[1],
            data=np.ascontiguousarray(cloud).reshape(-1).view(np.uint8),
            is_dense=False,
        )
        self.add(topic, logged_ns, POINT_CLOUD, message)

    def add(self, topic: str, logged_ns: int, msgtype: str, message: Any) -> None:
        """Write a message of one of the types of this module on a topic of its own."""
        if topic not in self._added:
            self._added[topic] = self._writer.add_connection(topic, msgtype, typestore=_TYPES)
        self._writer.write(self._added[topic], logged_ns, _TYPES.serialize_cdr(message, msgtype))


@contextmanager
def new_bag(target: str | Path, source: Reader) -> Iterator[BagWriter]:
    """
    Write a bag that appears under its name only when it is whole.

    Parameters
    ----------
    target:
        a folder; or one file, where it ends with .mcap or .db3.
    source:
        the open bag whose topics are copied; its storage is kept where ``target`` is a folder.

    Raises
    ------
    DataError
        something of that name exists.

    """
    target = Path(target)
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
