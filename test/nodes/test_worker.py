# SPDX-License-Identifier: Apache-2.0
"""What the worker makes of pairs, what goes out without an engine, and how often."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from support.live import header_at
from support.messages import depth_image, rgb_image

from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.nodes.camera_outputs import _next
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.frame_statistics import FrameStatistics
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.worker import Worker, measured_only
from magadepth_ros.pairing import Counters, LatestPairs, MessagePair
from magadepth_ros.stamps import NANO
from magadepth_ros.topics import CameraTopics

NOW = 1_700_000_000 * NANO


class StubCamera:
    """A camera whose topics only remember; it is its own outputs."""

    def __init__(self) -> None:
        self.outputs, self.counters, self.statistics = self, Counters(), FrameStatistics()
        topics = CameraTopics('rgb', 'rgb_info', 'depth')
        self.inputs = SimpleNamespace(topics=topics, reader=FrameReader(topics))
        self.monitor, self.said = self, []
        self.published = []

    def wanted(self) -> bool:
        return True

    def accepted(self, pair) -> None:
        self.said.append('accepted')

    def completed(self, frame, measured_share, limits, chosen_far) -> None:
        self.said.append('completed')

    def refused(self, error) -> None:
        self.said.append(str(error))

    def late(self, age, max_age) -> None:
        self.said.append('late')

    def foreign(self, age) -> None:
        self.said.append('foreign')

    def wants_camera(self) -> bool:
        return False

    def publish(self, header, completion, parameters, depth_range) -> None:
        self.published.append((header, completion.depth))


class Debug:
    """~/debug topics that only remember."""

    def __init__(self, heard: bool = False) -> None:
        self.heard, self.times = heard, []

    def wanted(self) -> bool:
        return self.heard

    def publish(self, *times: float) -> None:
        self.times.append(times)


class Keeper:
    """Gives the measured depth back."""

    depth_range = (0.1, 10.0)

    def complete(self, frames):
        return [measured_only(frame.depth, self.depth_range) for frame in frames]


def make_worker(cameras: list[StubCamera], debug: Debug | None = None, now: int = NOW) -> Worker:
    conditions = Conditions(logging.getLogger('test'))
    return Worker(
        cameras, LatestPairs(), Keeper(), conditions, NodeParameters, lambda: now, debug or Debug()
    )


def make_pair(age: float, metres: float = 2.0) -> MessagePair:
    """Make a pair of this age [s] by the node's clock, a quarter of whose depth is missing."""
    stamp_ns = NOW - round(age * NANO)
    depth = np.full((24, 32), metres, np.float32)
    depth[:6] = 0.0
    header = header_at(stamp_ns)
    rgb = rgb_image(header, np.full((24, 32, 3), 99, np.uint8))
    return MessagePair(rgb, depth_image(header, depth), stamp_ns, 0, 0, 0.0)


def test_each_camera_publishes_its_own_depth_and_numbers():
    cameras, debug = [StubCamera(), StubCamera()], Debug()
    pairs = [make_pair(0.025, 2.0), make_pair(0.050, 3.0)]
    make_worker(cameras, debug)._work(list(enumerate(pairs)))
    for camera, pair, metres in zip(cameras, pairs, (2.0, 3.0), strict=True):
        ((header, depth),) = camera.published
        assert header == pair.rgb.header
        assert np.nanmin(depth) == np.nanmax(depth) == metres
        summary = camera.statistics.summary()
        assert (summary.unfilled_share, summary.measured_share) == (0.25, 0.75)
    assert [latency_ms for latency_ms, _ in debug.times] == pytest.approx([25.0, 50.0])
    assert [c.statistics.summary().latency_p50 for c in cameras] == pytest.approx([25.0, 50.0])


@pytest.mark.parametrize(
    ('age', 'shown'),
    # Half a second by default; 10 s and more, before or behind, are of another clock.
    [(0.49, True), (0.51, False), (9.9, False), (10.1, True), (-9.9, True), (-3600.0, True)],
)
def test_a_pair_that_is_too_old_is_dropped_unless_another_clock_made_it(age, shown):
    camera, debug = StubCamera(), Debug()
    make_worker([camera], debug)._work([(0, make_pair(age))])
    assert (len(camera.published), camera.counters.aged) == ((1, 0) if shown else (0, 1))
    foreign = abs(age) > 10
    assert camera.said[:1] == (['foreign'] if foreign else ['accepted'] if shown else ['late'])
    # The latency by another clock is none.
    assert [np.isnan(latency) for latency, _ in debug.times] == ([foreign] if shown else [])


def test_before_the_first_clock_message_no_pair_is_late_and_no_latency_known():
    camera, debug = StubCamera(), Debug()
    make_worker([camera], debug, now=0)._work([(0, make_pair(0.0))])
    assert len(camera.published) == 1 and camera.said == ['accepted', 'completed']
    assert np.isnan(debug.times[0][0]) and np.isnan(camera.statistics.summary().latency_p50)


@pytest.mark.parametrize(
    ('wanted', 'heard', 'expected'), [(False, False, 0), (False, True, 1), (True, False, 1)]
)
def test_nothing_is_computed_unless_somebody_listens_to_a_topic_or_to_its_times(
    wanted, heard, expected
):
    camera = StubCamera()
    camera.wanted = lambda: wanted
    make_worker([camera], Debug(heard))._work([(0, make_pair(0.0))])
    assert (len(camera.published), camera.counters.unwanted) == (expected, 1 - expected)


def test_nothing_goes_out_once_it_was_stopped_whatever_is_in_work():
    worker = make_worker([camera := StubCamera()], debug := Debug())
    begun, go_on = threading.Event(), threading.Event()

    def complete(frames):
        begun.set()
        assert go_on.wait(30)
        return [measured_only(frame.depth, (0.1, 10.0)) for frame in frames]

    worker._completer.complete = complete
    worker.start()
    worker._latest.put(0, make_pair(0.0))
    assert begun.wait(30)
    worker.stop()
    go_on.set()
    worker._thread.join(30)
    assert not worker._thread.is_alive() and not camera.published and not debug.times


def test_without_an_engine_only_plausible_measurements_go_out():
    depth = np.array([[0, np.nan, np.inf, 65.535, 0.05, -1, 2.0, 9.9]], np.float32)
    result = measured_only(depth, (0.1, 10.0))
    np.testing.assert_array_equal(result.depth, np.array([[np.nan] * 6 + [2.0, 9.9]], np.float32))
    np.testing.assert_array_equal(result.confidence, [[0] * 6 + [1, 1]])
    assert not result.filled.any()


def test_a_rate_limit_keeps_its_rate_with_frames_that_do_not_divide_it():
    due, sent = 0.0, 0
    for frame in range(300):
        now = 100.0 + frame / 30
        if now >= due:
            sent += 1
            due = _next(due, now, 7.0)
    assert sent == pytest.approx(70, abs=2)
    assert _next(5.0, 100.0, 0.0) == 0.0
