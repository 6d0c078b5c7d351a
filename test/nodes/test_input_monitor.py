# SPDX-License-Identifier: Apache-2.0
"""Warnings about inputs, counted and throttled: when they come, when they go, what they name."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.nodes.input_monitor import InputMonitor
from magadepth_ros.nodes.reporter import ONCE, Reporter
from magadepth_ros.pairing import DEPTH, NANO, RGB, Pairer
from magadepth_ros.topics import CameraTopics


class Log:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str) -> None:
        self.lines.append(text)

    error = info = warning


@pytest.fixture
def log():
    """Give a logger."""
    return Log()


@pytest.fixture
def checks(log):
    """Give the checks of one camera."""
    return InputMonitor(
        Reporter(log), FrameReader(CameraTopics('/rgb/image', '/rgb/camera_info', '/depth/image'))
    )


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (48, 64, 3)).astype(np.uint8)


def test_a_throttled_warning_speaks_once_and_counts_all(log):
    reporter = Reporter(log)
    for _ in range(100):
        reporter.warn('a', 'trouble')
        reporter.error('b', 'more', period=ONCE)
    assert len(log.lines) == 2
    assert reporter.counts == {'a': 100, 'b': 100}
    assert reporter.last == 'more'
    reporter.forget('a')
    reporter.warn('a', 'trouble')
    assert log.lines[-1] == 'trouble [101 times so far]'


def test_a_black_picture_is_reported_until_there_is_light(checks, log):
    checks.pixels(np.zeros((48, 64, 3), np.uint8), 0.5)
    assert checks.trouble == {'black_rgb'}
    assert 'exposure' in log.lines[0]
    checks.pixels(noise(0), 0.5)
    assert not checks.trouble


def test_a_picture_that_repeats_is_frozen(checks):
    for _ in range(40):
        checks.pixels(noise(1), 0.5)
    assert checks.trouble == {'frozen_rgb'}
    checks.pixels(noise(2), 0.5)
    assert not checks.trouble
    for seed in range(40):
        checks.pixels(noise(seed), 0.5)
    assert not checks.trouble


def test_depth_without_a_measurement_is_reported(checks, log):
    checks.pixels(noise(0), 0.0)
    assert checks.trouble == {'no_depth'}
    assert '/depth/image' in log.lines[0]


def test_unequal_frames_are_reported_once_and_empty_ones_pass(checks, log):
    checks.accepted('color', '')
    checks.accepted('color', 'color')
    assert not log.lines
    for _ in range(5):
        checks.accepted('color', 'depth')
    assert len(log.lines) == 1
    assert checks.trouble == {'unaligned'}


@pytest.mark.parametrize(
    ('fed', 'names'),
    [
        ([], ['/rgb/image', '/depth/image', 'remapped']),
        ([(RGB, 9 * NANO)], ['no message on /depth/image']),
        ([(DEPTH, 9 * NANO)], ['no message on /rgb/image']),
        ([(RGB, 9 * NANO), (DEPTH, 11 * NANO)], ['+2.000 s apart', '/rgb/image', '/depth/image']),
        ([(RGB, 0), (DEPTH, NANO)], ['zero']),
    ],
)
def test_what_never_pairs_is_explained_after_two_seconds(checks, log, fed, names):
    pairer = Pairer(lambda pair: None)
    for stream, stamp_ns in fed:
        pairer.add(stream, stamp_ns, None)
    for _ in range(3):
        checks.pairing(pairer, pairer.counters, 0.5)
    assert not log.lines
    checks.pairing(pairer, pairer.counters, 0.5)
    assert len(log.lines) == 1
    assert all(name in log.lines[0] for name in names), log.lines[0]
    pairer.add(RGB, 12 * NANO, None)
    pairer.add(DEPTH, 12 * NANO, None)
    checks.pairing(pairer, pairer.counters, 0.5)
    assert not checks.trouble


def test_a_camera_info_may_be_late_but_not_missing(checks, log, monkeypatch):
    now = 100.0
    monkeypatch.setattr('magadepth_ros.nodes.input_monitor.monotonic', lambda: now)
    rgb, depth = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.float32)
    missing = RgbdFrame(rgb, depth)
    checks.camera_info(missing)
    now += 1.9
    checks.camera_info(missing)
    assert not log.lines
    now += 0.2
    checks.camera_info(missing)
    assert checks.trouble == {'camera_info'}
    assert 'no message on /rgb/camera_info' in log.lines[0]
    checks.camera_info(RgbdFrame(rgb, depth, info='known'))
    assert not checks.trouble
