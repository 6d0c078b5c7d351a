# SPDX-License-Identifier: Apache-2.0
"""The CUDA calls of the TensorRT engine, by cuda-python; no other file calls CUDA."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from magadepth_ros.errors import EngineError


class CudaDriver:
    """
    The first GPU: memory, a stream, and graphs recorded from it.

    Device pointers, streams and graphs are plain integers or opaque handles. Each method raises
    EngineError where CUDA refuses.

    Raises
    ------
    EngineError
        cuda-python is not installed, or there is no GPU or driver.

    """

    def __init__(self) -> None:
        self._rt = _import()
        try:
            self._call('cudaGetDeviceCount')
        except EngineError as error:
            raise EngineError(f'no CUDA GPU can be used: {error}') from None
        self._call('cudaSetDevice', 0)
        found = self._call('cudaGetDeviceProperties', 0)
        self.name = found.name.decode().rstrip('\0')
        self.compute_capability = f'{found.major}.{found.minor}'

    def allocate(self, size: int) -> int:
        """Return the address of ``size`` bytes on the GPU."""
        return int(self._call('cudaMalloc', size))

    def release(self, address: int) -> None:
        """Free memory on the GPU."""
        self._call('cudaFree', address)

    def allocate_pinned(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return a float32 array in page-locked memory, which the GPU reads and writes itself."""
        count = int(np.prod(shape))
        address = int(self._call('cudaHostAlloc', 4 * count, self._rt.cudaHostAllocDefault))
        array = np.ctypeslib.as_array((ctypes.c_float * count).from_address(address))
        return array.reshape(shape)

    def release_pinned(self, array: np.ndarray) -> None:
        """Free page-locked memory; the array and its views must not be used again."""
        self._call('cudaFreeHost', array.ctypes.data)

    def create_stream(self) -> int:
        """Return a stream."""
        return int(self._call('cudaStreamCreate'))

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream."""
        self._call('cudaStreamDestroy', stream)

    def synchronise(self, stream: int) -> None:
        """Wait until all work of the stream is done."""
        self._call('cudaStreamSynchronize', stream)

    def copy_to_device(self, target: int, source: np.ndarray, stream: int) -> None:
        """Queue a copy from page-locked memory to the GPU."""
        kind = self._rt.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call('cudaMemcpyAsync', target, source.ctypes.data, source.nbytes, kind, stream)

    def copy_to_host(self, target: np.ndarray, source: int, stream: int) -> None:
        """Queue a copy from the GPU to page-locked memory."""
        kind = self._rt.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call('cudaMemcpyAsync', target.ctypes.data, source, target.nbytes, kind, stream)

    def record(self, stream: int, work: Callable[[], None]) -> Any:
        """Record the work that ``work`` queues on ``stream`` as a graph, launched in one call."""
        mode = self._rt.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call('cudaStreamBeginCapture', stream, mode)
        try:
            work()
        except BaseException:
            # End the capture, so that the stream can be used again.
            self._rt.cudaStreamEndCapture(stream)
            self._rt.cudaGetLastError()
            raise
        graph = self._call('cudaStreamEndCapture', stream)
        try:
            return self._call('cudaGraphInstantiate', graph, 0)
        finally:
            self._call('cudaGraphDestroy', graph)

    def launch(self, graph: Any, stream: int) -> None:
        """Queue a recorded graph."""
        self._call('cudaGraphLaunch', graph, stream)

    def destroy_graph(self, graph: Any) -> None:
        """Destroy a recorded graph."""
        self._call('cudaGraphExecDestroy', graph)

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *results = getattr(self._rt, name)(*arguments)
        if int(error) != 0:
            _, text = self._rt.cudaGetErrorString(error)
            self._rt.cudaGetLastError()
            detail = text.decode() if isinstance(text, bytes) else str(text)
            raise EngineError(f'{name}: {detail} (CUDA error {int(error)})')
        return results[0] if results else None


def _import() -> Any:
    try:
        try:
            from cuda.bindings import runtime
        except ImportError:
            # Before 12.6.1, as on the first JetPack 6.
            from cuda import cudart as runtime
    except ImportError as error:
        raise EngineError(
            f'the TensorRT engine needs cuda-python ({error}); pip install the cuda-python '
            'whose major version is that of your CUDA, like "cuda-python<13"'
        ) from error
    return runtime
