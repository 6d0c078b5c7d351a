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
from magadepth_ros.errors import DataError, EncodingError, EngineError, describe
from magadepth_ros.nodes.camera_outputs import DebugOutputs
from magadepth_ros.nodes.camera_pipeline import CameraPipeline
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.pairing import LatestPairs, MessagePair
from magadepth_ros.serving.live_completer import LiveCompleter
from magadepth_ros.stamps import NANO

FOREIGN_CLOCK = 10.0
"""A stamp whose distance to the node's clock is larger [s] was made by another clock."""


@dataclass(frozen=True)
class Job:
    """A frame to be completed; ``began`` is `time.perf_counter` when its pair was taken up."""

    camera: CameraPipeline
    frame: RgbdFrame
    began: float
    read_ms: float


class Worker:
    """Owns the worker thread, which survives every broken message and every engine error."""

    def __init__(
        self,
        cameras: Sequence[CameraPipeline],
        latest: LatestPairs,
        completer: LiveCompleter,
        conditions: Conditions,
        parameters: Callable[[], NodeParameters],
        now_ns: Callable[[], int],
        debug: DebugOutputs,
    ) -> None:
        """
        Prepare; `start` begins.

        ``conditions`` are the node's. ``parameters`` returns the values in force, ``now_ns`` the
        time of the node's clock [ns], 0 where it has no time yet.
        """
        self._cameras = cameras
        self._latest = latest
        self._completer = completer
        self._conditions = conditions
        self._parameters = parameters
        self._now_ns = now_ns
        self._debug = debug
        self._stop = threading.Event()
        # Held while a frame is published, so that none is published after `stop` has returned.
        self._publishing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing more, and end the thread; a thread that hangs is abandoned."""
        self.abandon()
        self._latest.close()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def abandon(self) -> None:
        """Publish nothing more; the thread ends after the current frame."""
        with self._publishing:
            self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            taken = self._latest.take(0.2)
            if not taken:
                continue
            try:
                self._work(taken)
            # Any other exception loses the frame, but must not end the thread.
            except Exception as error:
                if self._stop.is_set():
                    return
                self._conditions.set('FRAME_LOST', reason=describe(error))

    def _work(self, taken: Sequence[tuple[int, MessagePair]]) -> None:
        parameters = self._parameters()
        jobs = []
        for index, pair in taken:
            camera = self._cameras[index]
            # Frames are completed only for topics with subscribers.
            if not (camera.outputs.wanted() or self._debug.wanted()):
                camera.counters.unwanted += 1
            elif self._fresh(camera, pair, parameters.max_age):
                job = self._read(camera, pair)
                if job is not None:
                    jobs.append(job)
        if not jobs:
            return
        try:
            completions = self._completer.complete([job.frame for job in jobs])
            self._conditions.clear('ENGINE_FAILED')
        except EngineError as error:
            policy = parameters.on_failure
            self._conditions.set('ENGINE_FAILED', policy=policy, reason=error)
            if parameters.on_failure == 'silent':
                for job in jobs:
                    job.camera.counters.failed += 1
                return
            completions = [measured_only(j.frame.depth, self._completer.depth_range) for j in jobs]
        for job, completion in zip(jobs, completions, strict=True):
            with self._publishing:
                if self._stop.is_set():
                    # The node is inactive, or another worker has published newer frames meanwhile.
                    return
                self._publish(job, completion, parameters)

    def _fresh(self, camera: CameraPipeline, pair: MessagePair, max_age: float) -> bool:
        age = self._age(pair.stamp_ns)
        if age is None or max_age <= 0:
            return True
        if abs(age) > max(FOREIGN_CLOCK, max_age):
            camera.monitor.foreign(age)
            return True
        if age <= max_age:
            return True
        camera.counters.aged += 1
        camera.monitor.late(age, max_age)
        return False

    def _age(self, stamp_ns: int) -> float | None:
        """Return the age of a stamp [s]; None for a stamp or a node's clock of 0."""
        now_ns = self._now_ns()
        return (now_ns - stamp_ns) / NANO if now_ns and stamp_ns else None

    def _read(self, camera: CameraPipeline, pair: MessagePair) -> Job | None:
        began = perf_counter()
        try:
            mask_max_age = self._parameters().mask_max_age
            frame = camera.inputs.reader.read(pair.rgb, pair.depth, mask_max_age)
        except (DataError, EncodingError) as error:
            camera.counters.refused += 1
            camera.monitor.refused(error)
            return None
        camera.monitor.accepted(pair)
        if not self._may_go_out(camera, frame):
            return None
        camera.statistics.stages({'wait': (began - pair.arrived) * 1e3, **frame.timings})
        return Job(camera, frame, began, (perf_counter() - began) * 1e3)

    def _may_go_out(self, camera: CameraPipeline, frame: RgbdFrame) -> bool:
        """Whether a frame has a mask, or may be published without one."""
        parameters = self._parameters()
        required = parameters.mask_policy == 'required'
        if frame.masked or not (required or camera.inputs.reader.masks.in_use):
            return True
        camera.counters.unmasked += 1
        if frame.mask_fault:
            camera.monitor.bad_mask(frame.mask_fault)
        else:
            camera.monitor.unmasked(parameters.mask_max_age, required)
        return not required

    def _publish(self, job: Job, completion: Completion, parameters: NodeParameters) -> None:
        camera, frame = job.camera, job.frame
        start = perf_counter()
        limits = self._completer.depth_range
        camera.outputs.publish(frame.header, completion, parameters, limits)
        age = self._age(frame.stamp_ns)
        latency_ms = float('nan')
        if age is not None and abs(age) <= FOREIGN_CLOCK:
            latency_ms = age * 1e3
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
                # The times of this frame only; the other frames of the batch have their own.
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
        chosen_far = parameters.max_depth > 0
        camera.monitor.completed(frame, completion.measured_share, limits, chosen_far)
        self._debug.publish(latency_ms, processing_ms)


def measured_only(depth: np.ndarray, depth_range: tuple[float, float]) -> Completion:
    """Return the plausible measurements without any fill, to be published without an engine."""
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
