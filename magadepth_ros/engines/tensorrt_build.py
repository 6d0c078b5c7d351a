# SPDX-License-Identifier: Apache-2.0
"""Builds an engine from an ONNX, with TensorRT (10.3 to 11.x) or TensorRT for RTX."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.tensorrt_library import TensorRtLibrary
from magadepth_ros.errors import EngineError
from magadepth_ros.files import write_atomically

_LOG = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
"""Called with what is being done and how much of it is done, 0..1."""


@dataclass(frozen=True)
class BuildOptions:
    """
    How an engine is built.

    Attributes
    ----------
    batch:
        largest batch; more than 1 needs an ONNX whose batch is dynamic.
    workspace:
        scratch memory on the GPU at most [bytes], 0 = TensorRT's own limit.
    timing_cache:
        file that carries measured kernel times from one build to the next, or None; not used
        by TensorRT for RTX, which measures none.
    compute_capabilities:
        GPUs a TensorRT for RTX engine is for, like ``('8.6', '8.9')``; empty = all from 8.0 on.

    """

    batch: int = 1
    workspace: int = 0
    timing_cache: Path | None = None
    compute_capabilities: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltEngine:
    """A serialized engine; ``precision_share`` is the share of layers per type of their result."""

    data: bytes
    layers: int
    seconds: float
    precision_share: dict[str, float] = field(default_factory=dict)


def build_engine(
    model: Path | str,
    library: TensorRtLibrary,
    options: BuildOptions | None = None,
    progress: Progress = lambda text, share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> BuiltEngine:
    """
    Build a strongly typed engine: it computes in the types that the ONNX states.

    Parameters
    ----------
    model:
        ONNX of a magadepth model, with float32 or float16 inside.
    library:
        from :func:`~magadepth_ros.engines.tensorrt_library.load_library`.
    options:
        see :class:`BuildOptions`.
    progress:
        told what is going on, from the calling thread.
    cancelled:
        asked now and then; the build stops once it is true.

    Raises
    ------
    ModelError
        the file is missing or no magadepth model.
    EngineError
        TensorRT cannot parse or build it, or it was cancelled.

    """
    options = options or BuildOptions()
    info = read_model_info(model)
    trt = library.module
    started = time.perf_counter()
    logger = library.logger()

    def refuse(what: str) -> EngineError:
        detail = logger.last_error or 'no reason was given'
        return EngineError(f'{model}: {library.name} {library.version} {what}: {detail}')

    try:
        builder = trt.Builder(logger)
    except (RuntimeError, TypeError):
        # pybind11 reports a constructor that returned null as a TypeError.
        raise refuse('cannot start a build; is there a GPU and a driver?') from None
    if builder is None:
        raise refuse('cannot start a build; is there a GPU and a driver?')
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    progress('parsing', 0.0)
    if not parser.parse(Path(model).read_bytes()):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise EngineError(
            f'{model}: {library.name} {library.version} cannot read it: '
            f'{"; ".join(errors) or logger.last_error}'
        )
    config = builder.create_builder_config()
    _set_batch(builder, config, network, info.height, info.width, options.batch, model)
    if options.workspace > 0:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    _set_targets(trt, config, library, options.compute_capabilities)
    # TensorRT for RTX measures nothing while it builds: it has no kernel times to keep.
    timing_cache = None if library.portable else options.timing_cache
    load_timing_cache(config, timing_cache)
    config.progress_monitor = _monitor(trt, progress, cancelled)
    try:
        data = builder.build_serialized_network(network, config)
    except RuntimeError as error:
        raise refuse(f'failed ({error})') from error
    if cancelled():
        raise EngineError(f'{model}: the build was cancelled')
    if data is None:
        raise refuse('built no engine')
    save_timing_cache(config, timing_cache)
    progress('built', 1.0)
    layers, share = _precision_share(network)
    return BuiltEngine(bytes(data), layers, time.perf_counter() - started, share)


def _network_flags(trt: Any) -> int:
    # Always there on 10.x, always implied from 11.x on, where the flag may be gone.
    flag = getattr(trt.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED', None)
    return 0 if flag is None else 1 << int(flag)


def _set_batch(
    builder: Any, config: Any, network: Any, height: int, width: int, batch: int, model: object
) -> None:
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    if all(tensor.shape[0] > 0 for tensor in inputs):
        if batch > 1:
            raise EngineError(
                f'{model}: its batch is fixed to {inputs[0].shape[0]}; use batch 1, or export it '
                'with a dynamic batch'
            )
        return
    profile = builder.create_optimization_profile()
    for tensor in inputs:
        size = (tensor.shape[1], height, width)
        profile.set_shape(tensor.name, (1, *size), (batch, *size), (batch, *size))
    config.add_optimization_profile(profile)


def _set_targets(trt: Any, config: Any, library: TensorRtLibrary, wanted: tuple[str, ...]) -> None:
    if not wanted:
        return
    if not library.portable:
        raise EngineError(
            'compute capabilities are a choice of tensorrt-rtx only; tensorrt builds for the GPU '
            'of this machine'
        )
    known = {
        f'{name[2:-1]}.{name[-1]}': value
        for name, value in trt.ComputeCapability.__members__.items()
        if name.startswith('SM')
    }
    for name in wanted:
        if name not in known:
            raise EngineError(
                f'compute capability {name!r} is not a target of {library.name} '
                f'{library.version}; use {", ".join(known)}'
            )
    config.num_compute_capabilities = len(wanted)
    for number, name in enumerate(wanted):
        config.set_compute_capability(known[name], number)


def load_timing_cache(config: Any, path: Path | None) -> None:
    """Give the builder the kernel times kept at ``path``, where there are any that fit."""
    if path is None:
        return
    try:
        known = path.read_bytes() if path.is_file() else b''
    except OSError as error:
        _LOG.warning('%s: the timing cache cannot be read: %s', path, error)
        known = b''
    cache = config.create_timing_cache(known)
    if cache is None and known:  # another version's: start afresh
        cache = config.create_timing_cache(b'')
    if cache is not None:
        config.set_timing_cache(cache, False)


def save_timing_cache(config: Any, path: Path | None) -> None:
    """Keep the builder's kernel times at ``path``; where that is impossible, say so."""
    cache = config.get_timing_cache() if path is not None else None
    if path is None or cache is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, bytes(cache.serialize()))
    except OSError as error:
        # Minutes of building must not be lost for it.
        _LOG.warning('%s: the timing cache cannot be written: %s', path, error)


def _monitor(trt: Any, progress: Progress, cancelled: Callable[[], bool]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        """Turns TensorRT's nested phases into one line of the outermost."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == next(iter(self.steps), None):
                progress(phase_name, min(1.0, (step + 1) / max(1, self.steps[phase_name])))
            return not cancelled()

    return Monitor()


def _precision_share(network: Any) -> tuple[int, dict[str, float]]:
    """Count the layers that compute numbers, and the share of each arithmetic among them."""
    names = {'FLOAT': 'fp32', 'HALF': 'fp16', 'BF16': 'bf16', 'INT8': 'int8', 'FP8': 'fp8'}
    counts: Counter[str] = Counter()
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        kind = layer.type.name
        if layer.num_outputs and kind not in ('CONSTANT', 'CAST', 'SHAPE', 'SHUFFLE', 'IDENTITY'):
            name = names.get(layer.get_output(0).dtype.name)
            if name:
                counts[name] += 1
    total = sum(counts.values())
    share = {name: round(count / total, 4) for name, count in sorted(counts.items())}
    return total, share
