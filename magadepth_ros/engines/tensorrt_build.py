# SPDX-License-Identifier: Apache-2.0
"""Build an engine from an ONNX, with TensorRT (10.3 to 11.x) or TensorRT for RTX."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from magadepth_ros.engines.build_request import BuildRequest
from magadepth_ros.engines.tensorrt_library import TensorRtLibrary
from magadepth_ros.errors import EngineError

Progress = Callable[[str, float], None]
"""Called with the name of a stage and the share of it that is done, 0..1."""


def build_engine(
    model: Path,
    request: BuildRequest,
    progress: Progress = lambda text, share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[bytes, dict[str, Any]]:
    """
    Build a strongly typed engine of ``model``, which computes in the types of this ONNX.

    ``progress`` is called from this thread. ``cancelled`` is called periodically; the build stops
    once it returns True.

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
    library, started = request.library, time.perf_counter()
    trt, logger = library.module, library.logger()

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
    if not parser.parse(model.read_bytes()):
        raise refusal(f'cannot read it ({parser.get_error(0).desc()})')
    config = builder.create_builder_config()
    _set_batch(builder, config, network, request.batch, model)
    if request.workspace > 0:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace)
    if request.compute_capabilities:
        _set_targets(config, library, request.compute_capabilities)
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
    engine = bytes(data)
    return engine, {
        **_precision_share(network),
        'size_bytes': len(engine),
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


def _set_targets(config: Any, library: TensorRtLibrary, wanted: tuple[str, ...]) -> None:
    if not library.portable:
        raise EngineError(
            'compute capabilities are a choice of tensorrt-rtx only; tensorrt builds for the GPU '
            'of this machine'
        )
    known = {
        f'{name[2:-1]}.{name[-1]}': value
        for name, value in library.module.ComputeCapability.__members__.items()
        if name.startswith('SM')
    }
    config.num_compute_capabilities = len(wanted)
    for number, name in enumerate(wanted):
        if name not in known:
            raise EngineError(
                f'compute capability {name!r} is not a target of {library.name} '
                f'{library.version}; use {", ".join(known)}'
            )
        config.set_compute_capability(known[name], number)


def _monitor(trt: Any, progress: Progress, cancelled: Callable[[], bool]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        """Turns TensorRT's nested phases into the progress of the outermost phase."""

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


def _precision_share(network: Any) -> dict[str, Any]:
    """Return the number of layers that compute numbers, and the share of each precision."""
    names = {'FLOAT': 'fp32', 'HALF': 'fp16', 'BF16': 'bf16', 'INT8': 'int8', 'FP8': 'fp8'}
    counts: Counter[str] = Counter()
    for layer in map(network.get_layer, range(network.num_layers)):
        kind = layer.type.name
        if layer.num_outputs and kind not in ('CONSTANT', 'CAST', 'SHAPE', 'SHUFFLE', 'IDENTITY'):
            counts[names.get(layer.get_output(0).dtype.name, '')] += 1
    del counts['']
    total = sum(counts.values())
    share = {name: round(count / total, 4) for name, count in sorted(counts.items())}
    return {'layers': total, 'precision_share': share}
