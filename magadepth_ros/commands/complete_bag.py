# SPDX-License-Identifier: Apache-2.0
"""Complete the depth images of a bag into a new bag, for ``magadepth complete``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magadepth_ros.commands.complete_folder import Open
from magadepth_ros.commands.progress import progress
from magadepth_ros.completion import Completer, Completion
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.project import CloudProjector
from magadepth_ros.errors import DataError, EncodingError, RegistrationError
from magadepth_ros.messages.camera_info import camera_info
from magadepth_ros.pairing import MessagePair
from magadepth_ros.pictures import to_millimetres
from magadepth_ros.recordings.bag_frames import BagFrames
from magadepth_ros.recordings.bag_writer import BagWriter, new_bag
from magadepth_ros.recordings.bags import CAMERA_INFO, find_topics, messages, open_bag
from magadepth_ros.topics import CameraTopics


@dataclass(frozen=True)
class BagOptions:
    """
    The topics that are read from a bag, and the topics that are added.

    ``rgb_topic`` and ``depth_topic``: None finds them. ``namespace``: where the new topics go.
    ``encoding``: 32FC1 or 16UC1 of the completed depth. ``points``: whether clouds are added.
    ``batch``: frames in one inference. ``depth_to_rgb``, ``assume_aligned``: see `BagFrames`.
    """

    rgb_topic: str | None = None
    depth_topic: str | None = None
    namespace: str = '/depth'
    encoding: str = '32FC1'
    points: bool = False
    batch: int = 1
    depth_to_rgb: Sequence[float] = ()
    assume_aligned: bool = False


@dataclass
class BagReport:
    """
    The result of completing a bag.

    Counts of completed frames, of pairs that could not be read (``broken``) and of depth images
    without RGB (``unmatched``); and why there are no clouds.
    """

    topics: CameraTopics
    completed: int = 0
    broken: int = 0
    unmatched: int = 0
    first_fault: DataError | EncodingError | None = None
    camera_fault: str = ''


def complete_bag(
    open_completer: Open, source: Path, target: Path, options: BagOptions
) -> BagReport:
    """
    Copy a bag and add completed depth, confidence, camera_info and clouds.

    Parameters
    ----------
    open_completer:
        opens the completer; called once the bag is known to be readable.
    source, target:
        the bags; ``target`` appears only when it is whole.

    Raises
    ------
    DataError
        the bag cannot be read, has no such topics, or not one pair could be completed.

    """
    with open_bag(source) as reader:
        topics = find_topics(reader, options.rgb_topic, options.depth_topic)
        taken = {c.topic for c in reader.connections}
        added = {
            'completed': True,
            'confidence': True,
            'camera_info': bool(topics.rgb_info),
            'points': options.points,
        }
        for name, is_added in added.items():
            topic = f'{options.namespace}/{name}'
            if is_added and topic in taken:
                raise DataError(f'{source}: has {topic} already; choose another --namespace')
        total = sum(c.msgcount for c in reader.connections if c.topic == topics.depth)
        frames = BagFrames(reader, topics, options.depth_to_rgb, options.assume_aligned)
        with new_bag(target, reader) as writer, open_completer() as completer:
            with progress(total, 'frames') as bar:
                job = _Job(completer, writer, frames, options, bar, BagReport(topics))
                for connection, logged_ns, data in messages(reader):
                    writer.copy(connection, logged_ns, data)
                    job.pairs += frames.take(connection, logged_ns, data)
                    if len(job.pairs) >= options.batch:
                        job.complete()
                job.complete()
            job.report.unmatched = frames.unmatched
            if not job.report.completed:
                fault = job.report.first_fault or (
                    f'{topics.rgb} and {topics.depth} have no stamps that match'
                )
                text = f'{source}: no frame could be completed: {fault}'
                if isinstance(fault, RegistrationError):
                    given = '' if options.depth_to_rgb else 'give --depth-to-rgb or, '
                    text += f'; {given}where it is aligned, --assume-aligned'
                raise DataError(text)
    return job.report


@dataclass
class _Job:
    """The state of one pass over a bag; ``pairs`` wait for the next batch."""

    completer: Completer
    writer: BagWriter
    frames: BagFrames
    options: BagOptions
    bar: Any
    report: BagReport
    pairs: list[MessagePair] = field(default_factory=list)
    projector: CloudProjector = field(default_factory=CloudProjector)

    def complete(self) -> None:
        if not self.pairs:
            return
        pairs, frames = [], []
        for pair in self.pairs:
            try:
                frames.append(self.frames.read(pair))
                pairs.append(pair)
            except (DataError, EncodingError) as error:
                self.report.broken += 1
                self.report.first_fault = self.report.first_fault or error
        completions = self.completer.complete_batch(frames)
        for pair, frame, completion in zip(pairs, frames, completions, strict=True):
            self._write(pair, frame, completion)
        self.report.completed += len(completions)
        self.bar.update(len(self.pairs))
        self.pairs.clear()

    def _write(self, pair: MessagePair, frame: RgbdFrame, completion: Completion) -> None:
        space, writer = self.options.namespace, self.writer
        header, depth = frame.header, completion.depth
        logged_ns = max(pair.rgb.logged_ns, pair.depth.logged_ns)
        if self.options.encoding == '16UC1':
            depth = to_millimetres(depth)
        writer.add_image(f'{space}/completed', logged_ns, header, depth, self.options.encoding)
        writer.add_image(f'{space}/confidence', logged_ns, header, completion.confidence, '32FC1')
        if frame.info is None:
            return
        self.report.camera_fault = frame.camera_fault or self.report.camera_fault
        info = camera_info(header, frame.info, *frame.size)
        writer.add(f'{space}/camera_info', logged_ns, CAMERA_INFO, info)
        if self.options.points and frame.camera is not None:
            cloud = self.projector.project(completion.depth, frame.rgb, frame.camera)
            writer.add_cloud(f'{space}/points', logged_ns, header, cloud)
