# SPDX-License-Identifier: Apache-2.0
"""Conditions of a camera's input: when they come, when they go, what they name."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest

import magadepth_ros.nodes.input_monitor as module
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import (
    DataError,
    EncodingError,
    RegistrationError,
    ShapeError,
    SwappedError,
    UnknownEncodingError,
)
from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.messages.registration import DepthRegistration
from magadepth_ros.nodes.condition_table import ERROR, OK, WARN
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.input_monitor import InputMonitor
from magadepth_ros.pairing import DEPTH, RGB, MessagePair, Pairer
from magadepth_ros.stamps import NANO
from magadepth_ros.topics import CameraTopics

TOPICS = CameraTopics('/rgb/image', '/rgb/camera_info', '/depth/image')
LIMITS = (0.1, 10.0)


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that stands until it is moved: ``clock[0]`` in seconds."""
    now = [1000.0]
    monkeypatch.setattr(module, 'monotonic', lambda: now[0])
    return now


class Watched:
    """A monitor with its pairer and its conditions, and a camera of 10 Hz that can be let run."""

    def __init__(self, clock, registration=None) -> None:
        self._clock = clock
        self.conditions = Conditions(logging.getLogger('test'))
        self.pairer = Pairer(lambda pair: None, slop=0.01)
        reader = FrameReader(TOPICS, registration)
        self.monitor = InputMonitor(self.conditions, reader, self.pairer)

    def codes(self) -> set[str]:
        return {item.condition.code for item in self.conditions.active()}

    def only(self):
        (item,) = self.conditions.active()
        return item

    def run(self, seconds: float, rgb: bool = True, depth: bool = True, gap: float = 0.0) -> None:
        for step in range(round(seconds * 10)):
            self._clock[0] += 0.1
            stamp = round(self._clock[0] * NANO)
            if rgb:
                self.pairer.add(RGB, stamp, None)
            if depth:
                self.pairer.add(DEPTH, stamp + round(gap * NANO), None)
            if step % 5 == 4:
                self.monitor.watch()


@pytest.fixture
def camera(clock):
    """Give a monitor."""
    return Watched(clock)


def noise(seed: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (side, side, 3)).astype(np.uint8)


def frame(rgb: np.ndarray, metres: float = 2.0, **more) -> RgbdFrame:
    return RgbdFrame(rgb, np.full(rgb.shape[:2], metres, np.float32), **more)


def pair(rgb_frame: str, depth_frame: str) -> MessagePair:
    rgb, depth = (
        SimpleNamespace(header=SimpleNamespace(frame_id=name)) for name in (rgb_frame, depth_frame)
    )
    return MessagePair(rgb, depth, 1, 0, 0, 0.0)


def test_a_black_picture_is_reported_until_there_is_light(camera):
    camera.monitor.completed(frame(np.zeros((48, 64, 3), np.uint8)), 0.5, LIMITS)
    assert camera.codes() == {'BLACK_RGB'}
    camera.monitor.completed(frame(noise(0)), 0.5, LIMITS)
    assert not camera.codes()


def test_a_picture_that_repeats_is_frozen(camera):
    for _ in range(40):
        camera.monitor.completed(frame(noise(1)), 0.5, LIMITS)
    assert camera.codes() == {'FROZEN_RGB'}
    for seed in range(2, 42):
        camera.monitor.completed(frame(noise(seed)), 0.5, LIMITS)
        assert not camera.codes()


def test_depth_without_a_measurement_is_reported(camera):
    camera.monitor.completed(frame(noise(0), 0.0), 0.0, LIMITS)
    assert camera.codes() == {'EMPTY_DEPTH'} and '/depth/image' in camera.only().text


@pytest.mark.parametrize('share', [0.0, 0.01, 0.05])
@pytest.mark.parametrize(
    ('metres', 'level', 'chosen_level'),
    [(0.07, WARN, WARN), (12.0, WARN, OK), (65.535, None, None), (np.inf, None, None)],
)
@pytest.mark.parametrize('chosen', [False, True])
def test_measurements_outside_the_limits_are_reported_from_two_percent_on(
    camera, metres, level, chosen_level, chosen, share
):
    depth = np.full((400, 400), 2.0, np.float32)
    # Missing pixels are no measurements.
    depth[:200] = 0.0
    depth[200:, : round(400 * share)] = metres
    for seed in range(40):
        camera.monitor.completed(RgbdFrame(noise(seed, 400), depth), 0.5, LIMITS, chosen)
    expected = (chosen_level if chosen else level) if share > 0.02 else None
    assert [item.level for item in camera.conditions.active()] == ([expected] if expected else [])


