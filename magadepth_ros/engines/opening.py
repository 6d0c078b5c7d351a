# SPDX-License-Identifier: Apache-2.0
"""Open a model on the requested runtime, or on the best one that works on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from magadepth_ros.engines import building
from magadepth_ros.engines.cache import find_engine
from magadepth_ros.engines.engine import Engine
from magadepth_ros.engines.runtimes import ON_CPU, EngineRequest, first_that_works, open_cpu
from magadepth_ros.errors import EngineError, ModelError, PrecisionError

_LOG = logging.getLogger(__name__)

BACKENDS = ('auto', 'openvino', 'onnxruntime', 'tensorrt', 'torch', 'torch-cuda', 'torch-cpu')
PRECISIONS = ('auto', 'fp32', 'bf16', 'fp16')
FASTEST_FIRST = ('tensorrt', 'torch-cuda', 'openvino', 'onnxruntime')
"""The order in which ``auto`` tries them."""
ON_GPU = ('tensorrt', 'tensorrt-rtx', 'torch-cuda')
"""Values of ``Engine.backend``."""
ENGINE_SUFFIXES = ('.engine', '.plan')

Build = Callable[[Callable[[str, float], None], Callable[[], bool]], Engine]
"""Builds an engine, which takes minutes; arguments: ``progress(text, share)``, ``cancelled()``."""


@dataclass(frozen=True)
class Offer:
    """An open engine, and ``build``, which builds the requested one; None where that is open."""

    engine: Engine
    build: Build | None = None


def open_engine(
    model: Path | str,
    backend: str = 'auto',
    precision: str = 'auto',
    threads: int = 0,
    batch: int = 1,
) -> Engine:
    """
    Open a model on a runtime; a TensorRT engine that is not in the cache is built first.

    The arguments are those of `EngineRequest`.

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        the runtime is not installed or cannot run the model.

    """
    request = EngineRequest(Path(model), backend, precision, threads, batch)
    engine = first_that_works(request, _backends(request), _open)
    _log_choice(engine)
    return engine


def open_for_service(request: EngineRequest, gpu: bool = True) -> Offer:
    """
    Open an engine within seconds: a CPU runtime where a TensorRT engine has to be built first.

    Parameters
    ----------
    request:
        the requested engine.
    gpu:
        False takes a runtime on the CPU in place of one on a GPU, and ``auto`` in place of fp16.

    Raises
    ------
    ModelError, EngineError
        as `open_engine`; also where a backend was named and TensorRT or a GPU is missing.

    """
    if gpu:
        offer = first_that_works(request, _backends(request), _offer)
    else:
        offer = Offer(_on_cpu(request))
    _log_choice(offer.engine)
    return offer


def _log_choice(engine: Engine) -> None:
    _LOG.info('%s runs on %s in %s', engine.info.network, engine.backend, engine.precision)


def _backends(request: EngineRequest) -> tuple[str, ...]:
    if request.backend not in BACKENDS:
        raise EngineError(f'unknown backend {request.backend!r}; use one of {", ".join(BACKENDS)}')
    if request.precision not in PRECISIONS:
        raise PrecisionError(
            f'unknown precision {request.precision!r}; use one of {", ".join(PRECISIONS)}'
        )
    if Path(request.model).suffix == '.safetensors' and not request.backend.startswith('torch'):
        raise ModelError(
            f'{request.model}: only backend torch runs weights; make an ONNX for the other '
            f'backends: magadepth export-onnx {request.model}'
        )
    if _is_engine(request):
        return ('tensorrt',)
    return FASTEST_FIRST if request.backend == 'auto' else (request.backend,)


def _is_engine(request: EngineRequest) -> bool:
    return Path(request.model).suffix in ENGINE_SUFFIXES


def _on_cpu(request: EngineRequest) -> Engine:
    """Open a CPU runtime in place of a GPU's; it does not have fp16."""
    if _is_engine(request):
        raise EngineError(
            f'{request.model}: an engine runs on its GPU only; give the ONNX as model'
        )
    plain = replace(request, precision='fp32' if request.precision == 'fp32' else 'auto')
    return first_that_works(plain, ON_CPU, open_cpu)


def _offer(request: EngineRequest) -> Offer:
    """Open one backend; for TensorRT the cached engine, else a CPU runtime and a build."""
    if request.backend != 'tensorrt' or _is_engine(request):
        return Offer(_open(request))
    build_request = building.request_build(request.model, request.precision, request.batch)

    def build(progress: Callable[[str, float], None], cancelled: Callable[[], bool]) -> Engine:
        return building.run_engine(
            build_request, building.obtain_engine(build_request, progress, cancelled)
        )

    found, why = find_engine(build_request.model, build_request.key())
    if found is not None and building.is_verified(build_request, found):
        try:
            return Offer(building.run_engine(build_request, found))
        except EngineError as error:
            why = str(error)
    try:
        offer = Offer(_on_cpu(request), build)
    except EngineError as error:
        _LOG.info('%s: waiting for the build', error)
        return Offer(_open(request))
    _LOG.info('%s; a CPU runtime completes frames during the build', why)
    return offer


def _open(request: EngineRequest) -> Engine:
    """Open one backend; a TensorRT engine is built where there is none."""
    if request.backend in ON_CPU:
        return open_cpu(request)
    if request.backend == 'tensorrt':
        if _is_engine(request):
            return building.run_engine_file(Path(request.model), request.batch)
        build_request = building.request_build(request.model, request.precision, request.batch)
        file = building.obtain_engine(build_request, building.each_tenth(_LOG.info))
        return building.run_engine(build_request, file)
    from magadepth_ros.engines.torch import TorchEngine

    device = request.backend.partition('-')[2] or 'auto'
    return TorchEngine(request.model, request.precision, request.threads, request.batch, device)
