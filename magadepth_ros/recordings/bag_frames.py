# SPDX-License-Identifier: Apache-2.0
"""The frames of a bag: colour and depth paired by stamp, decoded, depth registered to colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.fit import at_size_of
from magadepth_ros.errors import DataError, EncodingError
from magadepth_ros.messages.camera_info import camera_model
from magadepth_ros.messages.reading import read_depth, read_rgb, serialised_stamp_ns, stamp_ns
from magadepth_ros.messages.registration import DepthRegistration, View
from magadepth_ros.pairing import DEPTH, HALF_FRAME, RGB, Pair, Pairer
from magadepth_ros.recordings.bags import (
    TRANSFORMS,
    Topics,
    find_topics,
    messages,
    open_bag,
    read_message,
)

_QUEUE = 60


class _Message(NamedTuple):
    connection: Any
    logged_ns: int
    data: bytes


class Place(NamedTuple):
    """Where the two messages of a frame lie in a bag: when they were recorded [ns]."""

    rgb: int
    depth: int


@dataclass(frozen=True)
class BagFrame:
    """
    One frame of a bag.

    ``header`` is that of the colour message; ``rgb`` (H, W, 3) uint8 RGB; ``depth`` (H, W) float32
    metres in the colour camera's frame, missing as the sensor has it (0, NaN, inf); ``info`` the
    colour camera's CameraInfo or None, ``camera`` what it says, None where that cannot be used;
    ``logged_ns`` when the later of the two was recorded.
    """

    header: Any
    rgb: np.ndarray
    depth: np.ndarray
    info: Any
    camera: CameraModel | None
    logged_ns: int

    @property
    def stamp_ns(self) -> int:
        """The colour message's stamp [ns]."""
        return stamp_ns(self)


class FrameReader:
    """Takes the messages of an open bag in their order and makes frames of them."""

    def __init__(
        self,
        reader: Any,
        topics: Topics,
        depth_to_rgb: Sequence[float] = (),
        assume_aligned: bool = False,
    ) -> None:
        """
        Read what frames need from the start: the first camera_infos and the fixed transforms.

        Parameters
        ----------
        reader:
            the open bag.
        topics:
            of the camera.
        depth_to_rgb:
            extrinsics for depth in its own frame, see `DepthRegistration`; empty: /tf_static.
        assume_aligned:
            take depth as aligned whatever its frame is called.

        Raises
        ------
        DataError
            a message is broken, or the extrinsics are no transform.

        """
        self.pairs: list[Pair] = []
        """Pairs that have been found; whoever reads them takes them away."""
        self.topics = topics
        self._reader = reader
        self._pairer = Pairer(self.pairs.append, HALF_FRAME, _QUEUE)
        self._infos = {
            topic: _first(reader, topic) for topic in (topics.info, topics.depth_info) if topic
        }
        self.camera_fault = ''
        """Why the colour camera's camera_info cannot be used; '' where it can."""
        self._registration = None if assume_aligned else DepthRegistration(depth_to_rgb)
        if self._registration is not None:
            for connection, _, data in messages(reader, ['/tf_static']):
                if connection.msgtype == TRANSFORMS:
                    self._registration.add_transforms(read_message(connection, data))

    @property
    def unmatched(self) -> int:
        """Depth images that found no colour image so far."""
        return self._pairer.counters.received_depth - self._pairer.counters.matched

    def take(self, connection: Any, logged_ns: int, data: bytes) -> None:
        """Look at the next message of the bag, of whatever topic."""
        topic = connection.topic
        if topic in self._infos:
            self._infos[topic] = read_message(connection, data)
        elif topic in (self.topics.rgb, self.topics.depth):
            stream = RGB if topic == self.topics.rgb else DEPTH
            message = _Message(connection, logged_ns, data)
            self._pairer.add(stream, serialised_stamp_ns(data), message)

    def read(self, pair: Pair) -> BagFrame:
        """
        Decode a pair, and register its depth where that is in another frame.

        Raises
        ------
        DataError, EncodingError
            an image is broken, or the depth cannot be registered, and why.

        """
        rgb = read_message(pair.rgb.connection, pair.rgb.data)
        other = read_message(pair.depth.connection, pair.depth.data)
        info = self._infos.get(self.topics.info or '')
        picture, depth = read_rgb(rgb), read_depth(other)
        if self._registration is not None:
            colour = View(self.topics.rgb, rgb.header.frame_id, info)
            own = self._infos.get(self.topics.depth_info or '')
            sensor = View(self.topics.depth, other.header.frame_id, own)
            if self._registration.needed(colour, sensor):
                depth = self._registration.register(depth, colour, sensor, picture.shape[1::-1])
        logged_ns = max(pair.rgb.logged_ns, pair.depth.logged_ns)
        picture = at_size_of(picture, depth)
        return BagFrame(rgb.header, picture, depth, info, self._camera(info, depth), logged_ns)

    def read_at(self, place: Place) -> BagFrame:
        """Find a frame by its place, and `read` it; DataError where it is gone."""
        found = []
        for topic, logged_ns in zip((self.topics.rgb, self.topics.depth), place, strict=True):
            message = next(messages(self._reader, [topic], logged_ns), None)
            if message is None:
                raise DataError(f'{topic} at {logged_ns} ns is gone; was the bag written anew?')
            found.append(_Message(*message))
        rgb, depth = found
        stamp, other = (serialised_stamp_ns(message.data) for message in found)
        return self.read(Pair(rgb, depth, stamp, other - stamp, 0, 0.0))

    def _camera(self, info: Any, depth: np.ndarray) -> CameraModel | None:
        if info is None:
            return None
        try:
            return camera_model(info, self.topics.rgb, (depth.shape[1], depth.shape[0]))
        except DataError as error:
            self.camera_fault = f'camera_info of {self.topics.rgb} cannot be used: {error}'
            return None