def test_unequal_frames_are_reported_where_depth_is_taken_as_aligned(camera, clock):
    for frames in (('color', ''), ('color', 'color')):
        camera.monitor.accepted(pair(*frames))
        assert not camera.codes()
    camera.monitor.accepted(pair('color', 'depth'))
    assert camera.codes() == {'UNALIGNED_DEPTH'}
    registering = Watched(clock, DepthRegistration())
    registering.monitor.accepted(pair('color', 'depth'))
    assert not registering.codes()


@pytest.mark.parametrize(
    ('error', 'code'),
    [
        (EncodingError('step'), 'BAD_IMAGE'),
        (DataError('too small'), 'BAD_IMAGE'),
        (UnknownEncodingError('what'), 'WRONG_ENCODING'),
        (SwappedError('16UC1'), 'SWAPPED_TOPICS'),
        (ShapeError('20x20'), 'SIZE_MISMATCH'),
        (RegistrationError('/tf_static'), 'UNREGISTERED_DEPTH'),
    ],
)
def test_refused_pairs_are_an_error_when_nothing_else_has_come(camera, clock, error, code):
    for _ in range(4):
        clock[0] += 1.0
        camera.monitor.accepted(pair('a', 'a'))
        camera.monitor.refused(error)
    item = camera.only()
    assert (item.condition.code, item.level) == (code, WARN)
    assert str(error) in item.sentence
    clock[0] += 2.1
    camera.monitor.refused(error)
    assert camera.only().level == ERROR


@pytest.mark.parametrize(
    ('runs', 'code', 'names'),
    [
        ({'rgb': False, 'depth': False}, 'NO_IMAGES', ['/rgb/image', '/depth/image', 'remap']),
        ({'depth': False}, 'NO_DEPTH', ['no message has arrived on /depth/image']),
        ({'rgb': False}, 'NO_RGB', ['no message has arrived on /rgb/image']),
        (
            {'gap': 0.05},
            'UNSYNCHRONISED_STREAMS',
            ['+0.050 s apart', '/rgb/image', 'slop is 0.010'],
        ),
    ],
)
def test_what_never_pairs_is_explained_after_two_seconds(camera, runs, code, names):
    camera.run(1.9, **runs)
    assert not camera.codes()
    camera.run(1.1, **runs)
    assert camera.codes() == {code}
    assert all(name in camera.only().text for name in names), camera.only().text
    camera.run(1.0)
    assert not camera.codes()


@pytest.mark.parametrize(
    ('runs', 'code'),
    [
        ({'rgb': False, 'depth': False}, 'CAMERA_STOPPED'),
        ({'rgb': False}, 'RGB_STOPPED'),
        ({'depth': False}, 'DEPTH_STOPPED'),
    ],
)
@pytest.mark.parametrize('later', [0.0, 0.6])
def test_streams_that_stop_are_named_once_and_their_return_too(camera, caplog, runs, code, later):
    caplog.set_level(logging.INFO)
    camera.run(5.0)
    assert not camera.codes()
    if code == 'CAMERA_STOPPED':
        # A driver that is killed does not stop both streams at one moment.
        camera.run(later, depth=False)
    camera.run(10.0, **runs)
    assert camera.codes() == {code}
    camera.run(1.0)
    assert not camera.codes()
    assert len(caplog.messages) == 2 and f'{code} is over' in caplog.messages[1]


def test_a_slow_camera_has_not_stopped_between_two_frames(camera):
    for _ in range(10):
        camera.run(0.1)
        camera.run(2.4, rgb=False, depth=False)
        assert not camera.codes()
    camera.run(10.0, rgb=False, depth=False)
    assert camera.codes() == {'CAMERA_STOPPED'}


def test_stamps_of_zero_on_one_stream_are_named(camera, clock):
    camera.run(3.0)
    for _ in range(30):
        clock[0] += 0.1
        camera.pairer.add(RGB, 0, None)
        camera.pairer.add(DEPTH, round(clock[0] * NANO), None)
        camera.monitor.watch()
    assert camera.codes() == {'ZERO_STAMPS'}


def test_a_camera_info_may_be_late_but_not_missing(camera, clock):
    missing = frame(noise(0))
    for seconds in (0.0, 1.9):
        clock[0] += seconds
        camera.monitor.camera_info(missing)
        assert not camera.codes()
    clock[0] += 0.2
    camera.monitor.camera_info(missing)
    assert camera.codes() == {'NO_CAMERA_INFO'}
    camera.monitor.camera_info(frame(noise(0), info='known', camera_fault='no focal length'))
    assert camera.codes() == {'BAD_CAMERA_INFO'}
    assert 'no focal length' in camera.only().text
    camera.monitor.camera_info(frame(noise(0), info='known'))
    assert not camera.codes()


def test_after_a_rest_the_past_says_nothing(camera, clock):
    camera.run(5.0)
    camera.run(5.0, depth=False)
    assert camera.codes() == {'DEPTH_STOPPED'}
    camera.monitor.rest()
    assert not camera.codes()
    clock[0] += 1.0
    camera.monitor.watch()
    assert not camera.codes()
