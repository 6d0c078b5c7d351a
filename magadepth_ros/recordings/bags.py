# SPDX-License-Identifier: Apache-2.0
"""Read the messages of bags that RGB-D frames are made of; needs rosbags, not ROS."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader
from rosbags.typesys import Stores, get_typestore

from magadepth_ros.errors import DataError, TopicError
from magadepth_ros.topics import IMAGE_TYPES, CameraTopics, info_among

IMAGE, COMPRESSED = IMAGE_TYPES
TRANSFORMS = 'tf2_msgs/msg/TFMessage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
_READ = (IMAGE, COMPRESSED, TRANSFORMS, CAMERA_INFO)

Reader = Ros1Reader | Ros2Reader

# Outputs of completion_node and `magadepth complete` are no inputs.
_COMPLETED = ('/completed', '/confidence', '/colorized')

TYPES = get_typestore(Stores.ROS2_HUMBLE)
"""These messages are the same in every distribution; bags up to Humble do not define them."""


@contextmanager
def open_bag(path: str | Path) -> Iterator[Reader]:
    """
    Open a bag of any distribution: a folder, or a single .mcap, .db3 or, of ROS 1, .bag file.

    Raises
    ------
    DataError
        the bag is missing or broken.

    """
    path = whole_bag(path)
    try:
        reader: Reader = Ros1Reader(path) if path.suffix == '.bag' else Ros2Reader(path)
        reader.open()
    # rosbags passes on any exception of the storage's parser.
    except Exception as error:
        raise _broken(path, error) from None
    try:
        yield reader
    finally:
        reader.close()


def whole_bag(path: str | Path) -> Path:
    """Return the folder of a bag for its .db3 file, which lacks the metadata; else the path."""
    path = Path(path)
    of_folder = path.suffix == '.db3' and (path.parent / 'metadata.yaml').is_file()
    return path.parent if of_folder else path


def messages(
    reader: Reader, topics: Collection[str] | None = None, logged_ns: int | None = None
) -> Iterator[tuple[Any, int, bytes]]:
    """
    Yield (connection, logged [ns], data) in order; with ``logged_ns`` only messages of that time.

    Messages of ROS 1 are converted to ROS 2. DataError where the bag is damaged.
    """
    chosen = [c for c in reader.connections if topics is None or c.topic in topics]
    if not chosen:
        return
    end = None if logged_ns is None else logged_ns + 1
    old = _READ if isinstance(reader, Ros1Reader) else ()
    try:
        for connection, logged, data in reader.messages(chosen, logged_ns, end):
            if connection.msgtype in old:
                data = bytes(TYPES.ros1_to_cdr(data, connection.msgtype))
            yield connection, logged, data
    except Exception as error:
        raise _broken(reader.path, error) from None


def _broken(path: Any, error: Exception) -> DataError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return DataError(
        f'{path}: cannot be read as a bag ({reason}); if the recording was interrupted, '
        '`ros2 bag reindex` may repair it'
    )


def find_topics(reader: Reader, rgb: str | None = None, depth: str | None = None) -> CameraTopics:
    """
    Find the colour topic and the depth that is aligned to it, by type and by name.

    The camera_infos are those beside the two, '' where there is none.

    Raises
    ------
    DataError
        a given topic is missing; TopicError where no topic or several would fit.

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

    def only(kind: str, topics: list[str], words: tuple[str, ...]) -> str:
        for word in words:
            topics = [t for t in topics if word in t] or topics
        topics = [t for t in topics if types[t] == IMAGE] or topics
        if len(topics) != 1:
            raise TopicError(
                f'{reader.path}: {kind} topic: expected one, found {len(topics) or "none"} of: '
                f'{listed}; record one alone',
                kind,
            )
        return topics[0]

    depth = depth or only(
        'depth',
        [t for t in images if 'depth' in t and not t.endswith(('/compressed', '/theora'))],
        ('aligned', 'registered', 'to_rgb', 'to_color', 'rect'),
    )
    rgb = rgb or only(
        'rgb',
        [t for t in images if not any(w in t for w in ('depth', 'infra', 'confid', '/ir/'))],
        ('color', 'colour', 'rgb', 'rect', 'left'),
    )
    infos = {topic for topic, kind in types.items() if kind == CAMERA_INFO}
    return CameraTopics(rgb, info_among(infos, rgb), depth, info_among(infos, depth))


def read_message(connection: Any, data: bytes) -> Any:
    """Deserialise a message of one of the types of this module; DataError where it is broken."""
    try:
        return TYPES.deserialize_cdr(data, connection.msgtype)
    except Exception as error:
        raise DataError(f'{connection.topic}: broken message ({error})') from None
