# SPDX-License-Identifier: Apache-2.0
"""Builds an engine from an ONNX, with TensorRT (10.3 to 11.x) or TensorRT for RTX."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magadepth_ros.engines.tensorrt_library import TensorRtLibrary
from magadepth_ros.errors import EngineError

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
    compute_capabilities:
        GPUs a TensorRT for RTX engine is for, like ``('8.6', '8.9')``; empty = all from 8.0 on.

    """

    batch: int = 1
    workspace: int = 0
    compute_capabilities: tuple[str, ...] = ()


def build_engine(
    model: Path | str,
    library: TensorRtLibrary,
    options: BuildOptions,
    progress: Progress = lambda text, share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[bytes, dict[str, Any]]:
    """
    Build a strongly typed engine: it computes in the types that the ONNX states.

    Parameters
    ----------
    model:
        path of an ONNX with float32 or float16 inside.
    library:
        from :func:`~magadepth_ros.engines.tensorrt_library.load_library`.
    options:
        see :class:`BuildOptions`.
    progress:
        told what is going on, from the calling thread.
    cancelled:
        asked now and then; the build stops once it is true.

    Returns
    -------
    tuple
        the serialized engine, and a report: ``layers``, ``precision_share`` (of the layers, by the
        type of their result), ``size_bytes`` and ``build_seconds``.

    Raises
    ------
    EngineError
        TensorRT cannot parse or build it, or it was cancelled.

    """
    trt, logger, started = library.module, library.logger(), time.perf_counter()

    def refusal(what: str) -> EngineError:
        detail = logger.last_error or 'no reason was given'
        return EngineError(f'{model}: {library.name} {library.version} {what}: {detail}')

    try:
        builder = trt.Builder(logger)
    except (RuntimeError, TypeError):
        # pybind11 reports a constructor that returned null as a TypeError.
        raise refusal('cannot start a build; is there a GPU and a driver?') from None
    # Strongly typed: a flag on 10.x, always implied from 11.x on, where the flag may be gone.
    flag = getattr(trt.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED', None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(network, logger)
    progress('parsing', 0.0)
    if not parser.parse(Path(model).read_bytes()):
        raise refusal(f'cannot read it ({parser.get_error(0).desc()})')
    config = builder.create_builder_config()
    _set_batch(builder, config, network, options.batch, model)
    if options.workspace > 0:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    _set_targets(trt, config, library, options.compute_capabilities)
    config.progress_monitor = _monitor(trt, progress, cancelled)
    try:
        data = builder.build_serialized_network(network, config)
    except RuntimeError as error:
        raise refusal(f'failed ({error})') from error
    if cancelled():
        raise EngineError(f'{model}: the build was cancelled')
    if data is None:
        raise refusal('built no engine')
    progress('built', 1.0)
    layers, share = _precision_share(network)
    return bytes(data), {
        'layers': layers,
        'precision_share': share,
        'size_bytes': len(bytes(data)),
        'build_seconds': round(time.perf_counter() - started, 2),
    }


def _set_batch(builder: Any, config: Any, network: Any, batch: int, model: object) -> None:
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
        size = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, (1, *size), (batch, *size), (batch, *size))
    config.add_optimization_profile(profile)


def _set_targets(trt: Any, config: Any, library: TensorRtLibrary, wanted: tuple[str, ...]) -> None:
    if wanted and not library.portable:
        raise EngineError(
            'compute capabilities are a choice of tensorrt-rtx only; tensorrt builds for the GPU '
            'of this machine'
        )
    if not wanted:
        return
    known = {
        f'{name[2:-1]}.{name[-1]}': value
        for name, value in trt.ComputeCapability.__members__.items()
        if name.startswith('SM')
    }
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise EngineError(
            f'compute capability {unknown[0]!r} is not a target of {library.name} '
            f'{library.version}; use {", ".join(known)}'
        )
    config.num_compute_capabilities = len(wanted)
    for number, name in enumerate(wanted):
        config.set_compute_capability(known[name], number)


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
    return total, {name: round(count / total, 4) for name, count in sorted(counts.items())}
