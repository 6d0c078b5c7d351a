# SPDX-License-Identifier: Apache-2.0
"""The keeper with real threads: what opens, fails, hangs, is replaced and is given back."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from magadepth_ros.engines.engine import ModelInfo, Prediction
from magadepth_ros.engines.opening import EngineRequest, Offer
from magadepth_ros.errors import DataError, EngineError, ModelError
from magadepth_ros.serving import keeper as keepers
from magadepth_ros.serving import states as keeper_states
from magadepth_ros.serving.keeper import EngineKeeper
from magadepth_ros.serving.states import State

INFO = ModelInfo('test', 24, 32, 0.1, 10.0, 'none', '1', 'none', 'Apache-2.0')
RGB, DEPTH = np.zeros((1, 3, 24, 32), np.float32), np.ones((1, 1, 24, 32), np.float32)
REQUEST = EngineRequest('model.onnx')


class Constant:
    """An engine that says the same everywhere, or breaks when it is told to."""

    info, precision = INFO, 'fp32'

    def __init__(self, backend: str = 'openvino', metres: float = 1.0) -> None:
        self.backend, self.metres = backend, metres
        self.broken = self.closed = False
        self.asked, self.answers = threading.Event(), threading.Event()
        self.answers.set()

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        assert not self.closed
        self.asked.set()
        self.answers.wait(30)
        if self.broken:
            raise EngineError('broken')
        return Prediction(np.full_like(depth, self.metres), None)

    def close(self) -> None:
        assert not self.closed
        self.closed = True


class Shop:
    """Opens engines and remembers them."""

    def __init__(self) -> None:
        self.engines: list[Constant] = []
        self.error: Exception | None = None
        self.build = None
        self.first = 'openvino'
        self.asked: list[bool] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, request: EngineRequest, gpu: bool) -> Offer:
        self.asked.append(gpu)
        self.gate.wait(30)
        if self.error is not None:
            raise self.error
        self.engines.append(Constant(self.first if gpu else 'openvino'))
        return Offer(self.engines[-1], self.build)


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def refusal():
    """Give a list; an error in it refuses the next model."""
    return []


@pytest.fixture
def keeper(shop, refusal, monkeypatch):
    """Give a keeper that reopens without waiting long."""
    monkeypatch.setattr(keeper_states, 'FIRST_PAUSE', 0.01)

    def accept(info: ModelInfo) -> None:
        for error in refusal:
            raise error

    keeper = EngineKeeper(shop, accept=accept)
    yield keeper
    shop.gate.set()
    assert keeper.close(30)


def wait_for(condition) -> None:
    done = threading.Event()
    for _ in range(3000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError('not within 30 s')


def value(keeper) -> float:
    return float(keeper.use(lambda engine: engine.infer(RGB, DEPTH)).depth[0, 0, 0, 0])


def fail(keeper, engine: Constant, times: int = 3) -> None:
    engine.broken = True
    for _ in range(times):
        with pytest.raises(EngineError, match='broken'):
            value(keeper)
    engine.broken = False


@pytest.fixture
def reopening(keeper, shop):
    """Give a keeper whose engine broke, and whose next is being opened until the gate opens."""
    keeper.open(REQUEST)
    shop.gate.clear()
    fail(keeper, shop.engines[0])
    wait_for(lambda: len(shop.asked) == 2)
    return keeper


def test_it_opens_works_and_gives_back(keeper, shop):
    assert keeper.open(REQUEST)
    assert keeper.engine_name == 'openvino fp32 test'
    assert value(keeper) == 1.0
    keeper.close(30)
    assert shop.engines[0].closed and not keeper.threads
    with pytest.raises(EngineError, match='no engine'):
        value(keeper)


def test_every_number_of_frames_is_warmed_up(keeper, shop, monkeypatch):
    seen = []
    infer = Constant.infer
    monkeypatch.setattr(
        Constant, 'infer', lambda *given: seen.append(len(given[1])) or infer(*given)
    )
    keeper.open(EngineRequest('model.onnx', batch=3))
    assert seen == [1, 2, 3]


def test_an_engine_that_gives_no_numbers_is_not_taken(keeper, shop, monkeypatch):
    nan = Prediction(np.full_like(DEPTH, np.nan), None)
    monkeypatch.setattr(Constant, 'infer', lambda self, rgb, depth: nan)
    with pytest.raises(EngineError, match='NaN or infinity in depth'):
        keeper.open(REQUEST)
    assert shop.engines[0].closed


def test_a_model_that_does_not_open_leaves_the_one_in_use(keeper, shop):
    keeper.open(REQUEST)
    for error, expected in (
        (ModelError('no metadata'), ModelError),
        (ValueError('x'), EngineError),
    ):
        shop.error = error
        with pytest.raises(expected, match=str(error)):
            keeper.open(REQUEST)
    assert value(keeper) == 1.0 and keeper.states.state is State.SERVING


def test_a_model_that_is_refused_is_closed(keeper, shop, refusal):
    keeper.open(REQUEST)
    refusal.append(DataError('it has other limits'))
    with pytest.raises(DataError, match='other limits'):
        keeper.open(REQUEST)
    keeper.close(30)
    assert [engine.closed for engine in shop.engines] == [True, True]


def test_reloading_swaps_and_closes_the_old(keeper, shop):
    keeper.open(REQUEST)
    keeper.open(REQUEST)
    wait_for(lambda: [engine.closed for engine in shop.engines] == [True, False])


def test_of_two_reloads_the_later_wins(keeper, shop):
    keeper.open(REQUEST)
    shop.gate.clear()
    told = []
    keeper.request(REQUEST, told.append)
    wait_for(lambda: len(shop.asked) == 2)
    shop.gate, gate = threading.Event(), shop.gate
    shop.gate.set()
    keeper.open(REQUEST)
    gate.set()
    wait_for(lambda: [engine.closed for engine in shop.engines] == [True, False, True])
    assert 'overtaken' in str(told[0])


def test_three_failures_reopen_and_frames_come_again(keeper, shop):
    keeper.open(REQUEST)
    fail(keeper, shop.engines[0])
    assert keeper.states.error
    wait_for(lambda: keeper.states.reopened == 1)
    assert value(keeper) == 1.0
    assert not keeper.states.error
    wait_for(lambda: [engine.closed for engine in shop.engines] == [True, False])


def test_whatever_is_raised_is_one_failure(keeper, shop):
    keeper.open(REQUEST)

    def work(engine):
        raise ZeroDivisionError('out of the blue')

    with pytest.raises(EngineError, match='ZeroDivisionError: out of the blue'):
        keeper.use(work)
    assert keeper.states.state is State.SERVING and 'out of the blue' in keeper.states.error
    value(keeper)
    assert not keeper.states.error


def test_an_engine_that_breaks_on_closing_is_let_go(keeper, shop, monkeypatch):
    keeper.open(REQUEST)

    def close() -> None:
        raise RuntimeError('the device is gone')

    monkeypatch.setattr(shop.engines[0], 'close', close)
    assert keeper.open(REQUEST)
    assert value(keeper) == 1.0


def test_an_engine_that_reopens_after_closing_is_not_taken(reopening, shop):
    reopening.close(0.0)
    shop.gate.set()
    assert reopening.close(30)
    assert reopening.engine_name == 'none' and reopening.states.reopened == 0
    assert shop.engines[1].closed


def test_an_engine_that_reopens_after_a_reload_is_not_taken(reopening, shop):
    shop.gate, gate = threading.Event(), shop.gate
    shop.gate.set()
    reopening.open(REQUEST)
    gate.set()
    wait_for(lambda: [engine.closed for engine in shop.engines] == [True, False, True])
    assert reopening.states.reopened == 0


def test_a_reload_while_a_frame_is_in_the_engine_costs_it_nothing(keeper, shop):
    keeper.open(REQUEST)
    first = shop.engines[0]
    first.asked.clear()
    first.answers.clear()
    came = []
    thread = threading.Thread(target=lambda: came.append(value(keeper)))
    thread.start()
    assert first.asked.wait(30)
    keeper.open(REQUEST)
    assert not first.closed
    first.answers.set()
    thread.join(30)
    assert came == [1.0]
    wait_for(lambda: first.closed)


def test_an_engine_that_hangs_is_left_alone_and_another_is_opened(keeper, shop, monkeypatch):
    monkeypatch.setattr(keepers, 'HANGS_AFTER', (0.05, 0.05))
    keeper.open(REQUEST)
    assert not keeper.replace_hung()
    hung = shop.engines[0]
    hung.asked.clear()
    hung.answers.clear()
    late = []
    thread = threading.Thread(target=lambda: late.append(value(keeper)))
    thread.start()
    assert hung.asked.wait(30)
    shop.gate.clear()
    wait_for(keeper.replace_hung)
    assert not keeper.replace_hung()
    with pytest.raises(EngineError, match='has taken more than'):
        value(keeper)
    shop.gate.set()
    wait_for(lambda: keeper.states.reopened == 1)
    assert value(keeper) == 1.0
    assert not keeper.states.error and not hung.closed
    assert not keeper.close(0.05)
    hung.answers.set()
    thread.join(30)
    wait_for(lambda: hung.closed)
    assert late == [1.0]


def test_an_engine_that_opens_after_closing_is_not_taken(keeper, shop):
    shop.gate.clear()
    told = []
    keeper.request(REQUEST, told.append)
    keeper.close(0.0)
    assert 'stopped' in str(told[0])
    shop.gate.set()
    assert keeper.close(30)
    assert shop.engines[0].closed


def test_stopping_does_not_wait_for_an_engine_that_opens_slowly(keeper, shop):
    shop.gate.clear()
    assert not keeper.open(REQUEST, lambda: False)
    assert keeper.states.state is State.CLOSED


class Builder:
    """Builds when the test says so."""

    def __init__(self, fast: Constant | None = None) -> None:
        self.fast = fast or Constant('tensorrt', 2.0)
        self.error: Exception | None = None
        self.go_on = threading.Event()

    def __call__(self, progress, cancelled) -> Constant:
        progress('building', 0.5)
        while not self.go_on.wait(0.01):
            if cancelled():
                raise EngineError('cancelled')
        if self.error is not None:
            raise self.error
        return self.fast


def test_not_one_frame_fails_while_a_built_engine_takes_over(keeper, shop):
    shop.build = build = Builder()
    keeper.open(REQUEST)
    wait_for(lambda: keeper.states.build == 'building 50%: building')
    assert keeper.states.state is State.BUILDING
    values = []
    for number in range(2000):
        if number == 500:
            build.go_on.set()
        if number == 1500:
            wait_for(lambda: keeper.states.state is State.SERVING)
        values.append(value(keeper))
    assert values == sorted(values) and set(values) == {1.0, 2.0}
    assert keeper.engine_name == 'tensorrt fp32 test'
    wait_for(lambda: shop.engines[0].closed)


@pytest.mark.parametrize('error', [EngineError('no memory'), RuntimeError('driver'), OSError(5)])
def test_a_build_that_fails_leaves_the_service_alone(keeper, shop, error):
    shop.build = build = Builder()
    build.error = error
    build.go_on.set()
    keeper.open(REQUEST)
    wait_for(lambda: keeper.states.state is State.DEGRADED)
    assert str(error) in keeper.states.trouble and str(error) in keeper.states.build
    assert value(keeper) == 1.0


@pytest.mark.parametrize('cached', [False, True])
def test_a_gpu_that_fails_is_replaced_by_the_cpu_and_closed_after(keeper, shop, cached):
    fast = Constant('tensorrt', 2.0)
    if cached:
        shop.first = 'tensorrt'
        keeper.open(REQUEST)
        fast = shop.engines[0]
    else:
        shop.build = build = Builder(fast)
        build.go_on.set()
        keeper.open(REQUEST)
        wait_for(lambda: keeper.states.state is State.SERVING)
    shop.build = None
    closed_when = []
    fast.close = lambda: closed_when.append(keeper.states.state)
    fail(keeper, fast)
    wait_for(lambda: keeper.states.state is State.DEGRADED)
    assert shop.asked == [True, False]
    assert value(keeper) == 1.0
    wait_for(lambda: closed_when == [State.DEGRADED])
    assert 'tensorrt failed: broken' in keeper.states.trouble


def test_closing_stops_a_build(keeper, shop):
    shop.build = Builder()
    keeper.open(REQUEST)
    assert keeper.close(30)
    assert shop.engines[0].closed and not shop.build.fast.closed


def test_an_engine_that_was_never_used_is_closed_too(keeper, shop):
    shop.build = build = Builder()
    build.go_on.set()
    keeper.open(REQUEST)
    wait_for(lambda: keeper.states.state is State.SERVING)
    assert keeper.close(30)
    assert build.fast.closed
