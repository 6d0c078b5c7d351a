# SPDX-License-Identifier: Apache-2.0
"""
Runs an engine on an NVIDIA GPU with TensorRT or TensorRT for RTX.

Per batch size there is one execution context and one recorded CUDA graph: copy in, compute,
copy out, launched by a single call. (A graph belongs to the shapes its context had when it was
recorded, so contexts are not shared between batch sizes.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from magadepth_ros.engines.arrays import as_inputs, in_parts
from magadepth_ros.engines.cache import EngineFile
from magadepth_ros.engines.cuda_driver import CudaDriver
from magadepth_ros.engines.engine import Prediction
from magadepth_ros.engines.metadata import INPUTS, OPTIONAL_OUTPUT, OUTPUT
from magadepth_ros.engines.tensorrt_library import TensorRtLibrary
from magadepth_ros.errors import EngineError

_LOG = logging.getLogger(__name__)


@dataclass
class _Plan:
    """What is prepared for one batch size."""

    context: Any
    graph: Any = None


class TensorRtEngine:
    """
    A deserialised engine with its buffers; used from one thread at a time.

    Parameters
    ----------
    file:
        from :func:`~magadepth_ros.engines.cache.find_engine` or a build.
    library:
        the runtime the engine was built with.
    cuda:
        the GPU's memory and stream.
    batch:
        batch size to be warmed up; more frames than the engine takes run in several goes.

    Raises
    ------
    EngineError
        the engine does not fit this runtime or GPU, or its tensors are not a magadepth model's.

    """

    def __init__(
        self,
        file: EngineFile,
        library: TensorRtLibrary,
        cuda: CudaDriver | None = None,
        batch: int = 1,
    ) -> None:
        self.info = file.info
        self.backend = library.name
        self.precision = file.key.precision
        self._library = library
        self._cuda = cuda or CudaDriver()
        self._name = str(file.path or file.info.network)
        self._logger = library.logger()
        try:
            self._runtime: Any = library.module.Runtime(self._logger)
        except (RuntimeError, TypeError) as error:
            # pybind11 reports a constructor that returned null as a TypeError.
            raise EngineError(
                f'{library.name} {library.version} cannot start on {self._cuda.name}: '
                f'{self._logger.last_error or error}'
            ) from error
        self._engine: Any = self._runtime.deserialize_cuda_engine(file.data)
        if self._engine is None:
            raise EngineError(
                f'{self._name}: {library.name} {library.version} refuses it on {self._cuda.name}: '
                f'{self._logger.last_error or "no reason was given"}; '
                'build it again with `magadepth export-trt`'
            )
        self._shapes = self._read_tensors()
        self._largest = self._largest_batch()
        self._plans: dict[int, _Plan] = {}
        self._device: dict[str, int] = {}
        self._host: dict[str, np.ndarray] = {}
        self._stream: int | None = None
        try:
            self._allocate()
            self._plan(min(batch, self._largest))
        except BaseException:
            self.close()
            raise

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        """Run the network; see :class:`magadepth_ros.engines.engine.Engine`."""
        if self._engine is None:
            raise EngineError(f'{self._name}: this engine is closed; open it again')
        rgb, depth = as_inputs(self.info, rgb, depth)
        return in_parts(self._run, rgb, depth, self._largest)

    def recorded(self, batch: int) -> bool:
        """Whether this batch size runs as a recorded CUDA graph."""
        return batch in self._plans and self._plans[batch].graph is not None

    def close(self) -> None:
        """
        Release all memory on the GPU; may be called twice.

        After an error that sticks every call fails: each step is tried all the same.
        """
        cuda, stream, self._stream = self._cuda, self._stream, None
        steps: list[Callable[[], None]] = []
        if stream is not None:
            steps.append(lambda: cuda.synchronise(stream))
        steps += [
            partial(cuda.destroy_graph, p.graph)
            for p in self._plans.values()
            if p.graph is not None
        ]
        steps.append(self._let_go)
        steps += [partial(cuda.release, address) for address in self._device.values()]
        steps += [partial(cuda.release_pinned, array) for array in self._host.values()]
        if stream is not None:
            steps.append(lambda: cuda.destroy_stream(stream))
        self._device, self._host = {}, {}
        for step in steps:
            try:
                step()
            except Exception as error:
                _LOG.info('%s: closing: %s', self._name, error)

    def _let_go(self) -> None:
        # TensorRT frees a context, an engine and a runtime with the last reference to them,
        # and wants them freed in this order.
        self._plans.clear()
        self._engine = None
        self._runtime = None

    def _read_tensors(self) -> dict[str, tuple[int, ...]]:
        engine, trt = self._engine, self._library.module
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        shapes: dict[str, tuple[int, ...]] = {}
        size = (self.info.height, self.info.width)
        for name in names:
            known = (*INPUTS, OUTPUT, OPTIONAL_OUTPUT)
            shape = tuple(engine.get_tensor_shape(name))
            channels = 3 if name == INPUTS[0] else 1
            if name not in known or shape[1:] != (channels, *size):
                raise EngineError(
                    f'{self._name}: unexpected tensor {name} {shape}; expected {", ".join(known)} '
                    f'of (N, {channels}, {size[0]}, {size[1]})'
                )
            if engine.get_tensor_dtype(name) != trt.DataType.FLOAT:
                raise EngineError(f'{self._name}: tensor {name} is not float32')
            shapes[name] = (channels, *size)
        missing = {*INPUTS, OUTPUT} - set(names)
        if missing:
            raise EngineError(f'{self._name}: it has no tensor {", ".join(sorted(missing))}')
        self._outputs = [name for name in (OUTPUT, OPTIONAL_OUTPUT) if name in shapes]
        return shapes

    def _largest_batch(self) -> int:
        fixed = int(self._engine.get_tensor_shape(INPUTS[0])[0])
        self._dynamic = fixed < 1
        if not self._dynamic:
            return fixed
        return int(self._engine.get_tensor_profile_shape(INPUTS[0], 0)[2][0])

    def _allocate(self) -> None:
        self._stream = self._cuda.create_stream()
        for name, shape in self._shapes.items():
            full = (self._largest, *shape)
            self._device[name] = self._cuda.allocate(4 * int(np.prod(full)))
            self._host[name] = self._cuda.allocate_pinned(full)
            self._host[name].fill(0)

    def _run(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        count = rgb.shape[0]
        # An engine with a fixed batch always runs in full; the rest of its buffers is ignored.
        batch = count if self._dynamic else self._largest
        plan = self._plan(batch)
        assert self._stream is not None
        np.copyto(self._host['rgb'][:count], rgb)
        np.copyto(self._host['depth'][:count], depth)
        if plan.graph is not None:
            self._cuda.launch(plan.graph, self._stream)
        else:
            self._queue(plan.context, batch)
        self._cuda.synchronise(self._stream)
        found = {name: self._host[name][:count].copy() for name in self._outputs}
        return Prediction(found[OUTPUT], found.get(OPTIONAL_OUTPUT))

    def _queue(self, context: Any, batch: int) -> None:
        """Queue one frame's copies and computation on the stream."""
        assert self._stream is not None
        for name in INPUTS:
            self._cuda.copy_to_device(self._device[name], self._host[name][:batch], self._stream)
        if not context.execute_async_v3(self._stream):
            raise EngineError(
                f'{self._name}: {self.backend} failed: {self._logger.last_error or "no reason"}'
            )
        for name in self._outputs:
            self._cuda.copy_to_host(self._host[name][:batch], self._device[name], self._stream)

    def _plan(self, batch: int) -> _Plan:
        if batch in self._plans:
            return self._plans[batch]
        context = self._create_context()
        if context is None:
            raise EngineError(
                f'{self._name}: not enough memory on {self._cuda.name} to run it: '
                f'{self._logger.last_error or "no reason was given"}'
            )
        for name in INPUTS:
            if self._dynamic and not context.set_input_shape(name, (batch, *self._shapes[name])):
                raise EngineError(f'{self._name}: it does not take a batch of {batch}')
        for name, address in self._device.items():
            context.set_tensor_address(name, address)
        plan = _Plan(context)
        self._plans[batch] = plan
        # Once in full before recording: kernels are loaded, or compiled, on first use.
        self._queue(context, batch)
        assert self._stream is not None
        self._cuda.synchronise(self._stream)
        plan.graph = self._record(context, batch)
        return plan

    def _record(self, context: Any, batch: int) -> Any:
        capturable = getattr(context, 'is_stream_capturable', None)
        if capturable is not None and not capturable(self._stream):
            _LOG.info('%s: cannot be recorded as a CUDA graph', self._name)
            return None
        assert self._stream is not None
        try:
            return self._cuda.record(self._stream, lambda: self._queue(context, batch))
        except EngineError as error:
            _LOG.warning('%s: runs without a CUDA graph: %s', self._name, error)
            return None

    def _create_context(self) -> Any:
        if not self._library.portable:
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        # Otherwise slow kernels would be recorded while good ones are still being compiled.
        strategy = getattr(self._library.module, 'DynamicShapesKernelSpecializationStrategy', None)
        if strategy is not None:
            config.dynamic_shapes_kernel_specialization_strategy = strategy.EAGER
        return self._engine.create_execution_context(config)