def places(reader: Any, topics: Topics) -> list[Place]:
    """Where the frames of a bag lie; DataError where no stamps of colour and depth match."""
    frames = FrameReader(reader, topics)
    found = []
    for message in messages(reader, [topics.rgb, topics.depth]):
        frames.take(*message)
        found += [Place(pair.rgb.logged_ns, pair.depth.logged_ns) for pair in frames.pairs]
        frames.pairs.clear()
    if not found:
        raise DataError(
            f'{reader.path}: {topics.rgb} and {topics.depth} have no stamps that match; record '
            'both with the same clock'
        )
    return found


def bag_frames(
    path: str | Path, rgb_topic: str | None = None, depth_topic: str | None = None
) -> Iterator[BagFrame]:
    """
    Yield the frames of a bag one by one; those that cannot be read are left out.

    Raises
    ------
    DataError
        the bag or its topics cannot be used, or not one frame could be read, and why.

    """
    fault = 'no stamps of colour and depth match'
    found = False
    with open_bag(path) as reader:
        frames = FrameReader(reader, find_topics(reader, rgb_topic, depth_topic))
        for connection, logged_ns, data in messages(reader):
            frames.take(connection, logged_ns, data)
            while frames.pairs:
                try:
                    frame = frames.read(frames.pairs.pop(0))
                except (DataError, EncodingError) as error:
                    fault = str(error)
                    continue
                found = True
                yield frame
    if not found:
        raise DataError(f'{path}: no frame could be read: {fault}')


def completed_frames(
    path: str | Path,
    namespace: str = '/depth',
    rgb_topic: str | None = None,
    depth_topic: str | None = None,
) -> Iterator[tuple[BagFrame, np.ndarray, np.ndarray]] | None:
    """
    Give the frames of a bag with the completed depth and the confidence recorded for them.

    Returns
    -------
    iterator of (frame, depth, confidence), or None
        depth (H, W) float32 metres, NaN or 0 = unknown; confidence (H, W) float32 0..1. None where
        the bag has no such topics below ``namespace``.

    Raises
    ------
    DataError
        the bag or its topics cannot be used.

    """
    made = [f'{namespace}/completed', f'{namespace}/confidence']
    with open_bag(path) as reader:
        if not set(made) <= {c.topic for c in reader.connections if c.msgcount}:
            return None
    return _completed_frames(path, made, rgb_topic, depth_topic)


def _completed_frames(
    path: str | Path, made: list[str], rgb_topic: str | None, depth_topic: str | None
) -> Iterator[tuple[BagFrame, np.ndarray, np.ndarray]]:
    waiting: dict[int, dict[str, Any]] = {}
    with open_bag(path) as reader:
        frames = FrameReader(reader, find_topics(reader, rgb_topic, depth_topic))
        for connection, logged_ns, data in messages(reader):
            if connection.topic in made:
                parts = waiting.setdefault(serialised_stamp_ns(data), {})
                parts[connection.topic] = (connection, data)
            frames.take(connection, logged_ns, data)
            while frames.pairs:
                pair = frames.pairs.pop(0)
                waiting.setdefault(pair.stamp_ns, {})['pair'] = pair
            for stamp in [stamp for stamp, parts in waiting.items() if len(parts) == 3]:
                parts = waiting.pop(stamp)
                try:
                    depth, confidence = (read_depth(read_message(*parts[t])) for t in made)
                    yield frames.read(parts['pair']), depth, confidence
                except (DataError, EncodingError):
                    continue
            while len(waiting) > _QUEUE:
                del waiting[min(waiting)]


def _first(reader: Any, topic: str) -> Any:
    for connection, _, data in messages(reader, [topic]):
        return read_message(connection, data)
    return None
