# SPDX-License-Identifier: Apache-2.0
"""The keeper's states as a table: which event leads from where to where, without any thread."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from magadepth_ros.engines.opening import EngineRequest, Offer
from magadepth_ros.errors import EngineError
from magadepth_ros.serving.states import (
    FAILURES_BEFORE_REOPEN,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_HANGS,
    Answer,
    Discard,
    KeeperStates,
    Say,
    Start,
    State,
    Task,
)

REQUEST = EngineRequest('model.onnx')
ERROR = EngineError('the device is gone')


class Fake(SimpleNamespace):
    """An engine that can be told from others of its kind."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def cpu() -> Any:
    return Fake(backend='openvino', precision='fp32')


def gpu() -> Any:
    return Fake(backend='tensorrt', precision='fp16')


def started(actions: list) -> list[Task]:
    return [action.task for action in actions if isinstance(action, Start)]


def discarded(actions: list) -> list:
    return [action.engine for action in actions if isinstance(action, Discard)]


def answers(actions: list) -> list:
    return [action.error for action in actions if isinstance(action, Answer)]


def ask(states: KeeperStates) -> Task:
    (task,) = started(states.ask(REQUEST, lambda error: None))
    return task


def serving(first: Fake) -> KeeperStates:
    states = KeeperStates()
    states.opened(ask(states), Offer(first))
    return states


def building() -> tuple[KeeperStates, Task]:
    states = KeeperStates()
    (task,) = started(states.opened(ask(states), Offer(cpu(), lambda progress, cancelled: gpu())))
    assert states.state is State.BUILDING
    return states, task


def break_down(states: KeeperStates) -> list:
    assert states.engine is not None
    for _ in range(FAILURES_BEFORE_REOPEN - 1):
        assert not states.broke(states.engine, ERROR)
    return states.broke(states.engine, ERROR)


def test_a_request_opens_and_then_serves():
    states = KeeperStates()
    assert states.state is State.CLOSED
    task = ask(states)
    assert (states.state, task.gpu, task.pause) == (State.OPENING, True, 0.0)
    first = cpu()
    assert answers(states.opened(task, Offer(first))) == [None]
    assert states.state is State.SERVING and states.engine is first


def test_a_first_engine_that_does_not_open_leaves_it_closed():
    states = KeeperStates()
    assert answers(states.not_opened(ask(states), ERROR)) == [ERROR]
    assert states.state is State.CLOSED


def test_a_reload_that_fails_changes_nothing():
    first = cpu()
    states = serving(first)
    assert answers(states.not_opened(ask(states), ERROR)) == [ERROR]
    assert states.state is State.SERVING and states.engine is first and not states.error


def test_of_two_requests_the_first_is_told_that_it_is_overtaken():
    states = serving(cpu())
    early = ask(states)
    actions = states.ask(REQUEST, lambda error: None)
    assert early.cancelled.is_set() and 'overtaken' in str(answers(actions)[0])
    late = cpu()
    assert discarded(states.opened(early, Offer(late))) == [late]
    assert states.state is State.SERVING and states.engine is not late


def test_one_that_does_not_wait_any_more_leaves_what_serves():
    first = cpu()
    states = serving(first)
    ask(states)
    assert answers(states.withdraw()) and states.state is State.SERVING
    assert states.engine is first
    states = KeeperStates()
    ask(states)
    states.withdraw()
    assert states.state is State.CLOSED


