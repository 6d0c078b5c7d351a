# SPDX-License-Identifier: Apache-2.0
"""From an ONNX to a checked engine in the cache: found, or converted, built, checked and kept."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from magadepth_ros.engines import cache
from magadepth_ros.engines.cache import EngineFile, EngineKey
from magadepth_ros.engines.check import (
    LIMIT,
    DifferenceError,
    check_engine,
    check_frames,
    open_reference,
)
from magadepth_ros.engines.cuda_driver import CudaDriver
from magadepth_ros.engines.engine import Engine
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.precision import stated_precision, write_typed
from magadepth_ros.engines.tensorrt_build import BuildOptions, Progress, build_engine
from magadepth_ros.engines.tensorrt_library import TensorRtLibrary, load_library
from magadepth_ros.errors import EngineError, PrecisionError

_LOG = logging.getLogger(__name__)

PRECISIONS = ('auto', 'fp32', 'fp16')


@dataclass(frozen=True)
class EngineRequest:
    """
    Which engine is wanted.

    Attributes
    ----------
    model:
        path of the ONNX of a magadepth model.
    library:
        the TensorRT to build with.
    cuda:
        the GPU to build for and check on, or None where there is none: then only TensorRT for
        RTX can build, and the check runs the converted ONNX on the CPU.
    precision:
        ``fp32``, ``fp16``, or ``auto``: fp16 where the model's metadata calls it safe.
    options:
        how to build.
    check_data:
        manifest folder to check with; None takes simulated frames.
    limit:
        largest difference the check lets through, relative to the depth; 0 skips the check.
    typed:
        an ONNX that states the arithmetic in its types, built as it is; None converts ``model``.

    """

    model: Path
    library: TensorRtLibrary
    cuda: CudaDriver | None = None
    precision: str = 'auto'
    options: BuildOptions = field(default_factory=BuildOptions)
    check_data: Path | None = None
    limit: float = LIMIT
    typed: Path | None = None

    def resolved(self) -> EngineRequest:
        """Return the request with ``auto`` decided; EngineError where it cannot be fulfilled."""
        if self.cuda is None and not self.library.portable:
            raise EngineError(
                'tensorrt builds an engine by measuring on the GPU, and there is none here; '
                'build with tensorrt-rtx, or on the machine that will run it'
            )
        precision = self.precision
        if self.typed is not None:
            stated = stated_precision(self.typed)
            if precision not in ('auto', stated):
                raise EngineError(
                    f'{self.typed}: it computes in {stated}, not in {precision}; give the '
                    'float32 ONNX to be converted, or leave the precision to the file'
                )
            return replace(self, precision=stated)
        if precision not in PRECISIONS:
            raise PrecisionError(
                f'precision {precision!r} is not there on {self.library.name}; '
                f'use {", ".join(PRECISIONS)}'
            )
        if precision == 'auto':
            precision = 'fp16' if read_model_info(self.model).low_precision_safe else 'fp32'
        return replace(self, precision=precision)

    def key(self) -> EngineKey:
        """Return all that the engine will depend on."""
        info = read_model_info(self.model)
        gpu, capability = cache.PORTABLE_GPU, ','.join(self.options.compute_capabilities) or '8.0+'
        if not self.library.portable:
            assert self.cuda is not None
            gpu, capability = self.cuda.name, self.cuda.compute_capability
        return EngineKey(
            onnx_sha256=cache.sha256_of(self.model),
            runtime=self.library.name,
            runtime_version=self.library.version,
            gpu=gpu,
            compute_capability=capability,
            precision=self.precision,
            shape=(self.options.batch, info.height, info.width),
        )


def find_gpu() -> CudaDriver | None:
    """Return the first GPU, or None and a line in the log that says why."""
    try:
        return CudaDriver()
    except EngineError as error:
        _LOG.info('%s', error)
        return None


def request_engine(model: Path | str, precision: str = 'auto', batch: int = 1) -> EngineRequest:
    """Return the request for running ``model`` on this machine's GPU; EngineError without one."""
    library, options = load_library(), BuildOptions(batch)
    return EngineRequest(Path(model), library, CudaDriver(), precision, options).resolved()


