# SPDX-License-Identifier: Apache-2.0
"""The frames of a bag: colour and depth paired by stamp, decoded, depth registered to colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import DataError, EncodingError
from magadepth_ros.messages.frames import FrameReader, depth_of
from magadepth_ros.messages.registration import DepthRegistration
from magadepth_ros.pairing import DEPTH, HALF_FRAME, RGB, MessagePair, Pairer
from magadepth_ros.recordings.bags import (
    TRANSFORMS,
    find_topics,
    messages,
    open_bag,
    read_message,
)
from magadepth_ros.stamps import serialised_stamp_ns
from magadepth_ros.topics import CameraTopics

S = TypeVar('S')
T = TypeVar('T')
_QUEUE = 60


class BagMessage(NamedTuple):
    """A message of a bag, serialised; ``logged_ns`` is when it was recorded [ns]."""

    connection: Any
    logged_ns: int
    data: bytes


class FrameLocation(NamedTuple):
    """The times at which the two messages of a frame were recorded [ns], to find them again."""

    rgb: int
    depth: int


class BagFrames:
    """Makes frames of the messages of an open bag, in their order."""

    def __init__(
        self,
        reader: Any,
        topics: CameraTopics,
        depth_to_rgb: Sequence[float] = (),
        assume_aligned: bool = False,
    ) -> None:
        """
        Read the first camera_infos and the fixed transforms, which all frames need.

        Parameters
        ----------
        reader:
            the open bag.
        topics:
            of the camera.
        depth_to_rgb:
            extrinsics for depth in its own frame, see `DepthRegistration`; empty: /tf_static.
        assume_aligned:
            take depth as aligned, whatever the name of its frame.

        Raises
        ------
        DataError
            a message is broken, or the extrinsics are not a transform.

        """
        self.topics = topics
        self._reader = reader
        self._pairs: list[MessagePair] = []
        self._pairer = Pairer(self._pairs.append, HALF_FRAME, _QUEUE)
        registration = None if assume_aligned else DepthRegistration(depth_to_rgb)
        self._frames = FrameReader(topics, registration)
        self._frames.rgb_info = _first(reader, topics.rgb_info)
        self._frames.depth_info = _first(reader, topics.depth_info)
        if registration is not None:
            for connection, _, data in messages(reader, ['/tf_static']):
                if connection.msgtype == TRANSFORMS:
                    registration.add_transforms(read_message(connection, data))

    @property
    def unmatched(self) -> int:
        """Number of depth images without a colour image so far."""
        return self._pairer.counters.received_depth - self._pairer.counters.matched

    def take(self, connection: Any, logged_ns: int, data: bytes) -> list[MessagePair]:
        """Take the next message of the bag, of any topic; returns the pairs found with it."""
        topic = connection.topic
        if topic == self.topics.rgb_info:
            self._frames.rgb_info = read_message(connection, data)
        elif topic == self.topics.depth_info:
            self._frames.depth_info = read_message(connection, data)
        elif topic in (self.topics.rgb, self.topics.depth):
            stream = RGB if topic == self.topics.rgb else DEPTH
            message = BagMessage(connection, logged_ns, data)
            self._pairer.add(stream, serialised_stamp_ns(data), message)
        found = self._pairs.copy()
        self._pairs.clear()
        return found

    def read(self, pair: MessagePair) -> RgbdFrame:
        """Make a frame of a pair; raises what `FrameReader.read` raises."""
        return self._read(pair.rgb, pair.depth)

    def read_at(self, location: FrameLocation) -> RgbdFrame:
        """Read the frame at a location; DataError where the bag no longer has it."""
        found = []
        topics = (self.topics.rgb, self.topics.depth)
        for topic, logged_ns in zip(topics, location, strict=True):
            message = next(messages(self._reader, [topic], logged_ns), None)
            if message is None:
                raise DataError(
                    f'expected a message on {topic} at {logged_ns} ns, found none: the bag was '
                    'changed while it was read; start again'
                )
            found.append(BagMessage(*message))
        return self._read(*found)

    def _read(self, rgb: BagMessage, depth: BagMessage) -> RgbdFrame:
        picture = read_message(rgb.connection, rgb.data)
        return self._frames.read(picture, read_message(depth.connection, depth.data))


def locate_frames(reader: Any, topics: CameraTopics) -> list[FrameLocation]:
    """Find the frames of a bag; DataError where no stamps of colour and depth match."""
    frames = BagFrames(reader, topics)
    found = []
    for message in messages(reader, [topics.rgb, topics.depth]):
        pairs = frames.take(*message)
        found += [FrameLocation(pair.rgb.logged_ns, pair.depth.logged_ns) for pair in pairs]
    if not found:
        raise DataError(
            f'{reader.path}: {topics.rgb} and {topics.depth} have no stamps that match; record '
            'both with the same clock'
        )
    return found


def bag_frames(
    path: str | Path, rgb_topic: str | None = None, depth_topic: str | None = None
) -> Iterator[RgbdFrame]:
    """
    Yield the frames of a bag one by one; those that cannot be read are left out.

    Raises
    ------
    DataError
        the bag or its topics cannot be used, or no frame could be read; the message says why.

    """
    with open_bag(path) as reader:
        frames = BagFrames(reader, find_topics(reader, rgb_topic, depth_topic))
        pairs = (pair for message in messages(reader) for pair in frames.take(*message))
        yield from _readable(path, pairs, frames.read)


def completed_frames(
    path: str | Path,
    namespace: str = '/depth',
    rgb_topic: str | None = None,
    depth_topic: str | None = None,
) -> Iterator[tuple[RgbdFrame, np.ndarray, np.ndarray]] | None:
    """
    Yield the frames of a bag with the completed depth and the confidence of the same bag.

    Returns
    -------
    iterator of (frame, depth, confidence), or None
        depth (H, W) float32 metres, NaN or 0 = unknown; confidence (H, W) float32 0..1. None where
        the bag has no such topics below ``namespace``.

    Raises
    ------
    DataError
        the bag or its topics cannot be used, or no frame could be read; the message says why.

    """
    made = [f'{namespace}/completed', f'{namespace}/confidence']
    with open_bag(path) as reader:
        if not set(made) <= {c.topic for c in reader.connections if c.msgcount}:
            return None
    return _completed_frames(path, made, rgb_topic, depth_topic)


def _completed_frames(
    path: str | Path, made: list[str], rgb_topic: str | None, depth_topic: str | None
) -> Iterator[tuple[RgbdFrame, np.ndarray, np.ndarray]]:
    with open_bag(path) as reader:
        frames = BagFrames(reader, find_topics(reader, rgb_topic, depth_topic))

        def read(parts: dict[str, Any]) -> tuple[RgbdFrame, np.ndarray, np.ndarray]:
            depth, confidence = (depth_of(read_message(*parts[topic])) for topic in made)
            return frames.read(parts['pair']), depth, confidence

        yield from _readable(path, _with_completed(reader, frames, made), read)


def _with_completed(reader: Any, frames: BagFrames, made: list[str]) -> Iterator[dict[str, Any]]:
    # The pair of each frame, and the messages of the topics ``made`` with the stamp of its RGB.
    waiting: dict[int, dict[str, Any]] = {}
    for connection, logged_ns, data in messages(reader):
        if connection.topic in made:
            parts = waiting.setdefault(serialised_stamp_ns(data), {})
            parts[connection.topic] = (connection, data)
        for pair in frames.take(connection, logged_ns, data):
            waiting.setdefault(pair.stamp_ns, {})['pair'] = pair
        for stamp in [stamp for stamp, parts in waiting.items() if len(parts) == 3]:
            yield waiting.pop(stamp)
        while len(waiting) > _QUEUE:
            del waiting[min(waiting)]


def _readable(path: str | Path, found: Iterable[S], read: Callable[[S], T]) -> Iterator[T]:
    """Yield what can be read of what was found; DataError where that is nothing."""
    fault, empty = 'no stamps match; record all topics with the same clock', True
    for item in found:
        try:
            result = read(item)
        except (DataError, EncodingError) as error:
            fault = str(error)
            continue
        empty = False
        yield result
    if empty:
        raise DataError(f'{path}: no frame could be read: {fault}')


def _first(reader: Any, topic: str) -> Any:
    """Read the first message of a topic; None where there is none."""
    for connection, _, data in messages(reader, [topic]):
        return read_message(connection, data)
    return None
