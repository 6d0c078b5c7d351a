# SPDX-License-Identifier: Apache-2.0
"""Tests of serving while an engine is built: no frame is lost, and a failure stops nothing."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from magadepth_ros.engines.engine import ModelInfo, Prediction
from magadepth_ros.engines.swapping import BUILDING, FAILED, READY, SwappingEngine
from magadepth_ros.errors import EngineError

INFO = ModelInfo('n', 2, 2, 0.1, 10.0, '', '', '', '')
RGB = np.zeros((1, 3, 2, 2), np.float32)
DEPTH = np.ones((1, 1, 2, 2), np.float32)


class Constant:
    """An engine that answers with one number, from one thread at a time, until it is closed."""

    info, precision = INFO, 'fp32'

    def __init__(self, backend, value, fail_after=None):
        self.backend, self.value, self.left, self.closed = backend, value, fail_after, False

    def infer(self, rgb, depth):
        assert not self.closed
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise EngineError('illegal memory access')
        return Prediction(np.full_like(depth, self.value), None)

    def close(self):
        self.closed = True


def value(engine):
    return float(engine.infer(RGB, DEPTH).depth[0, 0, 0, 0])


def test_frames_come_before_during_and_after_the_change():
    go_on = threading.Event()
    slow, fast = Constant('openvino', 1.0), Constant('tensorrt', 2.0)
    seen = []

    def build(progress, cancelled):
        progress('building', 0.5)
        assert go_on.wait(10)
        return fast

    engine = SwappingEngine(lambda: slow, build, seen.append)
    assert engine.backend == 'openvino'
    assert [value(engine) for _ in range(3)] == [1.0] * 3
    assert engine.status.state == BUILDING
    go_on.set()
    assert engine.wait(10).state == READY
    assert not slow.closed  # a frame may be in it: only the thread that infers changes over
    assert [value(engine) for _ in range(3)] == [2.0] * 3
    assert slow.closed
    assert engine.backend == 'tensorrt'
    assert [status.state for status in seen] == [BUILDING, READY]
    assert seen[0].share == 0.5
    engine.close()
    assert fast.closed


def test_not_one_frame_fails_while_the_engine_is_exchanged():
    go_on = threading.Event()

    def build(progress, cancelled):
        go_on.wait(10)
        return Constant('tensorrt', 2.0)

    engine = SwappingEngine(lambda: Constant('openvino', 1.0), build)
    values = []
    for number in range(2000):
        if number == 500:
            go_on.set()
        if number == 1500:
            engine.wait(10)
        values.append(value(engine))
    assert values == sorted(values)
    assert set(values) == {1.0, 2.0}
    engine.close()


@pytest.mark.parametrize('error', [EngineError('no memory'), RuntimeError('driver'), OSError()])
def test_a_build_that_fails_leaves_the_service_alone(error):
    def build(progress, cancelled):
        raise error

    engine = SwappingEngine(lambda: Constant('openvino', 1.0), build)
    status = engine.wait(10)
    assert status.state == FAILED
    assert str(error) in status.text
    assert value(engine) == 1.0
    engine.close()


def test_a_new_engine_that_breaks_hands_back(caplog):
    opened = []

    def serve():
        opened.append(Constant('openvino', 1.0))
        return opened[-1]

    fast = Constant('tensorrt', 2.0, fail_after=2)
    engine = SwappingEngine(serve, lambda progress, cancelled: fast)
    engine.wait(10)
    assert [value(engine) for _ in range(4)] == [2.0, 2.0, 1.0, 1.0]
    assert fast.closed
    assert len(opened) == 2
    assert engine.status.state == FAILED
    assert 'illegal memory access' in caplog.text
    engine.close()


def test_closing_stops_a_build():
    stopped = threading.Event()

    def build(progress, cancelled):
        while not cancelled():
            stopped.wait(0.01)
        raise EngineError('cancelled')

    slow = Constant('openvino', 1.0)
    engine = SwappingEngine(lambda: slow, build)
    engine.close()
    assert slow.closed
    with pytest.raises(EngineError, match='closed'):
        engine.infer(RGB, DEPTH)


def test_an_engine_that_was_never_used_is_closed_too():
    fast = Constant('tensorrt', 2.0)
    engine = SwappingEngine(lambda: Constant('openvino', 1.0), lambda p, c: fast)
    engine.wait(10)
    engine.close()
    assert fast.closed
