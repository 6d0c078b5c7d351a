# SPDX-License-Identifier: Apache-2.0
"""Runtimes: one file each behind the protocol of ``engine.py``, opened by :func:`open_engine`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from magadepth_ros.engines.engine import Engine
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import EngineError, ModelError, describe

if TYPE_CHECKING:
    from magadepth_ros.engines.swapping import BuildStatus

_LOG = logging.getLogger(__name__)

BACKENDS = ('auto', 'openvino', 'tensorrt', 'torch', 'torch-cuda', 'torch-cpu')
FASTEST_FIRST = ('tensorrt', 'torch-cuda', 'openvino')
ENGINE_SUFFIXES = ('.engine', '.plan')


def open_engine(
    model: Path | str,
    backend: str = 'auto',
    precision: str = 'auto',
    threads: int = 0,
    batch: int = 1,
    progress: Callable[[BuildStatus], None] | None = None,
) -> Engine:
    """
    Open a model on a runtime.

    Parameters
    ----------
    model:
        path of an ONNX with the metadata of a magadepth model, or of an engine that
        ``magadepth export-trt`` wrote (with its JSON beside it).
    backend:
        ``openvino``, ``tensorrt``, ``torch-cuda``, ``torch-cpu``, ``torch`` (the better of the
        two), or ``auto``: the first of tensorrt, torch-cuda, openvino that is installed and
        works; the log says why.
    precision:
        arithmetic inside the network: ``fp32``, ``bf16``, ``fp16``, ``int8`` (as far as the
        runtime has it) or ``auto``: the lowest that the model's metadata calls safe.
    threads:
        CPU threads, 0 = all cores.
    batch:
        frames the engine is first prepared for; others are accepted and cost a preparation.
    progress:
        where given, a TensorRT engine that is not in the cache is built in the background while
        OpenVINO serves, and this is called from there. Without, the build is waited for.

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        the runtime is not installed or cannot run the model.

    """
    if backend not in BACKENDS:
        raise EngineError(f'unknown backend {backend!r}; use one of {", ".join(BACKENDS)}')
    model = Path(model)
    if model.suffix in ENGINE_SUFFIXES:
        return _open_engine_file(model, batch)
    if model.suffix != '.safetensors':
        read_model_info(model)  # a broken file is the model's fault, not that of each runtime
    if backend != 'auto':
        return _open(model, backend, precision, threads, batch, progress)
    reasons = []
    for candidate in FASTEST_FIRST:
        try:
            engine = _open(model, candidate, precision, threads, batch, progress)
        except Exception as error:
            # Whatever a driver or a half-installed library raises, the next one is tried.
            reason = describe(error)
            _LOG.info('backend %s is not used: %s', candidate, reason)
            reasons.append(f'{candidate}: {reason}')
            continue
        _LOG.info('backend auto: %s in %s', engine.backend, engine.precision)
        return engine
    raise EngineError(f'{model}: no runtime works; ' + '; '.join(reasons))


def _open(
    model: Path,
    backend: str,
    precision: str,
    threads: int,
    batch: int,
    progress: Callable[[BuildStatus], None] | None,
) -> Engine:
    if backend == 'openvino':
        from magadepth_ros.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(model, precision=precision, threads=threads, batch=batch)
    if backend == 'tensorrt':
        if progress is not None:
            from magadepth_ros.engines.swapping import serve_while_building

            return serve_while_building(model, precision, threads, batch, progress)
        from magadepth_ros.engines import building
        from magadepth_ros.engines.request import request_engine
        from magadepth_ros.engines.tensorrt import TensorRtEngine

        request = request_engine(model, precision, batch)
        file = building.obtain_engine(request, building.log_progress)
        return TensorRtEngine(file, request.library, request.cuda, batch)
    from magadepth_ros.engines.torch import TorchEngine

    device = backend.partition('-')[2] or 'auto'
    return TorchEngine(model, precision, threads, batch, device)


def _open_engine_file(path: Path, batch: int) -> Engine:
    """Open an engine by its own path: its sidecar says what it was built for."""
    from magadepth_ros.engines.cache import PORTABLE_GPU, read_engine
    from magadepth_ros.engines.cuda_driver import CudaDriver
    from magadepth_ros.engines.tensorrt import TensorRtEngine
    from magadepth_ros.engines.tensorrt_library import load_library

    if not path.is_file():
        raise ModelError(f'{path}: no such engine')
    file = read_engine(path)
    library, cuda = load_library(file.key.runtime), CudaDriver()
    here = (library.version, cuda.name)
    gpu = cuda.name if file.key.gpu == PORTABLE_GPU else file.key.gpu
    if (file.key.runtime_version, gpu) != here:
        raise EngineError(
            f'{path}: built with {file.key.runtime} {file.key.runtime_version} for '
            f'{file.key.gpu}, this is {library.version} on {cuda.name}; build it here with '
            '`magadepth export-trt`'
        )
    return TensorRtEngine(file, library, cuda, batch)
