# SPDX-License-Identifier: Apache-2.0
"""Keeps an engine ready: opens and warms it, reopens it with back-off, swaps it on reload."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from time import monotonic

import numpy as np

from magadepth_ros.completion.completer import Completer, Completion
from magadepth_ros.errors import DataError, EngineError, MagadepthError, describe
from magadepth_ros.nodes.build_log import BuildLog
from magadepth_ros.nodes.opening import OpenCompleter, in_thread, open_completer, open_warm
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter

Lock = AbstractContextManager[bool]

OVERTAKEN = 'stopped, or overtaken by a later reload'
FAILURES_BEFORE_REOPEN = 3
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


class EngineKeeper:
    """
    Owner of the completer between the worker thread, which uses it, and those who change it.

    One failed inference costs one frame. After three in a row the engine is closed and reopened
    in a thread of its own, with pauses that double from 0.5 s to 30 s, while the worker goes on
    without it. One that hangs is left to the thread that waits for it.
    """

    def __init__(self, reporter: Reporter, opener: OpenCompleter = open_completer) -> None:
        self._reporter = reporter
        self._opener = opener
        # Held for an assignment, so that nothing waits for an engine that hangs.
        self._swapping = threading.Lock()
        # Belongs to the completer in use and is held while that works, so that it is used and
        # closed by one thread at a time.
        self._lock = threading.RLock()
        self._completer: Completer | None = None
        self.build = BuildLog(reporter)
        self._parameters = NodeParameters()
        self._failures = 0
        self._generation = 0
        self._asked = self._answered = 0
        """Engines that were asked for, and the newest of them that came into use."""
        self._pause = FIRST_PAUSE
        self._stop = threading.Event()
        self._opening: threading.Thread | None = None
        self.failed = ''
        """Why there is no working engine; empty when there is one."""
        self.reopened = 0
        self.longest = 0.0
        """Seconds that the longest inference took, of the first ones on."""

    @property
    def engine_name(self) -> str:
        """Runtime, precision and network in use, for people."""
        completer = self._completer
        if completer is None:
            return 'none'
        engine = completer.engine
        return f'{engine.backend} {engine.precision} {engine.info.network}'

    @property
    def depth_range(self) -> tuple[float, float]:
        """Plausible range [m]: the completer's, else the parameters', else 0..65."""
        completer = self._completer
        if completer is not None:
            return completer.depth_range
        return self._parameters.min_depth, self._parameters.max_depth or 65.0

    def open(self, parameters: NodeParameters, keep_on: Callable[[], bool]) -> bool:
        """
        Open and warm up, swapping out an engine that is in use only when the new one works.

        The work runs in its own thread, so that a process told to stop need not wait for it.

        Parameters
        ----------
        parameters:
            model, backend, precision, threads and cameras count.
        keep_on:
            asked ten times a second; False leaves the opening alone.

        Returns
        -------
        bool
            False when ``keep_on`` or `close` ended it.

        Raises
        ------
        MagadepthError
            the model or the runtime; the engine in use, if any, stays.

        """
        return self._open(parameters, keep_on, *self._ask(parameters))

    def open_aside(
        self,
        parameters: NodeParameters,
        keep_on: Callable[[], bool],
        done: Callable[[str], None],
    ) -> None:
        """Do as `open`, without waiting: ``done`` is told the trouble, '' when there was none."""
        try:
            asked = self._ask(parameters)
        except MagadepthError as error:
            done(str(error))
            return

        def work() -> None:
            try:
                done('' if self._open(parameters, keep_on, *asked) else OVERTAKEN)
            except MagadepthError as error:
                done(str(error))

        threading.Thread(target=work, name='open-engine-aside', daemon=True).start()

    def configure(self, parameters: NodeParameters) -> None:
        """Apply what can change while the engine runs; DataError where the model forbids it."""
        with self._swapping:
            if self._completer is not None:
                self._completer.settings = parameters.completion()
            # What only a reload applies must not sneak in when a failed engine is reopened.
            self._parameters = parameters.reloaded_as(self._parameters)

    def complete(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Completion]:
        """
        Complete a batch, from the worker thread.

        Raises
        ------
        EngineError
            no engine now, or it failed on this batch.

        """
        while True:
            with self._swapping:
                completer, lock = self._completer, self._lock
            if completer is None:
                raise EngineError(self.failed or 'no engine is open')
            with lock:
                # Else it was swapped in between, and may be closed.
                if completer is self._completer:
                    return self._complete(completer, pairs)

    def abandon(self, reason: str) -> None:
        """Leave an engine that hangs to the thread that waits for it, and open another."""
        with self._swapping:
            completer, lock = self._replace(None)
            self.build.end()
        self.failed = reason
        if completer is not None:
            self._close_aside(completer, lock)
            self._open_again()

    def close(self) -> None:
        """Release the engine and stop trying to reopen it; waits for a frame, not for a hang."""
        self._stop.set()
        with self._swapping:
            # An engine that is being opened now comes too late.
            self._generation += 1
            completer, lock = self._replace(None)
            self.build.end()
        self._failures, self.failed, self._pause = 0, '', FIRST_PAUSE
        if completer is None:
            return
        thread = self._close_aside(completer, lock)
        thread.join(timeout=1.0)
        if thread.is_alive():
            self._reporter.warn('close', 'the engine hangs; it is closed when it comes back')

    def _ask(self, parameters: NodeParameters) -> tuple[int, int]:
        """Note a request: which close or later request overtakes it is decided by its time."""
        self._stop.clear()
        self.configure(parameters)
        with self._swapping:
            self._asked += 1
            return self._asked, self._generation

    def _open(
        self,
        parameters: NodeParameters,
        keep_on: Callable[[], bool],
        asked: int,
        generation: int,
    ) -> bool:
        build = BuildLog(self._reporter)
        try:
            completer = in_thread(lambda: self._warm(parameters, build), 'open-engine', keep_on)
        except MagadepthError:
            raise
        except Exception as error:
            raise EngineError(f'the engine cannot be opened: {describe(error)}') from error
        if completer is None:
            return False
        return self._swap(completer, parameters, build, generation, asked)

    def _complete(
        self, completer: Completer, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> list[Completion]:
        begin = monotonic()
        try:
            completions = completer.complete_batch(pairs)
        except Exception as error:
            if completer is self._completer:
                self._count_failure(error)
            if isinstance(error, EngineError):
                raise
            raise EngineError(describe(error)) from error
        if completer is self._completer:
            self.longest = max(self.longest, monotonic() - begin)
            if self._failures or self.failed:
                self._reporter.info('the engine works again')
                self._reporter.forget('engine')
                self._reporter.forget('reopen')
            self._failures, self.failed, self._pause = 0, '', FIRST_PAUSE
        return completions

    def _replace(self, completer: Completer | None) -> tuple[Completer | None, Lock]:
        """With ``_swapping`` held: take ``completer`` into use; return the one before."""
        before = self._completer, self._lock
        self._completer, self._lock = completer, threading.RLock()
        return before

    def _warm(self, parameters: NodeParameters, build: BuildLog) -> Completer:
        completer, self.longest = open_warm(self._opener, parameters, build)
        return completer

    def _swap(
        self,
        completer: Completer,
        parameters: NodeParameters,
        build: BuildLog,
        generation: int,
        asked: int,
    ) -> bool:
        with self._swapping:
            late = generation != self._generation or asked < self._answered
            if not late:
                # What was set while the engine was being opened is newer than the request.
                newest = self._parameters.reloaded_as(parameters)
                _set(completer, newest, build)
            (build if late else self.build).end()
            old, lock = (completer, threading.RLock()) if late else self._replace(completer)
            if not late:
                self._parameters, self.build, self._answered = newest, build, asked
                self._failures, self.failed = 0, ''
        if old is not None:
            self._close(old, lock)
        return not late

    def _close_aside(self, completer: Completer, lock: Lock) -> threading.Thread:
        thread = threading.Thread(
            target=self._close, args=(completer, lock), name='close-engine', daemon=True
        )
        thread.start()
        return thread

    def _close(self, completer: Completer, lock: Lock) -> None:
        # Nobody takes up a completer that was replaced: once the frame in work is done, it is
        # free. Frames go on meanwhile, as an engine that is still being built stops slowly.
        with lock:
            pass
        try:
            completer.close()
        # A runtime that broke may break again on closing; it is let go all the same.
        except Exception as error:
            self._reporter.warn('close', f'closing the engine: {error}')

    def _count_failure(self, error: Exception) -> None:
        self._failures += 1
        self.failed = describe(error)
        if self._failures < FAILURES_BEFORE_REOPEN:
            return
        with self._swapping:
            completer, lock = self._replace(None)
            self.build.end()
        if completer is not None:
            self._close(completer, lock)
        self._open_again()

    def _open_again(self) -> None:
        if self._opening is None or not self._opening.is_alive():
            self._opening = threading.Thread(
                target=self._reopen, name='open-engine-again', daemon=True
            )
            self._opening.start()

    def _reopen(self) -> None:
        generation = self._generation
        while not self._stop.is_set():
            if self._stop.wait(self._pause):
                return
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            build = BuildLog(self._reporter)
            try:
                completer = self._warm(self._parameters, build)
                taken = self._take_again(completer, build, generation)
            except Exception as error:
                self.failed = describe(error)
                self._reporter.error(
                    'reopen',
                    f'cannot reopen the engine, next try in {self._pause:g} s: {self.failed}',
                )
                continue
            if not taken:
                build.end()
                completer.close()
            # ``failed`` and the pause are reset by the first frame that goes well.
            return

    def _take_again(self, completer: Completer, build: BuildLog, generation: int) -> bool:
        with self._swapping:
            if generation != self._generation or self._completer is not None:
                return False
            _set(completer, self._parameters, build)
            self._replace(completer)
            self.build = build
            self.reopened += 1
            return True


def _set(completer: Completer, parameters: NodeParameters, build: BuildLog) -> None:
    """Give it its settings; where they leave no depth it is closed again, and DataError raised."""
    try:
        completer.settings = parameters.completion()
    except DataError:
        build.end()
        completer.close()
        raise
