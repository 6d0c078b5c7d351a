# SPDX-License-Identifier: Apache-2.0
"""
The states of a kept engine as a pure state machine: each event returns actions.

It uses no thread, clock or runtime; :mod:`magadepth_ros.serving.keeper` has these. The keeper
calls one method for each event, one at a time, and executes the actions in their order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from magadepth_ros.engines.engine import Engine
from magadepth_ros.engines.opening import ON_GPU, Build, EngineRequest, Offer
from magadepth_ros.errors import EngineError, describe

FAILURES_BEFORE_REOPEN = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before an engine is opened again; each failed try doubles them."""
MOST_HANGS = 3
"""Number of hanging engines, each with its memory, after which no other one is opened."""


class Overtaken(EngineError):
    """An opening was cancelled."""

    def __init__(self) -> None:
        super().__init__('stopped, or overtaken by a later reload')


class State(Enum):
    """State of the keeper: which engine completes frames."""

    CLOSED = 'closed'
    """None: no engine was requested."""
    OPENING = 'opening'
    """None yet: the first engine is being opened."""
    SERVING = 'serving'
    """The requested engine."""
    BUILDING = 'building'
    """A CPU runtime, while the requested engine is built."""
    DEGRADED = 'degraded'
    """A CPU runtime, as the requested engine failed."""
    FAILED = 'failed'
    """None, as the engine failed: another one is being opened, or will be after a pause."""


@dataclass(eq=False)
class Task:
    """
    Work of one thread: open what ``request`` names after ``pause`` seconds, or run ``build``.

    ``cancelled`` may be set at any time; the result of a cancelled task is discarded.
    """

    request: EngineRequest
    gpu: bool = True
    pause: float = 0.0
    build: Build | None = None
    answer: Callable[[Exception | None], None] | None = None
    """Callback of a request, called once with its result; None for a retry of the machine."""
    discard: list[Engine] = field(default_factory=list)
    """Engines to close after the task, as the next engine is more urgent."""
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Start:
    """Run ``task`` in a thread; report `opened` or `not_opened`, or `built` or `not_built`."""

    task: Task


@dataclass(frozen=True)
class Discard:
    """Close ``engine`` as soon as no frame is in it."""

    engine: Engine


@dataclass(frozen=True)
class Answer:
    """Answer a request: ``error`` is None where its engine is in use."""

    task: Task
    error: Exception | None = None


@dataclass(frozen=True)
class Say:
    """Log ``text``; ``level`` is ``info``, ``warning`` or ``error``."""

    level: str
    text: str


Action: TypeAlias = Start | Discard | Answer | Say


