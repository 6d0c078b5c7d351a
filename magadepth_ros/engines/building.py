# SPDX-License-Identifier: Apache-2.0
"""Find a checked engine in the cache; else convert the ONNX, build, check and store an engine."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from magadepth_ros.engines import cache, tensorrt
from magadepth_ros.engines.build_request import BuildRequest, request_build
from magadepth_ros.engines.cache import EngineFile
from magadepth_ros.engines.check import (
    DifferenceError,
    check_engine,
    check_frames,
    open_reference,
)
from magadepth_ros.engines.cuda_driver import CudaDriver
from magadepth_ros.engines.engine import Engine
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.onnxruntime import OnnxRuntimeEngine
from magadepth_ros.engines.precision import write_typed
from magadepth_ros.engines.tensorrt_build import Progress, build_engine
from magadepth_ros.engines.tensorrt_library import load_library
from magadepth_ros.errors import EngineError, ModelError

_LOG = logging.getLogger(__name__)


def obtain_engine(
    request: BuildRequest,
    progress: Progress = lambda text, share: None,
    cancelled: Callable[[], bool] = lambda: False,
    path: Path | None = None,
) -> EngineFile:
    """
    Return the engine from the cache, or build, check and store it; of two processes, one builds.

    ``progress`` is called with the stage and its share that is done, 0..1; ``cancelled`` is called
    periodically. With a ``path`` the engine is always built and stored there, without the cache.
    An engine of the cache is checked where it was not yet checked on this GPU, or frames are
    given.

    Raises
    ------
    EngineError
        the engine cannot be built, the check refuses it, or the build was cancelled. A cache
        that cannot be written is only a warning: the engine is returned all the same.

    """
    request = request.resolved()
    key = request.key()
    place = path or cache.engine_path(request.model, key)

    def waiting() -> None:
        progress('waiting for another process that builds this engine', 0.0)

    with cache.build_lock(place, waiting, cancelled):
        found, why = (None, '') if path else cache.find_engine(request.model, key)
        if found is None:
            _LOG.info('%s: %s', place.name, why)
            file = build_and_check(request, progress, cancelled)
        elif is_verified(request, found):
            return found
        else:
            try:
                file = _checked(request, found, progress)
            except DifferenceError as error:
                raise DifferenceError(f'{error}; {cache.move_aside(place)}') from error
        try:
            return cache.store_engine(file, place)
        except EngineError as error:
            if path is not None:
                raise
            _LOG.warning('%s; the engine is used from memory', error)
            return file


def is_verified(request: BuildRequest, file: EngineFile) -> bool:
    """Whether the engine was compared with float32 as far as requested and possible here."""
    if request.limit <= 0:
        return True
    check = file.report.get('check') or {}
    return request.check_data is None and (request.cuda is None or bool(check.get('engine_run')))


def build_and_check(
    request: BuildRequest,
    progress: Progress = lambda text, share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> EngineFile:
    """Return a new engine, which is not stored; its report has the result of the check."""
    with _typed(request, progress) as typed:
        data, report = build_engine(typed, request, progress, cancelled)
    file = EngineFile(data, read_model_info(request.model), request.key(), report)
    return _checked(request, file, progress)


def build_only(
    model: Path | str,
    precision: str,
    batch: int,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> Path:
    """Build the requested engine for this machine unless the cache has it; return its path."""
    file = obtain_engine(request_build(model, precision, batch), progress, cancelled)
    if file.path is None:
        raise EngineError(
            'the engine was built but cannot be stored; the warning above has the reason'
        )
    return file.path


def run_engine(request: BuildRequest, file: EngineFile) -> Engine:
    """Open the engine of a request, prepared for the request's batch."""
    return tensorrt.TensorRtEngine(file, request.library, request.cuda, request.batch)


def run_engine_file(path: Path, batch: int) -> Engine:
    """
    Open an engine file; its sidecar has the key that it was built for.

    Raises
    ------
    ModelError
        there is no such file.
    EngineError
        it was built for another version or GPU than those here.

    """
    if not path.is_file():
        raise ModelError(f'{path}: no such engine file')
    file = cache.read_engine(path)
    library, cuda = load_library(file.key.runtime), CudaDriver()
    gpu = cuda.name if file.key.gpu == cache.PORTABLE_GPU else file.key.gpu
    if (file.key.runtime_version, gpu) != (library.version, cuda.name):
        raise EngineError(
            f'{path}: built with {file.key.runtime} {file.key.runtime_version} for '
            f'{file.key.gpu}, but this machine has {library.version} on {cuda.name}; build it '
            'here with `magadepth export-trt`'
        )
    return tensorrt.TensorRtEngine(file, library, cuda, batch)


@contextmanager
def _typed(request: BuildRequest, progress: Progress) -> Iterator[Path]:
    """Yield the model in the requested precision, converted in a temporary folder if necessary."""
    if request.typed is not None:
        yield request.typed
        return
    with tempfile.TemporaryDirectory(prefix='magadepth-') as folder:
        progress(f'converting to {request.precision}', 0.0)
        typed = Path(folder) / f'{request.model.stem}-{request.precision}.onnx'
        write_typed(request.model, typed, request.precision, request.batch)
        yield typed


def _checked(request: BuildRequest, file: EngineFile, progress: Progress) -> EngineFile:
    """Return an engine with its comparison with float32 in the report, unless ``limit`` is 0."""
    check = None
    if request.limit > 0:
        progress('checking against float32', 0.0)
        engine, is_itself = _to_check(request, file, progress)
        with closing(engine), closing(open_reference(request.model)) as reference:
            engine.precision = request.precision
            frames = check_frames(file.info, request.check_data)
            check = asdict(check_engine(engine, reference, frames, request.limit, is_itself))
    return replace(file, report={**file.report, 'check': check})


def _to_check(request: BuildRequest, file: EngineFile, progress: Progress) -> tuple[Engine, bool]:
    """Return the engine and True where it can run, else its ONNX on the CPU and False."""
    if request.cuda is not None:
        try:
            return run_engine(request, file), True
        except EngineError as error:
            # A portable engine may be meant for other GPUs than the one here.
            if not request.library.portable:
                raise
            _LOG.warning('the engine cannot be run here, its ONNX is: %s', error)
    with _typed(request, progress) as typed:
        return OnnxRuntimeEngine(typed, exact=True), False


def each_tenth(say: Callable[[str], None]) -> Progress:
    """Return a progress callback that passes on each new stage and each tenth of a stage."""
    last = ('', -1)

    def progress(text: str, share: float) -> None:
        nonlocal last
        if last != (text, int(share * 10)):
            last = text, int(share * 10)
            say(f'engine: {text} {share:.0%}')

    return progress
