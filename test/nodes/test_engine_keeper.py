# SPDX-License-Identifier: Apache-2.0
"""The engine's keeper: what opens, what fails, what is swapped and what is given back."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

from magadepth_ros.completion.completer import Completer
from magadepth_ros.engines.engine import ModelInfo, Prediction
from magadepth_ros.errors import DataError, EngineError, ModelError
from magadepth_ros.nodes import engine_keeper
from magadepth_ros.nodes.engine_keeper import EngineKeeper
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter

INFO = ModelInfo('test', 24, 32, 0.1, 10.0, 'none', '1', 'none', 'Apache-2.0')
PAIR = (np.full((24, 32, 3), 99, np.uint8), np.full((24, 32), 2.0, np.float32))


class TwoMetres:
    """An engine that says two metres everywhere, or breaks when it is told to."""

    info, backend, precision = INFO, 'test', 'fp32'

    def __init__(self) -> None:
        self.broken = self.closed = False
        self.asked, self.answers = threading.Event(), threading.Event()
        self.answers.set()

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        self.asked.set()
        self.answers.wait(30)
        if self.broken or self.closed:
            raise EngineError('broken')
        return Prediction(np.full_like(depth, 2.0), None)

    def close(self) -> None:
        self.closed = True


class Shop:
    """Opens engines and remembers them."""

    def __init__(self) -> None:
        self.engines: list[TwoMetres] = []
        self.error: Exception | None = None
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, parameters: NodeParameters, progress) -> Completer:
        self.asked += 1
        self.gate.wait(30)
        if self.error is not None:
            raise self.error
        self.engines.append(TwoMetres())
        return Completer(self.engines[-1], parameters.completion())


@pytest.fixture
def shop():
    """Give a shop of engines."""
    return Shop()


@pytest.fixture
def keeper(shop, monkeypatch):
    """Give a keeper that reopens without waiting long."""
    monkeypatch.setattr(engine_keeper, 'FIRST_PAUSE', 0.01)
    keeper = EngineKeeper(Reporter(logging.getLogger('test')), shop)
    yield keeper
    shop.gate.set()
    keeper.close()


def wait_for(condition) -> None:
    done = threading.Event()
    for _ in range(3000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError('not within 30 s')


def fail(keeper, engine: TwoMetres, times: int) -> None:
    engine.broken = True
    for _ in range(times):
        with pytest.raises(EngineError, match='broken'):
            keeper.complete([PAIR])
    engine.broken = False


@pytest.fixture
def reopening(keeper, shop):
    """Give a keeper whose engine broke, and whose next is being opened until the gate opens."""
    keeper.open(NodeParameters(), lambda: True)
    shop.gate.clear()
    fail(keeper, shop.engines[0], 3)
    wait_for(lambda: shop.asked == 2)
    return keeper


def test_it_opens_completes_and_gives_back(keeper, shop):
    assert keeper.open(NodeParameters(), lambda: True)
    assert keeper.engine_name == 'test fp32 test'
    np.testing.assert_allclose(keeper.complete([PAIR])[0].depth, 2.0)
    keeper.close()
    assert shop.engines[0].closed
    with pytest.raises(EngineError, match='no engine'):
        keeper.complete([PAIR])


def test_a_model_that_does_not_open_leaves_the_one_in_use(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    for error, expected in (
        (ModelError('no metadata'), ModelError),
        (ValueError('x'), EngineError),
    ):
        shop.error = error
        with pytest.raises(expected, match=str(error)):
            keeper.open(NodeParameters(), lambda: True)
    keeper.complete([PAIR])


def test_reloading_swaps_and_closes_the_old(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    keeper.open(NodeParameters(), lambda: True)
    assert [engine.closed for engine in shop.engines] == [True, False]


def test_what_is_set_while_an_engine_opens_stays_set(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    shop.gate.clear()
    told = []
    keeper.open_aside(NodeParameters(), lambda: True, told.append)
    keeper.configure(NodeParameters(max_depth=4.0, confidence_threshold=0.5))
    shop.gate.set()
    wait_for(lambda: told)

    assert told == ['']
    assert keeper.depth_range[1] == 4.0
    assert keeper._completer.settings.confidence_threshold == 0.5


def test_of_two_reloads_the_later_wins(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    shop.gate.clear()
    told = []
    keeper.open_aside(NodeParameters(), lambda: True, told.append)
    wait_for(lambda: shop.asked == 2)
    shop.gate, gate = threading.Event(), shop.gate
    shop.gate.set()
    keeper.open(NodeParameters(), lambda: True)
    used = keeper._completer
    gate.set()
    wait_for(lambda: told)

    assert keeper._completer is used and told == [engine_keeper.OVERTAKEN]


def test_a_range_that_leaves_no_depth_is_refused(keeper):
    keeper.open(NodeParameters(), lambda: True)
    far = NodeParameters(min_depth=12.0)

    with pytest.raises(DataError, match='expected min_depth below max_depth'):
        keeper.configure(far)
    with pytest.raises(DataError, match='expected min_depth below max_depth'):
        keeper.open(far, lambda: True)

    assert keeper.depth_range == (0.1, 10.0)
    keeper.complete([PAIR])


def test_three_failures_reopen_and_frames_come_again(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    shop.engines[0].broken = True
    for _ in range(3):
        with pytest.raises(EngineError, match='broken'):
            keeper.complete([PAIR])
    assert keeper.failed
    wait_for(lambda: keeper.reopened == 1)
    keeper.complete([PAIR])
    assert not keeper.failed
    assert [engine.closed for engine in shop.engines] == [True, False]


def test_one_failure_does_not_cost_the_engine(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    shop.engines[0].broken = True
    with pytest.raises(EngineError):
        keeper.complete([PAIR])
    shop.engines[0].broken = False
    keeper.complete([PAIR])
    assert not shop.engines[0].closed


def test_only_failures_in_a_row_cost_the_engine_and_each_engine_has_its_own(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    for _ in range(2):
        fail(keeper, shop.engines[0], 2)
        keeper.complete([PAIR])
    fail(keeper, shop.engines[0], 2)
    assert not shop.engines[0].closed
    keeper.open(NodeParameters(), lambda: True)
    assert not keeper.failed
    fail(keeper, shop.engines[1], 2)
    keeper.complete([PAIR])
    assert not shop.engines[1].closed and shop.asked == 2


def test_after_closing_and_opening_it_reopens_as_before(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    keeper.close()
    keeper.open(NodeParameters(), lambda: True)
    fail(keeper, shop.engines[1], 3)
    wait_for(lambda: keeper.reopened == 1)


def test_the_pauses_before_reopening_double_up_to_the_longest(keeper, shop, monkeypatch):
    monkeypatch.setattr(engine_keeper, 'LONGEST_PAUSE', 0.05)
    keeper.open(NodeParameters(), lambda: True)
    shop.error = EngineError('no device')
    pauses = []
    monkeypatch.setattr(keeper._stop, 'wait', pauses.append)
    fail(keeper, shop.engines[0], 3)
    wait_for(lambda: len(pauses) >= 5)
    assert pauses[:5] == [0.01, 0.02, 0.04, 0.05, 0.05]


def test_an_engine_that_breaks_on_closing_is_let_go(keeper, shop, monkeypatch):
    keeper.open(NodeParameters(), lambda: True)

    def close() -> None:
        raise RuntimeError('the device is gone')

    monkeypatch.setattr(shop.engines[0], 'close', close)
    assert keeper.open(NodeParameters(), lambda: True)
    keeper.complete([PAIR])


def test_an_engine_that_reopens_after_closing_is_not_taken(reopening, shop):
    reopening.close()
    shop.gate.set()
    reopening._opening.join(30)
    assert reopening.engine_name == 'none' and reopening.reopened == 0
    assert shop.engines[1].closed


def test_an_engine_that_reopens_after_a_reload_is_not_taken(reopening, shop):
    shop.gate, gate = threading.Event(), shop.gate
    shop.gate.set()
    reopening.open(NodeParameters(), lambda: True)
    used = reopening._completer
    gate.set()
    reopening._opening.join(30)
    assert reopening._completer is used and reopening.reopened == 0
    assert [engine.closed for engine in shop.engines] == [True, False, True]


def test_what_is_set_while_an_engine_reopens_stays_set(reopening, shop):
    reopening.configure(NodeParameters(max_depth=4.0))
    shop.gate.set()
    wait_for(lambda: reopening.reopened == 1)
    assert reopening.depth_range[1] == 4.0


def test_a_reload_just_before_a_frame_costs_it_nothing(keeper, shop):
    swaps = [lambda: keeper.open(NodeParameters(), lambda: True)]

    class Lock:
        """Of the engine in use: whoever takes it first finds that engine swapped."""

        def __enter__(self) -> None:
            if swaps:
                swaps.pop()()

        def __exit__(self, *_) -> None:
            pass

    keeper.open(NodeParameters(), lambda: True)
    keeper._lock = Lock()
    keeper.complete([PAIR])
    assert [engine.closed for engine in shop.engines] == [True, False]


def test_an_engine_that_hangs_is_left_alone_and_another_is_opened(keeper, shop):
    keeper.open(NodeParameters(), lambda: True)
    hung = shop.engines[0]
    hung.asked.clear()
    hung.answers.clear()
    late = []
    thread = threading.Thread(target=lambda: late.append(keeper.complete([PAIR])))
    thread.start()
    assert hung.asked.wait(30)
    shop.gate.clear()
    keeper.abandon('it hangs')
    with pytest.raises(EngineError, match='it hangs'):
        keeper.complete([PAIR])
    shop.gate.set()
    wait_for(lambda: keeper.reopened == 1)
    keeper.complete([PAIR])
    assert not keeper.failed
    assert not hung.closed
    hung.answers.set()
    thread.join(30)
    wait_for(lambda: hung.closed)
    assert late and not shop.engines[1].closed


def test_an_engine_that_opens_after_closing_is_not_taken(keeper, shop):
    shop.gate.clear()
    told = []
    keeper.open_aside(NodeParameters(), lambda: True, told.append)
    keeper.close()
    shop.gate.set()
    wait_for(lambda: told)
    assert told == [engine_keeper.OVERTAKEN]
    assert shop.engines[0].closed


def test_stopping_does_not_wait_for_an_engine_that_opens_slowly(keeper, shop):
    shop.gate.clear()
    assert not keeper.open(NodeParameters(), lambda: False)


def test_settings_reach_the_engine_in_use_but_the_model_waits_for_a_reload(keeper):
    keeper.open(NodeParameters(), lambda: True)
    keeper.configure(NodeParameters(model='another', max_depth=1.0))
    assert keeper.depth_range == (0.1, 1.0)
    assert not np.isfinite(keeper.complete([PAIR])[0].depth).any()
