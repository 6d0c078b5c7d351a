# SPDX-License-Identifier: Apache-2.0
"""The only owner of an engine: it opens, builds, replaces and closes engines in threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TypeVar

from magadepth_ros.engines.engine import Engine, ModelInfo, blank_batch, check_prediction
from magadepth_ros.engines.opening import EngineRequest, Offer, open_for_service
from magadepth_ros.errors import EngineError, MagadepthError, describe
from magadepth_ros.serving.states import (
    Action,
    Answer,
    Discard,
    KeeperStates,
    Overtaken,
    Say,
    Start,
    Task,
)

T = TypeVar('T')
THREAD = 'engine'
"""Name of the threads that open, build or close an engine, one engine each."""
HANGS_AFTER = (5.0, 60.0)
"""Limits of the time for a frame that counts as a hang [s]; it is ten times the longest."""

_LOG = logging.getLogger(__name__)


def _log(level: str, text: str) -> None:
    getattr(_LOG, level)('%s', text)


class EngineKeeper:
    """
    Keeps an engine ready for the thread that completes frames, also after failures.

    `KeeperStates` decides; this class has the lock and the threads. Every method may be called
    from any thread.

    Parameters
    ----------
    opener:
        opens an engine within seconds: see `open_for_service`.
    say:
        logs: level (``info``, ``warning``, ``error``), text.
    accept:
        called with the info of a new model before its first use; a DataError refuses the
        model.

    """

    def __init__(
        self,
        opener: Callable[[EngineRequest, bool], Offer] = open_for_service,
        say: Callable[[str, str], None] = _log,
        accept: Callable[[ModelInfo], None] = lambda info: None,
    ) -> None:
        self._opener, self._say, self._accept = opener, say, accept
        # Held during a decision, never while an engine works.
        self._lock = threading.RLock()
        self.states = KeeperStates()
        """State machine; others only read its state, error, trouble, build and reopened."""
        self._busy: dict[Engine, float] = {}
        self._retired: list[Engine] = []
        self._longest = 0.0
        self._threads: set[threading.Thread] = set()

    @property
    def engine_name(self) -> str:
        """Runtime, precision and network in use, for people."""
        engine = self.states.engine
        if engine is None:
            return 'none'
        return f'{engine.backend} {engine.precision} {engine.info.network}'

    @property
    def info(self) -> ModelInfo | None:
        """Metadata of the model in use; None without one."""
        engine = self.states.engine
        return None if engine is None else engine.info

    # Requests

    def open(self, request: EngineRequest, keep_on: Callable[[], bool] = lambda: True) -> bool:
        """
        Open an engine and wait for it; the engine in use serves until the new one works.

        ``keep_on`` is called ten times a second; False cancels the opening. Returns False where
        ``keep_on``, `close` or a later request has ended the opening.

        Raises
        ------
        MagadepthError
            the model or the runtime failed; the engine in use, if any, stays.

        """
        answer: Future[Exception | None] = Future()
        self.request(request, answer.set_result)
        while not wait((answer,), 0.1).done:
            if not keep_on():
                self._do(self.states.withdraw)
        error = answer.result()
        if isinstance(error, Overtaken):
            return False
        if isinstance(error, MagadepthError):
            raise error
        if error is not None:
            raise EngineError(f'the engine cannot be opened: {describe(error)}') from error
        return True

    def request(self, request: EngineRequest, answer: Callable[[Exception | None], None]) -> None:
        """Open an engine without waiting: ``answer`` gets the error of `open`, or None."""
        self._do(lambda: self.states.ask(request, answer))

    def close(self, patience: float = 1.0) -> bool:
        """
        Close the engine, and cancel all openings and builds.

        Waits up to ``patience`` seconds for running frames and threads; returns whether all
        have ended. The others end later by themselves, unless the runtime hangs.
        """
        self._do(self.states.close)
        end = monotonic() + patience
        while (self._busy or self.threads) and monotonic() < end:
            sleep(0.01)
        return not (self._busy or self.threads)

    @property
    def threads(self) -> list[threading.Thread]:
        """Threads that open, build or close an engine now."""
        with self._lock:
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            return list(self._threads)

    # Frames

    def use(self, work: Callable[[Engine], T]) -> T:
        """
        Call ``work`` with the engine and return its result; the engine does not change meanwhile.

        Raises
        ------
        EngineError
            there is no engine now, or ``work`` raised; three failures in a row replace the engine.

        """
        with self._in_use() as engine:
            try:
                result = work(engine)
            except Exception as error:
                text = error
                self._do(lambda: self.states.broke(engine, text))
                if isinstance(error, EngineError):
                    raise
                raise EngineError(describe(error)) from error
            self._do(lambda: self.states.worked(engine))
            return result

    def replace_hung(self) -> bool:
        """
        Replace an engine that hangs, and abandon its thread. Call this periodically.

        Returns whether an engine hangs; its frame is lost then.
        """
        with self._lock:
            engine = self.states.engine
            if engine is None or engine not in self._busy:
                return False
            seconds = monotonic() - self._busy[engine]
            low, high = HANGS_AFTER
            if seconds <= min(max(low, 10 * self._longest), high):
                return False
            self._do(lambda: self.states.hung(engine, seconds))
            return True

    @contextmanager
    def _in_use(self) -> Iterator[Engine]:
        with self._lock:
            engine = self.states.engine
            if engine is None:
                raise EngineError(self.states.error or 'no engine is open')
            self._busy[engine] = begin = monotonic()
        try:
            yield engine
        finally:
            with self._lock:
                del self._busy[engine]
                if engine in self._retired:
                    self._retired.remove(engine)
                    self._close_aside(engine)
                else:
                    self._longest = max(self._longest, monotonic() - begin)

    # Actions

    def _do(self, event: Callable[[], list[Action]]) -> None:
        with self._lock:
            for action in event():
                match action:
                    case Start(task):
                        self._aside(self._run, task)
                    case Discard(engine) if engine in self._busy:
                        self._retired.append(engine)
                    case Discard(engine):
                        self._close_aside(engine)
                    case Answer(task, error):
                        assert task.answer is not None
                        task.answer(error)
                    case Say(level, text):
                        self._say(level, text)

    def _aside(self, work: Callable[..., None], *given: object) -> None:
        thread = threading.Thread(target=work, args=given, name=THREAD, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self, task: Task) -> None:
        """Run a task in a thread of its own, and report its result."""
        states, failed = self.states, self.states.not_opened
        if task.build is not None:
            failed = states.not_built
        try:
            offer, seconds = self._make(task)
        except Exception as error:
            reason = error
            self._do(lambda: failed(task, reason))
            return
        with self._lock:
            try:
                self._accept(offer.engine.info)
            except MagadepthError as error:
                refused = error
                self._close_aside(offer.engine)
                self._do(lambda: failed(task, refused))
                return
            if task.build is None:
                self._do(lambda: states.opened(task, offer))
            else:
                self._do(lambda: states.built(task, offer.engine))
            if offer.engine is states.engine:
                self._longest = seconds

    def _make(self, task: Task) -> tuple[Offer, float]:
        """Return a warm engine and the seconds that its last inference took."""
        if task.cancelled.wait(task.pause):
            raise Overtaken
        if task.build is None:
            offer = self._opener(task.request, task.gpu)
        else:
            offer = Offer(
                task.build(lambda *given: self._progress(task, *given), task.cancelled.is_set)
            )
        try:
            return offer, warm_up(offer.engine, task.request.batch)
        except BaseException:
            self._close(offer.engine)
            raise

    def _progress(self, task: Task, text: str, share: float) -> None:
        self._do(lambda: self.states.progress(task, text, share))

    def _close_aside(self, engine: Engine) -> None:
        self._aside(self._close, engine)

    def _close(self, engine: Engine) -> None:
        try:
            engine.close()
        # A runtime that failed may fail again on closing; its engine is released all the same.
        except Exception as error:
            self._say('warning', f'closing the engine: {describe(error)}')


def warm_up(engine: Engine, batch: int) -> float:
    """
    Run an engine once on each of 1 to ``batch`` frames; return the seconds of the last run.

    The first inference of a batch size prepares the runtime for it, which can take seconds. The
    pairs of several cameras may come together or apart, so every size can occur.
    """
    seconds = 0.0
    for count in range(1, batch + 1):
        rgb, depth = blank_batch(engine.info, count)
        begin = monotonic()
        check_prediction(engine.infer(rgb, depth), depth.shape)
        seconds = monotonic() - begin
    return seconds
