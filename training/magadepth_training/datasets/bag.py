# SPDX-License-Identifier: Apache-2.0
"""ROS bags as a data set: colour and registered depth, paired by stamp."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from magadepth_ros.errors import DataError, EncodingError
from magadepth_ros.recordings.bag_frames import BagFrames, locate_frames
from magadepth_ros.recordings.bags import find_topics, open_bag, whole_bag
from magadepth_training.datasets.sample import Sample, Source

FARTHEST = 65.535
"""Farthest depth that counts as measured [m]: the limit of 16-bit millimetres."""


class BagSource(Source):
    """
    Frames of a recording. They have no target, so training hides measured pixels.

    Bags, topics and registration are those of :mod:`magadepth_ros.recordings.bag_frames`.

    Parameters
    ----------
    path:
        the bag, in which one topic of colour and one of depth fit.

    Raises
    ------
    DataError
        the bag is broken, the topics are missing or could be several, or no stamps match.

    """

    consecutive = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        whole = whole_bag(self.path)
        self.name = self.path.stem if whole == self.path else whole.name
        with ExitStack() as stack:
            reader = stack.enter_context(open_bag(self.path))
            self.topics = find_topics(reader)
            self.locations = locate_frames(reader, self.topics)
            self._frames = BagFrames(reader, self.topics)
            # The bag stays open for as long as there is a source to read it.
            self._open = stack.pop_all()

    def __len__(self) -> int:
        return len(self.locations)

    def __getitem__(self, index: int) -> Sample:
        try:
            frame = self._frames.read_at(self.locations[index])
        except (DataError, EncodingError) as error:
            raise DataError(f'{self.path}: frame {index}: {error}') from None
        known = np.isfinite(frame.depth) & (frame.depth > 0) & (frame.depth < FARTHEST)
        return Sample(
            np.array(frame.rgb),
            np.where(known, frame.depth, 0).astype(np.float32),
            name=str(frame.stamp_ns),
            scene=self.name,
        )
