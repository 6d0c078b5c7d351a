# SPDX-License-Identifier: Apache-2.0
"""ROS bags as a data set: the user's own robot, colour and registered depth paired by stamp."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from magadepth_ros.errors import DataError, MagadepthError
from magadepth_ros.messages.compressed import compressed_to_depth, compressed_to_rgb
from magadepth_ros.messages.images import image_to_depth, image_to_rgb
from magadepth_training.datasets.sample import Sample

MAX_GAP_S = 0.02
"""Largest difference of the stamps of a pair [s]."""
_IMAGE = 'sensor_msgs/msg/Image'
_COMPRESSED = 'sensor_msgs/msg/CompressedImage'
_INFO = 'sensor_msgs/msg/CameraInfo'


@dataclass(frozen=True)
class _Stamped:
    topic: str
    logged_ns: int
    stamp_ns: int


class BagSource:
    """
    Pairs of a recording; there is no truth, so training hides measured pixels.

    Takes rosbag2 (folder with metadata.yaml, or one .mcap) and ROS 1 ``.bag``; raw, compressed
    and compressedDepth topics. Depth must be registered to the colour camera (same size).

    Parameters
    ----------
    path:
        the bag.
    rgb_topic, depth_topic:
        topics to take; None finds them where just one of each can be meant.
    step:
        take every N-th pair: neighbouring frames of a recording teach the same.

    Raises
    ------
    DataError
        the bag is broken, or the topics are missing or could be several.

    """

    target_made_by = ''

    def __init__(
        self,
        path: str | Path,
        rgb_topic: str | None = None,
        depth_topic: str | None = None,
        step: int = 1,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix == '.db3' and (self.path.parent / 'metadata.yaml').is_file():
            self.path = self.path.parent
        self.name = self.path.stem
        self._reader: Any = None
        self._owner = -1
        reader = self._open()
        types = {c.topic: c.msgtype for c in reader.connections}
        self.rgb_topic = rgb_topic or self._find(types, depth=False)
        self.depth_topic = depth_topic or self._find(types, depth=True)
        for topic in (self.rgb_topic, self.depth_topic):
            if types.get(topic) not in (_IMAGE, _COMPRESSED):
                raise DataError(f'{self.path}: no image topic {topic}; it has {_listed(types)}')
        self.pairs = self._pair()[::step]
        if not self.pairs:
            raise DataError(
                f'{self.path}: no two images of {self.rgb_topic} and {self.depth_topic} lie '
                f'within {MAX_GAP_S} s; record both with the same clock'
            )
        self.K = self._intrinsics(types)
        self._close()

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        rgb_at, depth_at = self.pairs[index]
        rgb, depth = self._read(rgb_at, depth=False), self._read(depth_at, depth=True)
        if rgb.shape[:2] != depth.shape:
            raise DataError(
                f'{self.path}: {self.depth_topic} has size {depth.shape}, {self.rgb_topic} '
                f'{rgb.shape[:2]}; record the depth that is registered to the colour camera'
            )
        known = np.isfinite(depth) & (depth > 0) & (depth < 65.535)
        depth = np.where(known, depth, 0).astype(np.float32)
        return Sample(np.array(rgb), depth, name=f'{rgb_at.stamp_ns}', K=self.K, scene=self.name)

    def __getstate__(self) -> dict[str, Any]:
        # An open bag cannot go to a worker process.
        return {**self.__dict__, '_reader': None, '_owner': -1}

    def _open(self) -> Any:
        if self._reader is None or self._owner != os.getpid():
            try:
                # Bags of Humble and older carry no definitions of their messages.
                known = get_typestore(Stores.ROS2_HUMBLE)
                reader = AnyReader([self.path], default_typestore=known)
                reader.open()
            except Exception as error:  # rosbags raises what its parsers do
                raise self._broken(error) from None
            self._reader, self._owner = reader, os.getpid()
        return self._reader

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _messages(self, topic: str, **limits: int) -> Iterator[tuple[Any, int, bytes]]:
        reader = self._open()
        chosen = [c for c in reader.connections if c.topic == topic]
        try:
            yield from reader.messages(connections=chosen, **limits)
        except Exception as error:
            raise self._broken(error) from None

    def _find(self, types: dict[str, str], depth: bool) -> str:
        images = [t for t, kind in types.items() if kind in (_IMAGE, _COMPRESSED)]
        names = [t for t in images if _is_depth(t) == depth and not t.endswith('/theora')]
        # Registered depth goes before the depth camera's own view, raw before compressed.
        for wanted in ('aligned', 'registered', 'to_color', 'to_rgb'):
            if depth and any(wanted in t for t in names):
                names = [t for t in names if wanted in t]
        raw = [t for t in names if types[t] == _IMAGE]
        names = raw or names
        if not depth and len(names) > 1:
            names = [t for t in names if 'color' in t or 'rgb' in t] or names
        if len(names) != 1:
            kind, option = ('depth', 'depth_topic') if depth else ('colour', 'rgb_topic')
            raise DataError(
                f'{self.path}: expected one {kind} topic, found {len(names)} in '
                f'{_listed(types)}; name it with {option}'
            )
        return names[0]

    def _pair(self) -> list[tuple[_Stamped, _Stamped]]:
        rgb, depth = self._stamps(self.rgb_topic), self._stamps(self.depth_topic)
        if not rgb or not depth:
            return []
        stamps = np.array([r.stamp_ns for r in rgb])
        pairs = []
        for d in depth:
            nearest = int(np.abs(stamps - d.stamp_ns).argmin())
            if abs(int(stamps[nearest]) - d.stamp_ns) <= MAX_GAP_S * 1e9:
                pairs.append((rgb[nearest], d))
        return pairs

    def _stamps(self, topic: str) -> list[_Stamped]:
        found = []
        for connection, logged, raw in self._messages(topic):
            if self._open().is2:
                # The stamp leads every stamped message: no need to read the picture for it.
                order = '<' if raw[1] & 1 else '>'
                seconds, nanoseconds = struct.unpack_from(order + 'iI', raw, 4)
            else:
                stamp = self._open().deserialize(raw, connection.msgtype).header.stamp
                seconds, nanoseconds = stamp.sec, stamp.nanosec
            found.append(_Stamped(topic, logged, seconds * 10**9 + nanoseconds))
        return sorted(found, key=lambda s: s.stamp_ns)

    def _read(self, at: _Stamped, depth: bool) -> np.ndarray:
        for connection, _, raw in self._messages(
            at.topic, start=at.logged_ns, stop=at.logged_ns + 1
        ):
            message = self._open().deserialize(raw, connection.msgtype)
            try:
                if connection.msgtype == _COMPRESSED:
                    return compressed_to_depth(message) if depth else compressed_to_rgb(message)
                return image_to_depth(message) if depth else image_to_rgb(message)
            except MagadepthError as error:
                raise DataError(f'{self.path}: {at.topic} at {at.stamp_ns} ns: {error}') from None
        raise DataError(f'{self.path}: {at.topic} at {at.stamp_ns} ns is gone; was it rewritten?')

    def _intrinsics(self, types: dict[str, str]) -> tuple[float, float, float, float] | None:
        places = [self.rgb_topic.rsplit('/', n)[0] + '/camera_info' for n in (1, 2)]
        topic = next((place for place in places if types.get(place) == _INFO), None)
        if topic is None:
            return None
        for connection, _, raw in self._messages(topic):
            info = self._open().deserialize(raw, connection.msgtype)
            k = getattr(info, 'k', None)
            k = info.K if k is None else k
            return float(k[0]), float(k[4]), float(k[2]), float(k[5])
        return None

    def _broken(self, error: Exception) -> DataError:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return DataError(
            f'{self.path}: cannot be read as a bag ({reason})'
            '; was the recording ended cleanly? `ros2 bag reindex` repairs what can be repaired'
        )


def _is_depth(topic: str) -> bool:
    return 'depth' in topic.lower()


def _listed(types: dict[str, str]) -> str:
    return ', '.join(sorted(t for t, kind in types.items() if kind in (_IMAGE, _COMPRESSED))) or (
        'no image topics'
    )
