# SPDX-License-Identifier: Apache-2.0
"""
Serves with OpenVINO while a TensorRT engine is built, then changes over between two frames.

The build runs in a thread: TensorRT leaves Python's lock while it works, and the engine is
handed over in memory, which also works where the cache cannot be written.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.engines.engine import Engine, ModelInfo, Prediction
from magadepth_ros.errors import EngineError, describe

_LOG = logging.getLogger(__name__)

BUILDING, READY, FAILED = 'building', 'ready', 'failed'


@dataclass(frozen=True)
class BuildStatus:
    """``state`` is ``building``, ``ready`` or ``failed``; ``share`` is what is done, 0..1."""

    state: str
    text: str
    share: float = 0.0


class SwappingEngine:
    """
    An engine that works at once and becomes faster later.

    Parameters
    ----------
    serve:
        opens the engine that serves meanwhile, and again should the fast one ever fail.
    build:
        opens the fast one; called once in a thread with ``progress(text, share)`` and
        ``cancelled()``, it may take minutes.
    progress:
        called with a :class:`BuildStatus` at every change, from the building thread.

    """

    def __init__(
        self,
        serve: Callable[[], Engine],
        build: Callable[[Callable[[str, float], None], Callable[[], bool]], Engine],
        progress: Callable[[BuildStatus], None] = lambda status: None,
    ) -> None:
        self._serve, self._build, self._report = serve, build, progress
        self._current: Engine = serve()
        self._serving = True
        self._ready: Engine | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.status = BuildStatus(BUILDING, 'starting')
        self._thread = threading.Thread(target=self._work, name='engine-build', daemon=True)
        self._thread.start()

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself."""
        return self._current.info

    @property
    def backend(self) -> str:
        """Name of the runtime that serves now."""
        return self._current.backend

    @property
    def precision(self) -> str:
        """Arithmetic of the engine that serves now."""
        return self._current.precision

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        """Run the network; see :class:`magadepth_ros.engines.engine.Engine`."""
        if self._closed.is_set():
            raise EngineError('this engine is closed; open it again')
        self._change_over()
        engine = self._current
        if self._serving:
            return engine.infer(rgb, depth)
        try:
            return engine.infer(rgb, depth)
        except EngineError as error:
            self._set(BuildStatus(FAILED, str(error)))
            _LOG.error('%s; back to the engine before', error)
            engine.close()
            self._current, self._serving = self._serve(), True
            return self._current.infer(rgb, depth)

    def wait(self, timeout: float | None = None) -> BuildStatus:
        """Wait until the build is over, or ``timeout`` seconds; returns the status."""
        self._thread.join(timeout)
        return self.status

    def close(self) -> None:
        """Stop the build, which may take a moment, and release both engines."""
        self._closed.set()
        self._thread.join()
        with self._lock:
            engines, self._ready = [self._ready, self._current], None
        for engine in engines:
            if engine is not None:
                engine.close()

    def _change_over(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, None
        if ready is None:
            return
        before, self._current, self._serving = self._current, ready, False
        _LOG.info('%s %s serves now instead of %s', ready.backend, ready.precision, before.backend)
        before.close()

    def _work(self) -> None:
        def progress(text: str, share: float) -> None:
            self._set(BuildStatus(BUILDING, text, share))

        try:
            engine = self._build(progress, self._closed.is_set)
        except Exception as error:
            # Whatever a driver or builder raises, the service goes on.
            if not self._closed.is_set():
                _LOG.error('%s; OpenVINO goes on serving', describe(error))
            self._set(BuildStatus(FAILED, describe(error)))
            return
        with self._lock:
            self._ready = engine
        self._set(BuildStatus(READY, f'{engine.backend} {engine.precision}', 1.0))

    def _set(self, status: BuildStatus) -> None:
        self.status = status
        self._report(status)


def serve_while_building(
    model: Path,
    precision: str = 'auto',
    threads: int = 0,
    batch: int = 1,
    progress: Callable[[BuildStatus], None] = lambda status: None,
) -> Engine:
    """
    Open a TensorRT engine from the cache, or serve with OpenVINO while it is built.

    Raises
    ------
    EngineError
        neither TensorRT nor a GPU, or no OpenVINO to serve with.

    """
    from magadepth_ros.engines import building
    from magadepth_ros.engines.cache import find_engine
    from magadepth_ros.engines.openvino import OpenVinoEngine
    from magadepth_ros.engines.request import request_engine
    from magadepth_ros.engines.tensorrt import TensorRtEngine

    request = request_engine(model, precision, batch)

    def open_built(file: Any) -> Engine:
        return TensorRtEngine(file, request.library, request.cuda, batch)

    def build(report: Callable[[str, float], None], cancelled: Callable[[], bool]) -> Engine:
        return open_built(building.obtain_engine(request, report, cancelled))

    found, why = find_engine(request.model, request.key())
    if found is not None and building.is_verified(request, found):
        try:
            engine = open_built(found)
        except EngineError as error:
            _LOG.warning('%s; OpenVINO serves', error)
        else:
            progress(BuildStatus(READY, f'{engine.backend} {engine.precision}', 1.0))
            return engine
    elif found is None:
        _LOG.info('%s; OpenVINO serves while it is built', why)
    return SwappingEngine(
        lambda: OpenVinoEngine(model, threads=threads, batch=batch), build, progress
    )


def build_only(
    model: Path,
    precision: str = 'auto',
    batch: int = 1,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> Path:
    """Build the engine of ``model`` for this machine where it is not there yet; its path."""
    from magadepth_ros.engines import building
    from magadepth_ros.engines.request import request_engine

    file = building.obtain_engine(request_engine(model, precision, batch), progress)
    if file.path is None:
        raise EngineError('the engine was built but cannot be kept; see the warning above')
    return file.path
