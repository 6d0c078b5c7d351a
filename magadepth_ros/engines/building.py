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
    CheckReport,
    check_engine,
    check_frames,
    open_reference,
)
from magadepth_ros.engines.cuda_driver import CudaDriver
from magadepth_ros.engines.engine import ModelInfo
from magadepth_ros.engines.half_precision import to_half, to_single
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.tensorrt_build import BuildOptions, Progress, build_engine
from magadepth_ros.engines.tensorrt_library import TensorRtLibrary, load_library
from magadepth_ros.errors import EngineError

_LOG = logging.getLogger(__name__)

PRECISIONS = ('auto', 'fp32', 'fp16', 'int8')


def _silent(text: str, share: float) -> None:
    pass


@dataclass(frozen=True)
class EngineRequest:
    """
    Which engine is wanted.

    Attributes
    ----------
    model:
        ONNX of a magadepth model.
    library:
        the TensorRT to build with.
    cuda:
        the GPU to build for and check on, or None where there is none: then only TensorRT for
        RTX can build, and the check runs the converted ONNX on the CPU.
    precision:
        ``fp32``, ``fp16``, ``int8``, or ``auto``: fp16 where the model's metadata calls it safe.
    options:
        how to build.
    check_data, calibration_data:
        manifest folders to check with, and to measure int8's ranges on; None takes simulated
        frames.
    limit:
        largest difference the check lets through, relative to the depth; 0 skips the check.

    """

    model: Path
    library: TensorRtLibrary
    cuda: CudaDriver | None = None
    precision: str = 'auto'
    options: BuildOptions = field(default_factory=BuildOptions)
    check_data: Path | None = None
    calibration_data: Path | None = None
    limit: float = LIMIT

    def resolved(self) -> EngineRequest:
        """Return the request with ``auto`` decided and impossible wishes refused."""
        if self.precision not in PRECISIONS:
            raise EngineError(
                f'precision {self.precision!r} is not there on {self.library.name}; '
                f'use {", ".join(PRECISIONS)}'
            )
        if self.cuda is None and not self.library.portable:
            raise EngineError(
                'tensorrt builds an engine by measuring on the GPU, and there is none here; '
                'build with tensorrt-rtx, or on the machine that will run it'
            )
        if self.precision != 'auto':
            return self
        safe = read_model_info(self.model).low_precision_safe
        return replace(self, precision='fp16' if safe else 'fp32')

    def key(self) -> EngineKey:
        """Return all that the engine will depend on."""
        info = read_model_info(self.model)
        if self.library.portable:
            gpu = cache.PORTABLE_GPU
            capability = ','.join(self.options.compute_capabilities) or '8.0+'
        else:
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


def request_engine(
    model: Path | str, precision: str = 'auto', batch: int = 1, builder: str = 'auto'
) -> EngineRequest:
    """Return the request for running ``model`` on this machine's GPU; EngineError without one."""
    return EngineRequest(
        model=Path(model),
        library=load_library(builder),
        cuda=CudaDriver(),
        precision=precision,
        options=BuildOptions(batch=batch, timing_cache=cache.cache_folder() / 'timing.cache'),
    ).resolved()


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
    """Check an engine that was built ahead without a GPU, now that there is one."""
    if is_verified(request, file):
        return file
    progress('checking against float32', 0.0)
    result = _check(request, request.model, file.data, file.info)
    report = {**file.report, 'check': result.as_json() if result else None}
    try:
        return cache.store_engine(request.model, file.key, file.data, report, file.path)
    except EngineError as error:
        _LOG.info('%s', error)
        return replace(file, report=report)


def convert_build_check(
    request: EngineRequest,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[bytes, dict[str, Any]]:
    """Return a new engine and the report on it."""
    info = read_model_info(request.model)
    with tempfile.TemporaryDirectory(prefix='magadepth-') as folder:
        typed = Path(folder) / f'{request.model.stem}-{request.precision}.onnx'
        progress(f'converting to {request.precision}', 0.0)
        convert(request, typed, info)
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


def convert(request: EngineRequest, target: Path, info: ModelInfo) -> None:
    """Write the ONNX that states the wanted arithmetic."""
    batch = 1 if request.options.batch == 1 else 0
    if request.precision == 'fp32':
        to_single(request.model, target, batch=batch)
    elif request.precision == 'fp16':
        report = to_half(request.model, target, batch=batch)
        if report.too_large:
            _LOG.warning(
                '%s: weights beyond 65504 stay float32: %s',
                request.model,
                ', '.join(report.too_large),
            )
    else:
        if request.options.batch > 1:
            raise EngineError('int8 is calibrated for one frame at a time; use batch 1, or fp16')
        from magadepth_ros.engines.quantise import to_int8

        to_int8(request.model, target, check_frames(info, request.calibration_data, 32))


def _check(
    request: EngineRequest, typed: Path, data: bytes, info: ModelInfo
) -> CheckReport | None:
    frames = check_frames(info, request.check_data)
    reference = open_reference(request.model)
    try:
        if request.cuda is not None:
            from magadepth_ros.engines.tensorrt import TensorRtEngine

            engine: Any = TensorRtEngine(
                EngineFile(data, info, request.key()), request.library, request.cuda
            )
        else:
            from magadepth_ros.engines.onnx_cpu import OnnxCpuEngine

            try:
                engine = OnnxCpuEngine(typed)
            except EngineError as error:
                _LOG.warning('the engine is not checked: %s', error)
                return None
        try:
            # int8 is emulated in float32 arithmetic, which its name would hide.
            engine.precision = request.precision
            return check_engine(
                engine, reference, frames, request.limit, engine_run=request.cuda is not None
            )
        finally:
            engine.close()
    finally:
        reference.close()


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
