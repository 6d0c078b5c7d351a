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
from magadepth_ros.engines.runtimes import ON_CPU, EngineWish, first_that_works, open_cpu
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

    The arguments are those of `EngineWish`.

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        the runtime is not installed or cannot run the model.

    """
    wish = EngineWish(Path(model), backend, precision, threads, batch)
    return first_that_works(wish, _backends(wish), _open)


def open_for_service(wish: EngineWish, gpu: bool = True) -> Offer:
    """
    Open an engine within seconds: a CPU runtime where a TensorRT engine has to be built first.

    Parameters
    ----------
    wish:
        the requested engine.
    gpu:
        False takes a runtime on the CPU in place of one on a GPU, and ``auto`` in place of fp16.

    Raises
    ------
    ModelError, EngineError
        as `open_engine`; also where a backend was named and TensorRT or a GPU is missing.

    """
    return first_that_works(wish, _backends(wish), _offer) if gpu else Offer(_on_cpu(wish))


def _backends(wish: EngineWish) -> tuple[str, ...]:
    if wish.backend not in BACKENDS:
        raise EngineError(f'unknown backend {wish.backend!r}; use one of {", ".join(BACKENDS)}')
    if wish.precision not in PRECISIONS:
        raise PrecisionError(
            f'unknown precision {wish.precision!r}; use one of {", ".join(PRECISIONS)}'
        )
    if Path(wish.model).suffix == '.safetensors' and not wish.backend.startswith('torch'):
        raise ModelError(
            f'{wish.model}: weights, which only backend torch runs; make the ONNX for the others: '
            f'magadepth export-onnx {wish.model}'
        )
    if _is_engine(wish):
        return ('tensorrt',)
    return FASTEST_FIRST if wish.backend == 'auto' else (wish.backend,)


def _is_engine(wish: EngineWish) -> bool:
    return Path(wish.model).suffix in ENGINE_SUFFIXES


def _on_cpu(wish: EngineWish) -> Engine:
    """Open a CPU runtime in place of a GPU's; it does not have fp16."""
    if _is_engine(wish):
        raise EngineError(f'{wish.model}: an engine runs on its GPU only; give the ONNX as model')
    plain = replace(wish, precision='fp32' if wish.precision == 'fp32' else 'auto')
    return first_that_works(plain, ON_CPU, open_cpu)


def _offer(wish: EngineWish) -> Offer:
    """Open one backend; for TensorRT the cached engine, else a CPU runtime and a build."""
    if wish.backend != 'tensorrt' or _is_engine(wish):
        return Offer(_open(wish))
    request = building.request_engine(wish.model, wish.precision, wish.batch)

    def build(progress: Callable[[str, float], None], cancelled: Callable[[], bool]) -> Engine:
        return building.run_engine(request, building.obtain_engine(request, progress, cancelled))

    found, why = find_engine(request.model, request.key())
    if found is not None and building.is_verified(request, found):
        try:
            return Offer(building.run_engine(request, found))
        except EngineError as error:
            why = str(error)
    try:
        offer = Offer(_on_cpu(wish), build)
    except EngineError as error:
        _LOG.info('%s: waiting for the build', error)
        return Offer(_open(wish))
    _LOG.info('%s; a CPU runtime completes frames during the build', why)
    return offer


def _open(wish: EngineWish) -> Engine:
    """Open one backend; a TensorRT engine is built where there is none."""
    if wish.backend in ON_CPU:
        return open_cpu(wish)
    if wish.backend == 'tensorrt':
        if _is_engine(wish):
            return building.run_engine_file(Path(wish.model), wish.batch)
        request = building.request_engine(wish.model, wish.precision, wish.batch)
        file = building.obtain_engine(request, building.each_tenth(_LOG.info))
        return building.run_engine(request, file)
    from magadepth_ros.engines.torch import TorchEngine

    device = wish.backend.partition('-')[2] or 'auto'
    return TorchEngine(wish.model, wish.precision, wish.threads, wish.batch, device)