def test_three_failures_in_a_row_close_an_engine_and_open_it_after_a_pause():
    first = cpu()
    states = serving(first)
    for _ in range(2):
        states.broke(first, ERROR)
        states.broke(first, ERROR)
        states.worked(first)
    assert states.state is State.SERVING and not states.error
    actions = break_down(states)
    assert discarded(actions) == [first]
    assert [task.pause for task in started(actions)] == [FIRST_PAUSE]
    assert states.state is State.FAILED and 'device' in states.error
    second = cpu()
    states.opened(started(actions)[0], Offer(second))
    assert (states.state, states.reopened) == (State.SERVING, 1)
    # Only a frame shows that it works.
    assert states.error
    assert isinstance(states.worked(second)[0], Say) and not states.error


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_good_frame():
    states = serving(cpu())
    task, pauses = started(break_down(states))[0], []
    for _ in range(9):
        pauses.append(task.pause)
        task = started(states.not_opened(task, ERROR))[0]
    assert pauses == [0.5, 1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    states.opened(task, Offer(cpu()))
    again = started(break_down(states))[0]
    assert again.pause == LONGEST_PAUSE
    states.opened(again, Offer(cpu()))
    states.worked(states.engine)
    assert started(break_down(states))[0].pause == FIRST_PAUSE


@pytest.mark.parametrize('how', ['fresh', 'cached'])
def test_an_engine_on_a_gpu_is_replaced_by_the_cpu_before_it_is_closed(how):
    fast = gpu()
    if how == 'cached':
        states = serving(fast)
    else:
        states, task = building()
        states.built(task, fast)
    assert states.state is State.SERVING
    actions = break_down(states)
    (task,) = started(actions)
    assert (task.gpu, task.pause) == (False, 0.0)
    assert not discarded(actions)
    slow = cpu()
    actions = states.opened(task, Offer(slow))
    assert states.state is State.DEGRADED and states.engine is slow
    assert discarded(actions) == [fast]
    assert 'tensorrt failed: the device is gone' in states.trouble
    # The CPU, too, may fail: it is not taken for the GPU then.
    (task,) = started(break_down(states))
    assert not task.gpu
    states.opened(task, Offer(cpu()))
    assert states.state is State.DEGRADED and states.trouble
    # Who asks again gets what was asked for.
    states.opened(ask(states), Offer(gpu()))
    assert states.state is State.SERVING and not states.trouble


def test_where_nothing_can_stand_in_the_gpu_is_tried_again():
    states = serving(gpu())
    (task,) = started(break_down(states))
    (task,) = started(states.not_opened(task, EngineError('no runtime works')))
    assert task.gpu and task.pause == FIRST_PAUSE
    assert states.state is State.FAILED


def test_a_build_ends_in_serving_or_in_degraded():
    states, task = building()
    before, fast = states.engine, gpu()
    assert discarded(states.built(task, fast)) == [before]
    assert (states.state, states.build) == (State.SERVING, 'ready: tensorrt fp16')
    states, task = building()
    states.not_built(task, ERROR)
    assert (states.state, states.build) == (State.DEGRADED, 'failed: the device is gone')
    assert states.engine is not None


def test_a_build_says_each_step_and_each_tenth_of_it():
    states, task = building()
    said = [states.progress(task, 'timing', share / 100) for share in range(0, 101)]
    assert sum(len(actions) for actions in said) == 11
    assert states.build == 'building 100%: timing'


def test_a_build_outlives_the_engine_that_serves_meanwhile():
    states, task = building()
    retry = started(break_down(states))[0]
    assert states.state is State.FAILED and not task.cancelled.is_set()
    states.opened(retry, Offer(cpu(), lambda progress, cancelled: gpu()))
    assert states.state is State.BUILDING
    break_down(states)
    fast = gpu()
    states.built(task, fast)
    assert states.state is State.SERVING and states.engine is fast


def test_a_reload_begins_the_build_again():
    states, first = building()
    request = ask(states)
    assert not first.cancelled.is_set()
    actions = states.opened(request, Offer(cpu(), lambda progress, cancelled: gpu()))
    assert first.cancelled.is_set() and len(started(actions)) == 1
    late = gpu()
    assert discarded(states.built(first, late)) == [late]
    assert not states.not_built(first, ERROR) and not states.progress(first, 'x', 0.5)
    assert states.state is State.BUILDING


def test_a_hung_engine_is_replaced_three_times():
    states = serving(cpu())
    for _ in range(MOST_HANGS):
        hung = states.engine
        actions = states.hung(hung, 6.0)
        assert hung in discarded(actions) and states.state is State.FAILED
        states.opened(started(actions)[0], Offer(cpu()))
    actions = states.hung(states.engine, 6.0)
    assert not started(actions) and states.state is State.FAILED
    assert 'restart the node' in states.error


def test_closing_cancels_everything_and_gives_everything_back():
    states, build = building()
    serves, request = states.engine, ask(states)
    actions = states.close()
    assert build.cancelled.is_set() and request.cancelled.is_set()
    assert discarded(actions) == [serves] and len(answers(actions)) == 1
    assert states.state is State.CLOSED and states.engine is None
    late = cpu()
    assert discarded(states.opened(request, Offer(late))) == [late]
    assert states.state is State.CLOSED


def test_what_an_old_engine_says_changes_nothing():
    old = cpu()
    states = serving(old)
    states.opened(ask(states), Offer(cpu()))
    for _ in range(5):
        assert not states.broke(old, ERROR) and not states.hung(old, 9.0)
    assert not states.worked(old)
    assert states.state is State.SERVING and not states.error


@pytest.mark.parametrize('seed', range(200))
def test_whatever_happens_every_engine_is_closed_once_and_every_request_is_answered(seed):
    rng = random.Random(seed)
    states, tasks, alive, told = KeeperStates(), [], set(), []

    def take(actions: list) -> None:
        tasks.extend(started(actions))
        for one in discarded(actions):
            alive.remove(one)
        told.extend(answers(actions))

    def make() -> Fake:
        made = rng.choice([cpu, gpu])()
        alive.add(made)
        return made

    asked = 0
    for _ in range(60):
        event = rng.choice(['ask', 'task', 'task', 'task', 'frame', 'frame', 'hang', 'close'])
        if event == 'ask':
            asked += 1
            take(states.ask(REQUEST, lambda error: None))
        elif event == 'task' and tasks:
            task = tasks.pop(rng.randrange(len(tasks)))
            good = rng.random() < 0.6
            if task.build is not None:
                take(states.built(task, make()) if good else states.not_built(task, ERROR))
            elif good:
                build = rng.choice([None, lambda progress, cancelled: gpu()])
                take(states.opened(task, Offer(make(), build)))
            else:
                take(states.not_opened(task, ERROR))
        elif event == 'frame' and states.engine is not None:
            one = states.engine
            take(states.worked(one) if rng.random() < 0.4 else states.broke(one, ERROR))
        elif event == 'hang' and states.engine is not None:
            take(states.hung(states.engine, 6.0))
        elif event == 'close' and rng.random() < 0.2:
            take(states.close())
        assert (states.engine is not None) == (
            states.state in (State.SERVING, State.BUILDING, State.DEGRADED)
        )
    take(states.close())
    while tasks:
        task = tasks.pop()
        assert task.cancelled.is_set() or states.state is State.CLOSED
        take(
            states.not_opened(task, ERROR) if task.build is None else states.not_built(task, ERROR)
        )
    assert not alive
    assert len(told) == asked
