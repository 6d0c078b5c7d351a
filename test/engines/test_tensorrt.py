# SPDX-License-Identifier: Apache-2.0
"""Tests of the TensorRT runtime: all but the driver's own calls, on a GPU made of host memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnxruntime = pytest.importorskip('onnxruntime', reason='ONNX Runtime computes for the GPU')
pytest.importorskip('onnx', reason='the tiny model is written with onnx')

from support.gpu import HostCuda, HostTensorRt
from support.models import write_tiny_model
from support.pictures import holey_batch

from magadepth_ros.engines.cache import EngineFile, EngineKey
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.tensorrt import TensorRtEngine
from magadepth_ros.errors import EngineError


def engine_file(model: Path) -> EngineFile:
    info = read_model_info(model)
    shape = (4, info.height, info.width)
    key = EngineKey('0', 'tensorrt', '10.3.0', 'Host GPU', '8.7', 'fp32', shape)
    return EngineFile(model.read_bytes(), info, key)


def expected(model: Path, rgb: np.ndarray, depth: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(model))
    parts = [
        session.run(None, {'rgb': rgb[i : i + 1], 'depth': depth[i : i + 1]})
        for i in range(len(rgb))
    ]
    return [np.concatenate(arrays) for arrays in zip(*parts)]


@pytest.mark.parametrize('log_variance', [True, False])
@pytest.mark.parametrize('dynamic', [True, False])
def test_every_batch_size_gives_what_the_network_gives(tmp_path, dynamic, log_variance):
    model = write_tiny_model(
        tmp_path / 'tiny.onnx', dynamic_batch=dynamic, log_variance=log_variance
    )
    cuda = HostCuda()
    engine = TensorRtEngine(engine_file(model), HostTensorRt(cuda).library(), cuda)
    for count in (1, 3, 4, 6, 1):
        rgb, depth = holey_batch(count, seed=count)
        found = engine.infer(rgb, depth)
        wanted = expected(model, rgb, depth)
        np.testing.assert_allclose(found.depth, wanted[0], atol=1e-6)
        if log_variance:
            np.testing.assert_allclose(found.log_variance, wanted[1], atol=1e-5)
        else:
            assert found.log_variance is None
    engine.close()
    assert cuda.held == 0


def test_an_answer_stays_when_the_next_frame_comes(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    cuda = HostCuda()
    engine = TensorRtEngine(engine_file(model), HostTensorRt(cuda).library(), cuda)
    first = engine.infer(*holey_batch(seed=1)).depth
    kept = first.copy()
    engine.infer(*holey_batch(seed=2))
    np.testing.assert_array_equal(first, kept)


def test_frames_are_launched_as_one_recorded_graph(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    cuda = HostCuda()
    engine = TensorRtEngine(engine_file(model), HostTensorRt(cuda).library(), cuda)
    for seed in range(3):
        engine.infer(*holey_batch(seed=seed))
    assert cuda.launches == 3
    assert len(cuda.graphs) == 1


def test_without_recording_the_frames_still_come(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    cuda = HostCuda()
    cuda.refuse_recording = True
    engine = TensorRtEngine(engine_file(model), HostTensorRt(cuda).library(), cuda)
    rgb, depth = holey_batch()
    np.testing.assert_allclose(
        engine.infer(rgb, depth).depth, expected(model, rgb, depth)[0], atol=1e-6
    )
    assert cuda.launches == 0


def test_an_engine_that_does_not_deserialise_is_refused_with_the_reason(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    file = engine_file(model)
    cuda = HostCuda()
    broken = EngineFile(file.data[:100], file.info, file.key)
    with pytest.raises(EngineError, match='refuses it on Host GPU: deserialization failed'):
        TensorRtEngine(broken, HostTensorRt(cuda).library(), cuda)
    assert cuda.held == 0


def test_an_engine_of_another_size_is_refused(tmp_path):
    file = engine_file(write_tiny_model(tmp_path / 'tiny.onnx'))
    other = read_model_info(write_tiny_model(tmp_path / 'other.onnx', height=32))
    cuda = HostCuda()
    with pytest.raises(EngineError, match='unexpected tensor rgb'):
        TensorRtEngine(EngineFile(file.data, other, file.key), HostTensorRt(cuda).library(), cuda)


def test_a_failing_execution_is_an_error_and_frees_everything(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    cuda = HostCuda()
    trt = HostTensorRt(cuda)
    trt.fail = True
    with pytest.raises(EngineError, match='tensorrt failed'):
        TensorRtEngine(engine_file(model), trt.library(), cuda)
    assert cuda.held == 0


def test_a_closed_engine_raises(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    cuda = HostCuda()
    engine = TensorRtEngine(engine_file(model), HostTensorRt(cuda).library(), cuda)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match='closed'):
        engine.infer(*holey_batch())
