# SPDX-License-Identifier: Apache-2.0
"""ROS bags as a data set: colour and registered depth, paired by stamp."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from magadepth_ros.errors import DataError, EncodingError
from magadepth_ros.recordings.bag_frames import BagFrames, locate_frames
from magadepth_ros.recordings.bags import find_topics, open_bag, whole_bag
from magadepth_training.datasets.sample import Sample

FARTHEST = 65.535
"""Farthest depth that counts as measured [m]: the limit of 16-bit millimetres."""


class BagSource:
    """
    Frames of a recording. They have no target, so training hides measured pixels.

    Bags, topics and registration are those of :mod:`magadepth_ros.recordings.bag_frames`.

    Parameters
    ----------
    path:
        the bag.
    rgb_topic, depth_topic:
        topics of colour and depth; None finds them where only one topic of each fits.
    step:
        take every N-th frame, as neighbouring frames of a recording are nearly the same.

    Raises
    ------
    DataError
        the bag is broken, the topics are missing or could be several, or no stamps match.

    """

    target_made_by = ''
    consecutive = True

    def __init__(
        self,
        path: str | Path,
        rgb_topic: str | None = None,
        depth_topic: str | None = None,
        step: int = 1,
    ) -> None:
        self.path = Path(path)
        whole = whole_bag(self.path)
        self.name = self.path.stem if whole == self.path else whole.name
        with open_bag(self.path) as reader:
            self.topics = find_topics(reader, rgb_topic, depth_topic)
            self.locations = locate_frames(reader, self.topics)[::step]
        self.__setstate__({})

    def __len__(self) -> int:
        return len(self.locations)

    def __getitem__(self, index: int) -> Sample:
        try:
            # An open bag has one reading position, and several threads read frames.
            with self._lock:
                frame = self._open().read_at(self.locations[index])
        except (DataError, EncodingError) as error:
            raise DataError(f'{self.path}: frame {index}: {error}') from None
        known = np.isfinite(frame.depth) & (frame.depth > 0) & (frame.depth < FARTHEST)
        return Sample(
            np.array(frame.rgb),
            np.where(known, frame.depth, 0).astype(np.float32),
            name=str(frame.stamp_ns),
            scene=self.name,
        )

    def __getstate__(self) -> dict[str, Any]:
        # An open bag cannot be pickled for a worker process.
        return {name: value for name, value in self.__dict__.items() if name[0] != '_'}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = Lock()
        self._bags: list[ExitStack] = []
        self._frames: BagFrames | None = None
        self._owner = -1

    def _open(self) -> BagFrames:
        """Return the reader of this process."""
        if self._frames is None or self._owner != os.getpid():
            # A reader inherited by a fork belongs to the parent: keep it, as freeing it would
            # close it.
            self._bags.append(ExitStack())
            reader = self._bags[-1].enter_context(open_bag(self.path))
            self._frames, self._owner = BagFrames(reader, self.topics), os.getpid()
        return self._frames
