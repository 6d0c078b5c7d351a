# SPDX-License-Identifier: Apache-2.0
"""The worker thread: takes the newest pairs, completes them in one batch, publishes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from magadepth_ros.completion.completer import Completion
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.live import LiveCompleter
from magadepth_ros.errors import DataError, EncodingError, EngineError, describe
from magadepth_ros.nodes.camera_pipeline import CameraPipeline
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter
from magadepth_ros.pairing import NANO, LatestPairs, MessagePair

FOREIGN_CLOCK = 10.0
"""A stamp further than this from the node's clock [s] was made by another clock."""


@dataclass(frozen=True)
class Job:
    """A frame to be completed; ``began`` is `time.perf_counter` when its pair was taken up."""

    camera: CameraPipeline
    frame: RgbdFrame
    began: float
    read_ms: float


class Worker:
    """Owns the thread; everything in it survives every message and every engine error."""

    def __init__(
        self,
        cameras: Sequence[CameraPipeline],
        latest: LatestPairs,
        completer: LiveCompleter,
        reporter: Reporter,
        parameters: Callable[[], NodeParameters],
        now_ns: Callable[[], int],
        publish_times: Callable[[float, float], None],
    ) -> None:
        """
        Prepare; `start` begins.

        ``parameters`` gives the values in force, ``now_ns`` the node's clock [ns],
        ``publish_times`` takes latency and processing time of a frame [ms].
        """
        self._cameras = cameras
        self._latest = latest
        self._completer = completer
        self._reporter = reporter
        self._parameters = parameters
        self._now_ns = now_ns
        self._publish_times = publish_times
        self._stop = threading.Event()
        # Held while a frame goes out, so that nothing does once `stop` has returned.
        self._publishing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing more, and end the thread; one that hangs is left behind."""
        self.abandon()
        self._latest.close()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def abandon(self) -> None:
        """Publish nothing more; the thread ends when the frame in work comes back."""
        with self._publishing:
            self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            taken = self._latest.take(0.2)
            if not taken:
                continue
            try:
                self._work(taken)
            # The last line of defence: a frame may be lost, the thread may not.
            except Exception as error:
                if self._stop.is_set():
                    return
                self._reporter.error('frame', f'frame lost: {describe(error)}')

    def _work(self, taken: Sequence[tuple[int, MessagePair]]) -> None:
        parameters = self._parameters()
        jobs = []
        for index, pair in taken:
            camera = self._cameras[index]
            # Nothing is computed for topics without subscribers.
            if not camera.outputs.wanted():
                camera.counters.unwanted += 1
            elif self._fresh(camera, pair, parameters.max_age):
                job = self._read(camera, pair)
                if job is not None:
                    jobs.append(job)
        if not jobs:
            return
        try:
            completions = self._completer.complete([job.frame for job in jobs])
        except EngineError as error:
            self._reporter.error('engine', f'engine failed ({parameters.on_failure}): {error}')
            if parameters.on_failure == 'silent':
                for job in jobs:
                    job.camera.counters.failed += 1
                return
            completions = [measured_only(j.frame.depth, self._completer.depth_range) for j in jobs]
        for job, completion in zip(jobs, completions, strict=True):
            with self._publishing:
                if self._stop.is_set():
                    # The node is inactive, or another worker has shown newer frames meanwhile.
                    return
                self._publish(job, completion, parameters)

    def _fresh(self, camera: CameraPipeline, pair: MessagePair, max_age: float) -> bool:
        if max_age <= 0 or pair.stamp_ns == 0:
            return True
        age = (self._now_ns() - pair.stamp_ns) / NANO
        if abs(age) > max(FOREIGN_CLOCK, max_age):
            self._reporter.warn(
                f'clock{camera.monitor.label}',
                f'stamps of {camera.inputs.topics.rgb} are {age:.1f} s old: another clock made '
                'them, so max_age is not applied; for a bag set use_sim_time and play it with '
                '--clock, for another computer synchronise the clocks',
                period=60.0,
            )
            return True
        if age <= max_age:
            return True
        camera.counters.aged += 1
        self._reporter.warn(
            f'age{camera.monitor.label}',
            f'pair of {camera.inputs.topics.rgb} dropped: {age:.2f} s old, max_age is '
            f'{max_age:.2f} s; the network or the camera is slow, or max_age too short',
        )
        return False

    def _read(self, camera: CameraPipeline, pair: MessagePair) -> Job | None:
        began = perf_counter()
        try:
            frame = camera.inputs.reader.read(pair.rgb, pair.depth)
        except (DataError, EncodingError) as error:
            camera.counters.refused += 1
            camera.monitor.refused(error)
            return None
        camera.monitor.accepted(pair.rgb.header.frame_id, pair.depth.header.frame_id)
        camera.statistics.stages({'wait': (began - pair.arrived) * 1e3, **frame.timings})
        return Job(camera, frame, began, (perf_counter() - began) * 1e3)

    def _publish(self, job: Job, completion: Completion, parameters: NodeParameters) -> None:
        camera, frame = job.camera, job.frame
        start = perf_counter()
        camera.outputs.publish(frame.header, completion, parameters, self._completer.depth_range)
        latency_ms = (self._now_ns() - frame.stamp_ns) / 1e6
        cloud_ms = 0.0
        if camera.outputs.wants_camera():
            camera.monitor.camera_info(frame)
            if frame.camera is not None:
                cloud_ms = camera.outputs.publish_with_camera(
                    frame, frame.camera, completion, parameters
                )
        end = perf_counter()
        processing_ms, published_ms = (end - job.began) * 1e3, (end - start) * 1e3
        timings = completion.timings
        camera.statistics.stages(
            {
                **timings,
                'publish': published_ms - cloud_ms,
                'cloud': cloud_ms,
                # Of this frame alone: other cameras' frames of the batch have theirs.
                'overhead': job.read_ms
                + sum(timings.values())
                - timings.get('infer', 0.0)
                + published_ms,
            }
        )
        camera.statistics.frame(
            latency_ms,
            processing_ms,
            completion.unknown_share,
            completion.measured_share,
        )
        camera.monitor.pixels(frame.rgb, completion.measured_share)
        self._publish_times(latency_ms, processing_ms)


def measured_only(depth: np.ndarray, depth_range: tuple[float, float]) -> Completion:
    """Make what is published without an engine: the plausible measurements, nothing filled."""
    low, high = depth_range
    valid = (depth >= max(low, 1e-6)) & (depth <= high)
    measured_share = float(np.count_nonzero(valid)) / depth.size
    return Completion(
        depth=np.where(valid, depth, np.float32(np.nan)),
        confidence=valid.astype(np.float32),
        filled=np.zeros(depth.shape, bool),
        measured_share=measured_share,
        unknown_share=1.0 - measured_share,
    )
