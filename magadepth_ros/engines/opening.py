# SPDX-License-Identifier: Apache-2.0
"""Opens a model on the runtime that was asked for, or on the best one that works here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from magadepth_ros.engines.engine import Engine
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import EngineError, ModelError, describe

_LOG = logging.getLogger(__name__)

BACKENDS = ('auto', 'openvino', 'tensorrt', 'torch', 'torch-cuda', 'torch-cpu')
FASTEST_FIRST = ('tensorrt', 'torch-cuda', 'openvino')
"""The order in which ``auto`` tries them."""
ON_CPU = ('openvino',)
"""What stands in for a backend on a GPU; any processor has them."""
ON_GPU = ('tensorrt', 'tensorrt-rtx', 'torch-cuda')
"""Values of ``Engine.backend``."""
ENGINE_SUFFIXES = ('.engine', '.plan')

Build = Callable[[Callable[[str, float], None], Callable[[], bool]], Engine]
"""Makes an engine in minutes; given ``progress(text, share)`` and ``cancelled()``."""


@dataclass(frozen=True)
class EngineWish:
    """
    Which engine is wanted.

    Attributes
    ----------
    model:
        path of an ONNX with the metadata of a magadepth model, or of an engine that
        ``magadepth export-trt`` wrote (with its JSON beside it).
    backend:
        one of `BACKENDS`; ``torch`` is the better of the two, ``auto`` the first of
        `FASTEST_FIRST` that is installed and works: the log says why.
    precision:
        arithmetic inside the network: ``fp32``, ``bf16``, ``fp16``, ``int8`` (as far as the
        runtime has it) or ``auto``: the lowest that the model's metadata calls safe.
    threads:
        CPU threads, 0 = all cores.
    batch:
        frames the engine is first prepared for; others are accepted and cost a preparation.

    """

    model: Path | str
    backend: str = 'auto'
    precision: str = 'auto'
    threads: int = 0
    batch: int = 1


@dataclass(frozen=True)
class Offer:
    """An engine that serves now, and ``build``, which makes the one that was asked for."""

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
    return _first_that_works(wish, _candidates(wish), lambda one: Offer(_open(one))).engine


def open_for_service(wish: EngineWish, gpu: bool = True) -> Offer:
    """
    Open what can serve within seconds; a TensorRT engine that is not in the cache can not.

    Parameters
    ----------
    wish:
        what is wanted.
    gpu:
        False takes a runtime on the CPU, whatever the wish says, in its own best precision.

    Raises
    ------
    ModelError, EngineError
        as `open_engine`; where TensorRT or a GPU is missing that was asked for by name, too.

    """
    names = _candidates(wish)
    if not gpu:
        return Offer(_open_on_cpu(wish))
    return _first_that_works(wish, names, _offer)


def _candidates(wish: EngineWish) -> tuple[str, ...]:
    """Return the backends to try, in order; ModelError where the file is the trouble."""
    if wish.backend not in BACKENDS:
        raise EngineError(f'unknown backend {wish.backend!r}; use one of {", ".join(BACKENDS)}')
    suffix = Path(wish.model).suffix
    if suffix in ENGINE_SUFFIXES:
        return ('tensorrt',)
    if suffix != '.safetensors':
        read_model_info(wish.model)  # a broken file is the model's fault, not each runtime's
    return FASTEST_FIRST if wish.backend == 'auto' else (wish.backend,)


def _first_that_works(
    wish: EngineWish, backends: tuple[str, ...], attempt: Callable[[EngineWish], Offer]
) -> Offer:
    reasons = []
    for backend in backends:
        try:
            offer = attempt(replace(wish, backend=backend))
        except Exception as error:
            if len(backends) == 1:
                raise
            # Whatever a driver or a half-installed library raises, the next one is tried.
            reason = describe(error)
            _LOG.info('backend %s is not used: %s', backend, reason)
            reasons.append(f'{backend}: {reason}')
            continue
        if len(backends) > 1:
            _LOG.info('backend auto: %s in %s', offer.engine.backend, offer.engine.precision)
        return offer
    raise EngineError(f'{wish.model}: no runtime works; ' + '; '.join(reasons))


def _open_on_cpu(wish: EngineWish) -> Engine:
    """Open what stands in for a GPU; what the GPU's precision was means nothing here."""
    if Path(wish.model).suffix in ENGINE_SUFFIXES:
        raise EngineError(f'{wish.model}: an engine runs on its GPU only; give the ONNX as model')
    plain = replace(wish, precision='auto')
    return _first_that_works(plain, ON_CPU, lambda one: Offer(_open(one))).engine


def _offer(wish: EngineWish) -> Offer:
    """Open one backend for service: for TensorRT the cached engine, or the CPU and a build."""
    if wish.backend != 'tensorrt' or Path(wish.model).suffix in ENGINE_SUFFIXES:
        return Offer(_open(wish))
    from magadepth_ros.engines import building
    from magadepth_ros.engines.cache import EngineFile, find_engine
    from magadepth_ros.engines.request import request_engine
    from magadepth_ros.engines.tensorrt import TensorRtEngine

    request = request_engine(wish.model, wish.precision, wish.batch)

    def run(file: EngineFile) -> Engine:
        return TensorRtEngine(file, request.library, request.cuda, wish.batch)

    def build(progress: Callable[[str, float], None], cancelled: Callable[[], bool]) -> Engine:
        return run(building.obtain_engine(request, progress, cancelled))

    found, why = find_engine(request.model, request.key())
    if found is not None and building.is_verified(request, found):
        try:
            return Offer(run(found))
        except EngineError as error:
            why = str(error)
    try:
        offer = Offer(_open_on_cpu(wish), build)
    except EngineError as error:
        _LOG.info('%s: the build is waited for', error)
        return Offer(build(building.log_progress, lambda: False))
    _LOG.info('%s; the CPU serves while it is built', why)
    return offer


def _open(wish: EngineWish) -> Engine:
    """Open one backend; a TensorRT engine is built where there is none."""
    model, precision, threads, batch = wish.model, wish.precision, wish.threads, wish.batch
    if Path(model).suffix in ENGINE_SUFFIXES:
        return _open_engine_file(Path(model), batch)
    if wish.backend == 'openvino':
        from magadepth_ros.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(model, precision, threads, batch)
    if wish.backend == 'tensorrt':
        from magadepth_ros.engines import building
        from magadepth_ros.engines.request import request_engine
        from magadepth_ros.engines.tensorrt import TensorRtEngine

        request = request_engine(model, precision, batch)
        file = building.obtain_engine(request, building.log_progress)
        return TensorRtEngine(file, request.library, request.cuda, batch)
    from magadepth_ros.engines.torch import TorchEngine

    device = wish.backend.partition('-')[2] or 'auto'
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
