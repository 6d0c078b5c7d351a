# SPDX-License-Identifier: Apache-2.0
"""What the worker makes of pairs, what goes out without an engine, and how often."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from support.live import header_at
from support.messages import depth_image, rgb_image

from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.nodes.camera_outputs import _next
from magadepth_ros.nodes.frame_statistics import FrameStatistics
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter
from magadepth_ros.nodes.worker import Worker, measured_only
from magadepth_ros.pairing import NANO, Counters, LatestPairs, MessagePair
from magadepth_ros.topics import CameraTopics

NOW = 1_700_000_000 * NANO


class StubCamera:
    """A camera whose topics only remember; it is its own outputs."""

    def __init__(self) -> None:
        self.outputs, self.counters, self.statistics = self, Counters(), FrameStatistics()
        topics = CameraTopics('rgb', 'rgb_info', 'depth')
        self.inputs = SimpleNamespace(topics=topics, reader=FrameReader(topics))
        nothing = lambda *_: None  # noqa: E731
        self.monitor = SimpleNamespace(label='', pixels=nothing, accepted=nothing)
        self.published = []

    def wanted(self) -> bool:
        return True

    def wants_camera(self) -> bool:
        return False

    def publish(self, header, completion, parameters, depth_range) -> None:
        self.published.append((header, completion.depth))


class Keeper:
    """Gives the measured depth back."""

    depth_range = (0.1, 10.0)

    def complete(self, frames):
        return [measured_only(frame.depth, self.depth_range) for frame in frames]


def make_worker(cameras: list[StubCamera], times: list | None = None) -> Worker:
    def publish_times(*given: float) -> None:
        if times is not None:
            times.append(given)

    reporter = Reporter(logging.getLogger('test'))
    return Worker(
        cameras, LatestPairs(), Keeper(), reporter, NodeParameters, lambda: NOW, publish_times
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
    cameras, times = [StubCamera(), StubCamera()], []
    pairs = [make_pair(0.025, 2.0), make_pair(0.050, 3.0)]
    make_worker(cameras, times)._work(list(enumerate(pairs)))
    for camera, pair, metres in zip(cameras, pairs, (2.0, 3.0), strict=True):
        ((header, depth),) = camera.published
        assert header == pair.rgb.header
        assert np.nanmin(depth) == np.nanmax(depth) == metres
        summary = camera.statistics.summary()
        assert (summary.unfilled_share, summary.measured_share) == (0.25, 0.75)
    assert [latency_ms for latency_ms, _ in times] == pytest.approx([25.0, 50.0])
    assert [c.statistics.summary().latency_p50 for c in cameras] == pytest.approx([25.0, 50.0])


@pytest.mark.parametrize(
    ('age', 'shown'),
    # Half a second by default; 10 s and more, before or behind, are of another clock.
    [(0.49, True), (0.51, False), (9.9, False), (10.1, True), (-9.9, True), (-3600.0, True)],
)
def test_a_pair_that_is_too_old_is_dropped_unless_another_clock_made_it(caplog, age, shown):
    camera = StubCamera()
    make_worker([camera])._work([(0, make_pair(age))])
    assert (len(camera.published), camera.counters.aged) == ((1, 0) if shown else (0, 1))
    assert ('another clock' in caplog.text) == (abs(age) > 10)


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
