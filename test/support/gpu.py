# SPDX-License-Identifier: Apache-2.0
"""A GPU and a TensorRT made of host memory: they do what they are told, late and in order."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from magadepth_ros.engines.tensorrt_library import TensorRtLibrary
from magadepth_ros.errors import EngineError


def call_of_cuda(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a call fail, and be noted, after an error that sticks."""

    @functools.wraps(method)
    def call(cuda: HostCuda, *given: Any) -> Any:
        if cuda.stuck:
            cuda.refused.add(method.__name__)
            raise EngineError(f'{method.__name__}: an illegal memory access was encountered (700)')
        return method(cuda, *given)

    return call


class HostCuda:
    """Stands for CudaDriver: work queued on a stream runs when the stream is synchronised."""

    name = 'Host GPU'
    compute_capability = '8.7'

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.pinned: dict[int, np.ndarray] = {}
        self.queues: dict[int, list[Callable[[], None]]] = {}
        self.recording: list[Callable[[], None]] | None = None
        self.graphs: list[list[Callable[[], None]]] = []
        self.launches = 0
        self.refuse_recording = False
        self.stuck = False
        self.refused: set[str] = set()

    def stick(self) -> None:
        """Have every call fail from now on, as after an illegal access to memory."""
        self.stuck = True

    @property
    def held(self) -> int:
        return len(self.memory) + len(self.pinned) + len(self.queues) + len(self.graphs)

    def queue(self, stream: int, work: Callable[[], None]) -> None:
        (self.queues[stream] if self.recording is None else self.recording).append(work)

    def view(self, address: int, shape: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(shape))
        assert ctypes.sizeof(self.memory[address]) >= 4 * count, 'past the end of a buffer'
        array = np.ctypeslib.as_array((ctypes.c_float * count).from_buffer(self.memory[address]))
        return array.reshape(shape)

    @call_of_cuda
    def allocate(self, size: int) -> int:
        buffer = (ctypes.c_char * size)()
        self.memory[ctypes.addressof(buffer)] = buffer
        return ctypes.addressof(buffer)

    @call_of_cuda
    def release(self, address: int) -> None:
        del self.memory[address]

    @call_of_cuda
    def allocate_pinned(self, shape: tuple[int, ...]) -> np.ndarray:
        array = np.full(shape, np.nan, np.float32)
        self.pinned[array.ctypes.data] = array
        return array

    @call_of_cuda
    def release_pinned(self, array: np.ndarray) -> None:
        del self.pinned[array.ctypes.data]

    @call_of_cuda
    def create_stream(self) -> int:
        self.queues[77] = []
        return 77

    @call_of_cuda
    def destroy_stream(self, stream: int) -> None:
        del self.queues[stream]

    @call_of_cuda
    def synchronise(self, stream: int) -> None:
        assert self.recording is None, 'a stream that is recorded cannot be waited for'
        work, self.queues[stream] = self.queues[stream], []
        for item in work:
            item()

    @call_of_cuda
    def copy_to_device(self, target: int, source: np.ndarray, stream: int) -> None:
        self.queue(stream, lambda: np.copyto(self.view(target, source.shape), source))

    @call_of_cuda
    def copy_to_host(self, target: np.ndarray, source: int, stream: int) -> None:
        self.queue(stream, lambda: np.copyto(target, self.view(source, target.shape)))

    @call_of_cuda
    def record(self, stream: int, work: Callable[[], None]) -> Any:
        if self.refuse_recording:
            raise EngineError('operation not permitted when stream is capturing')
        self.recording = []
        try:
            work()
            graph = self.recording
        finally:
            self.recording = None
        self.graphs.append(graph)
        return graph

    @call_of_cuda
    def launch(self, graph: Any, stream: int) -> None:
        self.launches += 1
        self.queues[stream].extend(graph)

    @call_of_cuda
    def destroy_graph(self, graph: Any) -> None:
        self.graphs.remove(graph)


class HostTensorRt:
    """Stands for the tensorrt module; a serialized engine is an ONNX, ONNX Runtime computes."""

    DataType = SimpleNamespace(FLOAT='float')

    def __init__(self, cuda: HostCuda, largest_batch: int = 4) -> None:
        self.cuda = cuda
        self.largest_batch = largest_batch
        self.fail = False

    def Runtime(self, logger: Any) -> Any:
        return SimpleNamespace(deserialize_cuda_engine=lambda data: self._engine(logger, data))

    def _engine(self, logger: Any, data: bytes) -> Any:
        try:
            return _HostEngine(self, onnxruntime.InferenceSession(data))
        except Exception as error:
            logger.last_error = f'deserialization failed: {type(error).__name__}'
            return None

    def library(self) -> TensorRtLibrary:
        module: Any = self
        owner = SimpleNamespace(last_error='')

        class Library(TensorRtLibrary):
            def logger(self) -> Any:
                return owner

        return Library('tensorrt', '10.3.0', module)


class _HostEngine:
    def __init__(self, trt: HostTensorRt, session: Any) -> None:
        self.trt, self.session = trt, session
        self.tensors = {t.name: t for t in (*session.get_inputs(), *session.get_outputs())}
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(d if isinstance(d, int) else -1 for d in self.tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> str:
        return 'float' if self.tensors[name].type == 'tensor(float)' else 'half'

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        rest = self.get_tensor_shape(name)[1:]
        return [(1, *rest), (1, *rest), (self.trt.largest_batch, *rest)]

    def create_execution_context(self) -> _HostContext:
        return _HostContext(self)


class _HostContext:
    def __init__(self, engine: _HostEngine) -> None:
        self.engine = engine
        self.shapes = {name: engine.get_tensor_shape(name) for name in engine.tensors}
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return shape[0] <= self.engine.trt.largest_batch

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if self.engine.trt.fail:
            return False
        self.engine.trt.cuda.queue(stream, self._compute)
        return True

    def _compute(self) -> None:
        cuda, session = self.engine.trt.cuda, self.engine.session
        inputs = {
            tensor.name: cuda.view(self.addresses[tensor.name], self.shapes[tensor.name])
            for tensor in session.get_inputs()
        }
        names = [tensor.name for tensor in session.get_outputs()]
        for name, array in zip(names, session.run(names, inputs)):
            np.copyto(cuda.view(self.addresses[name], array.shape), array)
