# SPDX-License-Identifier: Apache-2.0
"""
Run an engine on an NVIDIA GPU with TensorRT or TensorRT for RTX.

Each batch size has one execution context and one recorded CUDA graph: copy in, compute,
copy out, launched by a single call. (A graph is bound to the shapes that its context had at the
recording, so batch sizes share no context.)
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from magadepth_ros.engines.cache import EngineFile
from magadepth_ros.engines.cuda_driver import CudaDriver
from magadepth_ros.engines.engine import Engine, Prediction
from magadepth_ros.engines.metadata import INPUTS, OPTIONAL_OUTPUT, OUTPUT
from magadepth_ros.engines.tensorrt_library import TensorRtLibrary
from magadepth_ros.errors import EngineError

_LOG = logging.getLogger(__name__)


class _Plan(NamedTuple):
    """The prepared buffers and graph of a batch size; without a graph each frame is queued."""

    context: Any
    graph: Any


class TensorRtEngine(Engine):
    """
    A deserialised engine with its buffers.

    Parameters
    ----------
    file:
        from :func:`~magadepth_ros.engines.cache.find_engine` or a build.
    library:
        the runtime the engine was built with.
    cuda:
        the GPU's memory and stream.
    batch:
        batch size to be warmed up.

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
        self.info, self.backend, self.precision = file.info, library.name, file.key.precision
        self._library, self._cuda = library, cuda or CudaDriver()
        self._name = str(file.path or file.info.network)
        self._logger = library.logger()
        try:
            self._runtime: Any = library.module.Runtime(self._logger)
        except (RuntimeError, TypeError) as error:
            # pybind11 reports a constructor that returned null as a TypeError.
            raise self._failure('cannot start') from error
        self._engine: Any = self._runtime.deserialize_cuda_engine(file.data)
        if self._engine is None:
            raise self._failure('refuses it', '; build it again with `magadepth export-trt`')
        self._shapes = self._read_tensors()
        self._outputs = [name for name in (OUTPUT, OPTIONAL_OUTPUT) if name in self._shapes]
        fixed = int(self._engine.get_tensor_shape(INPUTS[0])[0])
        self._dynamic = fixed < 1
        self.largest_batch: int = fixed
        if self._dynamic:
            self.largest_batch = int(self._engine.get_tensor_profile_shape(INPUTS[0], 0)[2][0])
        self._plans: dict[int, _Plan] = {}
        self._device: dict[str, int] = {}
        self._host: dict[str, np.ndarray] = {}
        # Released in the reverse order: graphs, TensorRT's own objects, buffers, stream.
        self._held = ExitStack()
        self._stream = self._cuda.create_stream()
        self._held.callback(self._cuda.destroy_stream, self._stream)
        try:
            self._allocate()
            self._held.callback(self._let_go)
            self._plan(min(batch, self.largest_batch))
        except BaseException:
            self.close()
            raise

    def _release(self) -> None:
        self._held.callback(self._cuda.synchronise, self._stream)
        try:
            # After a sticky CUDA error every call fails; the ExitStack still tries each one.
            self._held.close()
        except Exception as error:
            _LOG.info('%s: closing: %s', self._name, error)

    def _let_go(self) -> None:
        # TensorRT frees a context, an engine and a runtime with the last reference to each, and
        # requires this order.
        self._plans.clear()
        self._engine = None
        self._runtime = None

    def _failure(self, what: str, remedy: str = '') -> EngineError:
        reason = self._logger.last_error or 'no reason was given'
        return EngineError(
            f'{self._name}: {self.backend} {what} on {self._cuda.name}: {reason} '
            f'(version {self._library.version}){remedy}'
        )

    def _read_tensors(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor, without the batch."""
        size = (self.info.height, self.info.width)
        known = {name: (1, *size) for name in (*INPUTS, OUTPUT, OPTIONAL_OUTPUT)}
        known[INPUTS[0]] = (3, *size)
        engine, trt, shapes = self._engine, self._library.module, {}
        for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
            shapes[name] = tuple(engine.get_tensor_shape(name))[1:]
            if shapes[name] != known.get(name):
                raise EngineError(
                    f'{self._name}: unexpected tensor {name} of (N, {shapes[name]}); expected '
                    f'{", ".join(known)} of {size[0]} x {size[1]}'
                )
            if engine.get_tensor_dtype(name) != trt.DataType.FLOAT:
                raise EngineError(f'{self._name}: tensor {name} is not float32')
        missing = {*INPUTS, OUTPUT} - shapes.keys()
        if missing:
            raise EngineError(f'{self._name}: it has no tensor {", ".join(sorted(missing))}')
        return shapes

    def _allocate(self) -> None:
        for name, shape in self._shapes.items():
            full = (self.largest_batch, *shape)
            self._device[name] = self._cuda.allocate(4 * int(np.prod(full)))
            self._held.callback(self._cuda.release, self._device[name])
            self._host[name] = self._cuda.allocate_pinned(full)
            self._held.callback(self._cuda.release_pinned, self._host[name])
            self._host[name].fill(0)

    def _run(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        count = len(rgb)
        # An engine with a fixed batch always computes all of it; surplus results are ignored.
        batch = count if self._dynamic else self.largest_batch
        plan = self._plan(batch)
        for name, array in zip(INPUTS, (rgb, depth)):
            np.copyto(self._host[name][:count], array)
        if plan.graph is not None:
            self._cuda.launch(plan.graph, self._stream)
        else:
            self._queue(plan.context, batch)
        self._cuda.synchronise(self._stream)
        found = {name: self._host[name][:count].copy() for name in self._outputs}
        return Prediction(found[OUTPUT], found.get(OPTIONAL_OUTPUT))

    def _queue(self, context: Any, batch: int) -> None:
        """Queue one batch's copies and computation on the stream."""
        for name in INPUTS:
            self._cuda.copy_to_device(self._device[name], self._host[name][:batch], self._stream)
        if not context.execute_async_v3(self._stream):
            raise self._failure('failed')
        for name in self._outputs:
            self._cuda.copy_to_host(self._host[name][:batch], self._device[name], self._stream)

    def _plan(self, batch: int) -> _Plan:
        if batch in self._plans:
            return self._plans[batch]
        context = self._create_context()
        if context is None:
            raise self._failure('has not enough memory to run it')
        for name in INPUTS:
            if self._dynamic and not context.set_input_shape(name, (batch, *self._shapes[name])):
                raise EngineError(f'{self._name}: it does not take a batch of {batch}')
        for name, address in self._device.items():
            context.set_tensor_address(name, address)
        # Run once before recording, as kernels are loaded or compiled at their first use.
        self._queue(context, batch)
        self._cuda.synchronise(self._stream)
        self._plans[batch] = plan = _Plan(context, self._record(context, batch))
        return plan

    def _record(self, context: Any, batch: int) -> Any:
        capturable = getattr(context, 'is_stream_capturable', None)
        if capturable is not None and not capturable(self._stream):
            _LOG.info('%s: cannot be recorded as a CUDA graph', self._name)
            return None
        try:
            graph = self._cuda.record(self._stream, lambda: self._queue(context, batch))
        except EngineError as error:
            _LOG.warning('%s: runs without a CUDA graph: %s', self._name, error)
            return None
        self._held.callback(self._cuda.destroy_graph, graph)
        return graph

    def _create_context(self) -> Any:
        if not self._library.portable:
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        # Otherwise a graph would record slow kernels while better ones are still compiled.
        strategy = getattr(self._library.module, 'DynamicShapesKernelSpecializationStrategy', None)
        if strategy is not None:
            config.dynamic_shapes_kernel_specialization_strategy = strategy.EAGER
        return self._engine.create_execution_context(config)
