# SPDX-License-Identifier: Apache-2.0
"""Tests of the CUDA calls: on a GPU they move data, without one they say what is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from magadepth_ros.engines.cuda_driver import CudaDriver
from magadepth_ros.errors import EngineError


def driver() -> CudaDriver:
    try:
        return CudaDriver()
    except EngineError as error:
        pytest.skip(str(error))


def test_without_cuda_python_the_remedy_is_named(monkeypatch):
    for name in ('cuda', 'cuda.bindings', 'cuda.bindings.runtime'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match='pip install the cuda-python'):
        CudaDriver()


def test_every_call_exists_in_cuda_python():
    runtime = pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')
    for name in (
        'cudaFree', 'cudaFreeHost', 'cudaGetDeviceCount', 'cudaGetDeviceProperties',
        'cudaGetErrorString', 'cudaGetLastError', 'cudaGraphDestroy', 'cudaGraphExecDestroy',
        'cudaGraphInstantiate', 'cudaGraphLaunch', 'cudaHostAlloc', 'cudaHostAllocDefault',
        'cudaMalloc', 'cudaMemcpyAsync', 'cudaMemcpyKind', 'cudaSetDevice',
        'cudaStreamBeginCapture', 'cudaStreamCaptureMode', 'cudaStreamCreate',
        'cudaStreamDestroy', 'cudaStreamEndCapture', 'cudaStreamSynchronize',
    ):  # fmt: skip
        assert hasattr(runtime, name), name
    for name in ('name', 'major', 'minor'):
        assert hasattr(runtime.cudaDeviceProp, name), name


def test_without_a_gpu_the_reason_is_given():
    pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')
    try:
        CudaDriver()
    except EngineError as error:
        assert 'no CUDA GPU can be used: cudaGetDeviceCount' in str(error)
    else:
        pytest.skip('this machine has a GPU')


@pytest.mark.gpu
def test_data_goes_to_the_gpu_and_back_by_hand_and_recorded():
    cuda = driver()
    stream = cuda.create_stream()
    source, target = cuda.allocate_pinned((3, 5)), cuda.allocate_pinned((3, 5))
    address = cuda.allocate(source.nbytes)

    def work():
        cuda.copy_to_device(address, source, stream)
        cuda.copy_to_host(target, address, stream)

    source[...] = np.arange(15).reshape(3, 5)
    work()
    cuda.synchronise(stream)
    np.testing.assert_array_equal(target, source)
    graph = cuda.record(stream, work)
    source += 1
    cuda.launch(graph, stream)
    cuda.synchronise(stream)
    np.testing.assert_array_equal(target, source)
    cuda.destroy_graph(graph)
    cuda.release(address)
    cuda.release_pinned(source)
    cuda.release_pinned(target)
    cuda.destroy_stream(stream)