class KeeperStates:
    """
    The state machine; each method is an event and returns the actions that follow.

    An engine that fails three times in a row is given up. One on a GPU is replaced by one on the
    CPU, until the next request; one on the CPU is closed and opened again after a pause.
    """

    def __init__(self) -> None:
        self.state = State.CLOSED
        self.engine: Engine | None = None
        self.request = EngineRequest('')
        self.error = ''
        """Reason why the last frame was not completed; '' where it was."""
        self.trouble = ''
        """Reason why the requested engine is not in use; '' where it is, or is being built."""
        self.build = 'none'
        """Progress or result of the build in the background, as text."""
        self.reopened = 0
        self._opening: Task | None = None
        self._building: Task | None = None
        self._progress: tuple[str, int] = ('', -1)
        self._gpu = True
        self._failures = 0
        self._hangs = 0
        self._pause = FIRST_PAUSE

    # Requests

    def ask(
        self, request: EngineRequest, answer: Callable[[Exception | None], None]
    ) -> list[Action]:
        """Begin to open the requested engine; the engine in use serves until it is open."""
        actions = self._overtake()
        if self.state is State.CLOSED:
            self.state = State.OPENING
        self._opening = Task(request, answer=answer)
        return [*actions, Start(self._opening)]

    def withdraw(self) -> list[Action]:
        """Cancel the newest request, as its client has stopped waiting."""
        actions = self._overtake()
        if self.state is State.OPENING:
            self.state = State.CLOSED
        return [*actions, *self._open_again()] if self.state is State.FAILED else actions

    def close(self) -> list[Action]:
        """Close all engines, and cancel all tasks."""
        self._end_build()
        actions = [*self._overtake(), *self._put(None)]
        self.state, self._failures, self._pause = State.CLOSED, 0, FIRST_PAUSE
        self.error = self.trouble = ''
        return actions

    # Results of tasks

    def opened(self, task: Task, offer: Offer) -> list[Action]:
        """Take an open and warm engine into use."""
        over: list[Action] = [Discard(engine) for engine in task.discard]
        if task is not self._opening:
            return [Discard(offer.engine), *over]
        self._opening = None
        actions = self._put(offer.engine)
        if task.answer is not None:
            actions.append(Answer(task))
            self._end_build()
            self.request, self._gpu, self._pause = task.request, True, FIRST_PAUSE
            self.error = self.trouble = ''
        else:
            # The error and the pause stay until a frame is completed.
            self.reopened += 1
            self.trouble = '' if task.gpu else self.trouble
        if offer.build is not None and self._building is None:
            self._building = Task(task.request, build=offer.build)
            actions.append(Start(self._building))
        if self._building is not None:
            self.state = State.BUILDING
        else:
            self.state = State.DEGRADED if self.trouble else State.SERVING
        return [*actions, *over]

    def not_opened(self, task: Task, error: Exception) -> list[Action]:
        """Answer the request that the engine cannot be opened, or try again after a pause."""
        over: list[Action] = [Discard(engine) for engine in task.discard]
        if task is not self._opening:
            return over
        self._opening = None
        if task.answer is not None:
            if self.state is State.OPENING:
                self.state = State.CLOSED
            again = self._open_again() if self.state is State.FAILED else []
            return [Answer(task, error), *again, *over]
        self.error = describe(error)
        self._gpu = True
        text = f'cannot reopen the engine, next try in {self._pause:g} s: {self.error}'
        return [Say('error', text), *self._open_again(), *over]

    def progress(self, task: Task, text: str, share: float) -> list[Action]:
        """Note the progress of a build; ``share`` of it is done, 0..1."""
        if task is not self._building:
            return []
        self.build = f'building {share:.0%}: {text}'
        step = (text, int(share * 10))
        if step == self._progress:
            return []
        self._progress = step
        return [Say('info', f'engine: {text} {share:.0%}')]

    def built(self, task: Task, engine: Engine) -> list[Action]:
        """Take the built engine into use, from the next frame on."""
        if task is not self._building:
            return [Discard(engine)]
        self._building = None
        self.build = f'ready: {engine.backend} {engine.precision}'
        retry = self._overtake() if self.state is State.FAILED else []
        self.state, self.error, self.trouble, self._failures = State.SERVING, '', '', 0
        said = Say('info', f'engine ready: {engine.backend} {engine.precision}')
        return [*retry, said, *self._put(engine)]

    def not_built(self, task: Task, error: Exception) -> list[Action]:
        """Stay on the CPU, as the requested engine could not be built."""
        if task is not self._building:
            return []
        self._building = None
        self.build, self.trouble = f'failed: {describe(error)}', describe(error)
        self._gpu = False
        if self.state is State.BUILDING:
            self.state = State.DEGRADED
        return [Say('warning', f'the TensorRT engine was not built: {self.trouble}')]

    # Frames

    def worked(self, engine: Engine) -> list[Action]:
        """Note that a frame was completed."""
        if engine is not self.engine or not self.error:
            return []
        self.error, self._failures, self._pause = '', 0, FIRST_PAUSE
        return [Say('info', 'the engine works again')]

    def broke(self, engine: Engine, error: Exception) -> list[Action]:
        """Count a failed frame, and replace the engine after three in a row."""
        if engine is not self.engine:
            return []
        self.error = describe(error)
        self._failures += 1
        return self._give_up() if self._failures >= FAILURES_BEFORE_REOPEN else []

    def hung(self, engine: Engine, seconds: float) -> list[Action]:
        """Replace an engine that has worked on one frame for ``seconds``."""
        if engine is not self.engine:
            return []
        self._hangs += 1
        self.error = f'a frame has taken more than {seconds:.0f} s'
        if self._hangs <= MOST_HANGS:
            said = Say('error', f'{self.error}: the engine hangs; another is opened')
            return [said, *self._give_up()]
        self.error += ', again: restart the node'
        self.state = State.FAILED
        return [Say('error', self.error), *self._overtake(), *self._put(None)]

    # Steps

    def _give_up(self) -> list[Action]:
        """Open another engine instead of the one in use."""
        engine, self.engine = self.engine, None
        assert engine is not None
        self.state, self._failures = State.FAILED, 0
        if self._opening is not None:  # an engine is on its way
            return [Discard(engine)]
        if engine.backend not in ON_GPU:
            return [Discard(engine), *self._open_again()]
        self._gpu, self.trouble = False, f'{engine.backend} failed: {self.error}'
        self._opening = Task(self.request, gpu=False, discard=[engine])
        return [
            Say('error', f'{self.trouble}; the CPU takes over'),
            Start(self._opening),
        ]

    def _open_again(self) -> list[Action]:
        self._opening = Task(self.request, gpu=self._gpu, pause=self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return [Start(self._opening)]

    def _put(self, engine: Engine | None) -> list[Action]:
        before, self.engine, self._failures = self.engine, engine, 0
        return [] if before is None else [Discard(before)]

    def _overtake(self) -> list[Action]:
        task, self._opening = self._opening, None
        if task is None:
            return []
        task.cancelled.set()
        return [] if task.answer is None else [Answer(task, Overtaken())]

    def _end_build(self) -> None:
        task, self._building = self._building, None
        self.build, self._progress = 'none', ('', -1)
        if task is not None:
            task.cancelled.set()
