# SPDX-License-Identifier: Apache-2.0
"""From an ONNX to a checked engine in the cache: found, or converted, built, checked and kept."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from magadepth_ros.engines import cache
from magadepth_ros.engines.cache import EngineFile
from magadepth_ros.engines.check import (
    CheckReport,
    DifferenceError,
    check_engine,
    check_frames,
    open_reference,
)
from magadepth_ros.engines.converting import convert
from magadepth_ros.engines.engine import ModelInfo
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.opening import EngineWish
from magadepth_ros.engines.request import EngineRequest
from magadepth_ros.engines.tensorrt_build import Progress, build_engine
from magadepth_ros.errors import EngineError

_LOG = logging.getLogger(__name__)


def _silent(text: str, share: float) -> None:
    pass


def obtain_engine(
    request: EngineRequest,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = lambda: False,
    path: Path | None = None,
) -> EngineFile:
    """
    Return the engine from the cache, or build, check and keep it; two processes build once.

    Parameters
    ----------
    request:
        what is wanted.
    progress:
        told what is going on and how much of it is done, 0..1.
    cancelled:
        asked now and then; once true the build stops with an EngineError.
    path:
        where to keep the engine, None for the cache (which is looked in first).

    Raises
    ------
    EngineError
        it cannot be built, or the check refuses it. A cache that cannot be written is only a
        warning: the engine is returned all the same.

    """
    request = request.resolved()
    key = request.key()
    place = path or cache.engine_path(request.model, key)

    def waiting() -> None:
        progress('waiting for another process that builds this engine', 0.0)

    with cache.build_lock(place, waiting, cancelled):
        if path is None:
            found, why = cache.find_engine(request.model, key)
            if found is not None:
                return _verify(request, found, progress)
            _LOG.info('%s: %s', place.name, why)
        data, report = convert_build_check(request, progress, cancelled)
        try:
            return cache.store_engine(request.model, key, data, report, place)
        except EngineError as error:
            if path is not None:
                raise
            _LOG.warning('%s; the engine is used, and built again at the next start', error)
            return EngineFile(data, read_model_info(request.model), key, report)


def is_verified(request: EngineRequest, file: EngineFile) -> bool:
    """Whether the engine itself was compared with float32, as far as this machine can."""
    check = file.report.get('check') or {}
    return request.limit <= 0 or request.cuda is None or bool(check.get('engine_run'))


def _verify(request: EngineRequest, file: EngineFile, progress: Progress) -> EngineFile:
    """Check an engine that was built ahead without a GPU, or with other frames than wanted."""
    if is_verified(request, file) and request.check_data is None:
        return file
    progress('checking against float32', 0.0)
    try:
        with _folder() as folder:
            typed = None if request.cuda is not None else _typed(request, folder)
            result = _check(request, typed, file.data, file.info)
    except DifferenceError as error:
        assert file.path is not None
        raise DifferenceError(f'{error}; {cache.move_aside(file.path)}') from error
    report = {**file.report, 'check': result.as_json() if result else None}
    try:
        return cache.store_engine(request.model, file.key, file.data, report, file.path)
    except EngineError as error:
        _LOG.info('%s', error)
        return replace(file, report=report)


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder for what lies between two stages."""
    try:
        with tempfile.TemporaryDirectory(prefix='magadepth-') as folder:
            yield Path(folder)
    except OSError as error:
        raise EngineError(
            f'no folder for the converted ONNX: {error}; set TMPDIR to one that can be written'
        ) from error


def _typed(request: EngineRequest, folder: Path) -> Path:
    """Return the model in the wanted arithmetic, converted into ``folder`` if need be."""
    if request.typed is not None:
        return request.typed
    typed = folder / f'{request.model.stem}-{request.precision}.onnx'
    batch, data = request.options.batch, request.calibration_data
    convert(request.model, typed, request.precision, batch, data)
    return typed


def convert_build_check(
    request: EngineRequest,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[bytes, dict[str, Any]]:
    """Return a new engine and the report on it."""
    info = read_model_info(request.model)
    with _folder() as folder:
        if request.typed is None:
            progress(f'converting to {request.precision}', 0.0)
        typed = _typed(request, folder)
        built = build_engine(typed, request.library, request.options, progress, cancelled)
        report: dict[str, Any] = {
            'layers': built.layers,
            'precision_share': built.precision_share,
            'size_bytes': len(built.data),
            'build_seconds': round(built.seconds, 2),
            'check': None,
        }
        if request.limit > 0:
            progress('checking against float32', 0.0)
            result = _check(request, typed, built.data, info)
            report['check'] = result.as_json() if result else None
    return built.data, report


def _check(
    request: EngineRequest, typed: Path | None, data: bytes, info: ModelInfo
) -> CheckReport | None:
    """Compare with float32: the engine where it can run, else ``typed``, its ONNX, on the CPU."""
    frames = check_frames(info, request.check_data)
    reference = open_reference(request.model)
    engine: Any = None  # its precision is corrected below
    engine_run = False
    try:
        if request.cuda is not None:
            from magadepth_ros.engines.tensorrt import TensorRtEngine

            file = EngineFile(data, info, request.key())
            try:
                engine = TensorRtEngine(file, request.library, request.cuda)
                engine_run = True
            except EngineError as error:
                # A portable engine may be meant for other GPUs than the one here.
                if typed is None or not request.library.portable:
                    raise
                _LOG.warning('the engine cannot be run here, its ONNX is: %s', error)
        if engine is None and typed is not None:
            from magadepth_ros.engines.onnx_cpu import OnnxCpuEngine

            try:
                engine = OnnxCpuEngine(typed)
            except EngineError as error:
                _LOG.warning('the engine is not checked: %s', error)
        if engine is None:
            return None
        try:
            # int8 is emulated in float32 arithmetic, which its name would hide.
            engine.precision = request.precision
            return check_engine(engine, reference, frames, request.limit, engine_run)
        finally:
            engine.close()
    finally:
        reference.close()


def build_only(wish: EngineWish, progress: Progress, cancelled: Callable[[], bool]) -> Path:
    """Build the engine that is wanted for this machine where it is not there yet; its path."""
    from magadepth_ros.engines.request import request_engine

    request = request_engine(wish.model, wish.precision, wish.batch)
    file = obtain_engine(request, progress, cancelled)
    if file.path is None:
        raise EngineError('the engine was built but cannot be kept; see the warning above')
    return file.path


class _LogProgress:
    """Writes a line at every new step and every tenth of it."""

    def __init__(self) -> None:
        self._last: tuple[str, int] = ('', -1)

    def __call__(self, text: str, share: float) -> None:
        now = (text, int(share * 10))
        if now != self._last:
            self._last = now
            _LOG.info('engine: %s %d %%', text, round(share * 100))


log_progress: Progress = _LogProgress()