def obtain_engine(
    request: EngineRequest,
    progress: Progress = lambda text, share: None,
    cancelled: Callable[[], bool] = lambda: False,
    path: Path | None = None,
) -> EngineFile:
    """
    Return the engine from the cache, or build, check and keep it; two processes build once.

    ``progress`` is told what is going on and how much of it is done, 0..1; ``cancelled`` is asked
    now and then. With a ``path`` it is always built and kept there, and the cache left alone.

    Raises
    ------
    EngineError
        it cannot be built, the check refuses it, or it was cancelled. A cache that cannot be
        written is only a warning: the engine is returned all the same.

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
        file = EngineFile(data, read_model_info(request.model), key, report)
        try:
            return cache.store_engine(file, place)
        except EngineError as error:
            if path is not None:
                raise
            _LOG.warning('%s; the engine is used, and built again at the next start', error)
            return file


def is_verified(request: EngineRequest, file: EngineFile) -> bool:
    """Whether the engine itself was compared with float32, as far as this machine can."""
    check = file.report.get('check') or {}
    return request.limit <= 0 or request.cuda is None or bool(check.get('engine_run'))


def convert_build_check(
    request: EngineRequest,
    progress: Progress = lambda text, share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[bytes, dict[str, Any]]:
    """Return a new engine and the report on it, with what the check found as ``check``."""
    with tempfile.TemporaryDirectory(prefix='magadepth-') as folder:
        typed = _typed(request, folder, progress)
        data, report = build_engine(typed, request.library, request.options, progress, cancelled)
        file = EngineFile(data, read_model_info(request.model), request.key())
        return data, {**report, 'check': _check(request, typed, file, progress)}


def build_only(
    model: Path | str,
    precision: str,
    batch: int,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> Path:
    """Build the engine that is wanted for this machine where it is not there yet; its path."""
    file = obtain_engine(request_engine(model, precision, batch), progress, cancelled)
    if file.path is None:
        raise EngineError('the engine was built but cannot be kept; see the warning above')
    return file.path


def _verify(request: EngineRequest, file: EngineFile, progress: Progress) -> EngineFile:
    """Check an engine that was built ahead without a GPU, or with other frames than wanted."""
    if is_verified(request, file) and request.check_data is None:
        return file
    assert file.path is not None
    try:
        with tempfile.TemporaryDirectory(prefix='magadepth-') as folder:
            typed = None if request.cuda is not None else _typed(request, folder, progress)
            found = _check(request, typed, file, progress)
    except DifferenceError as error:
        raise DifferenceError(f'{error}; {cache.move_aside(file.path)}') from error
    checked = replace(file, report={**file.report, 'check': found})
    try:
        return cache.store_engine(checked, file.path)
    except EngineError as error:
        _LOG.info('%s', error)
        return checked


def _typed(request: EngineRequest, folder: str, progress: Progress) -> Path:
    """Return the model in the wanted arithmetic, converted into ``folder`` if need be."""
    if request.typed is not None:
        return request.typed
    progress(f'converting to {request.precision}', 0.0)
    typed = Path(folder) / f'{request.model.stem}-{request.precision}.onnx'
    write_typed(request.model, typed, request.precision, request.options.batch)
    return typed


def _check(
    request: EngineRequest, typed: Path | None, file: EngineFile, progress: Progress
) -> dict[str, Any] | None:
    """Compare with float32: the engine where it can run, else ``typed``, its ONNX, on the CPU."""
    if request.limit <= 0:
        return None
    progress('checking against float32', 0.0)
    engine: Engine | None = None
    engine_run = False
    if request.cuda is not None:
        from magadepth_ros.engines.tensorrt import TensorRtEngine

        try:
            engine = TensorRtEngine(file, request.library, request.cuda)
            engine_run = True
        except EngineError as error:
            # A portable engine may be meant for other GPUs than the one here.
            if typed is None or not request.library.portable:
                raise
            _LOG.warning('the engine cannot be run here, its ONNX is: %s', error)
    if engine is None and typed is not None:
        from magadepth_ros.engines.onnxruntime import OnnxRuntimeEngine

        engine = OnnxRuntimeEngine(typed, exact=True)
    if engine is None:
        return None
    engine.precision = request.precision
    try:
        reference = open_reference(request.model)
        try:
            frames = check_frames(file.info, request.check_data)
            return check_engine(engine, reference, frames, request.limit, engine_run).as_json()
        finally:
            reference.close()
    finally:
        engine.close()


def each_tenth(say: Callable[[str], None]) -> Progress:
    """Return a progress that says every new step and every tenth of it."""
    last = ('', -1)

    def progress(text: str, share: float) -> None:
        nonlocal last
        if last != (text, int(share * 10)):
            last = text, int(share * 10)
            say(f'engine: {text} {share:.0%}')

    return progress
