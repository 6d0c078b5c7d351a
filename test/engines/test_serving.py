# SPDX-License-Identifier: Apache-2.0
"""Tests of the way from an ONNX to a served engine, on a GPU made of host memory."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='models are converted with onnx')
pytest.importorskip('onnxruntime', reason='ONNX Runtime computes for the GPU')
pytest.importorskip('openvino', reason='OpenVINO serves meanwhile')

from support.gpu import HostCuda, HostTensorRt
from support.models import write_tiny_model
from support.pictures import holey_batch

from magadepth_ros.engines import building, open_engine, swapping
from magadepth_ros.engines import request as requests
from magadepth_ros.engines.cache import engine_path, find_engine
from magadepth_ros.engines.tensorrt_build import BuildOptions, BuiltEngine
from magadepth_ros.errors import EngineError


class Machine:
    """A machine with a GPU, on which a build takes as long as the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cuda = HostCuda()
        self.trt = HostTensorRt(self.cuda)
        self.builds = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.damage = lambda data: data
        monkeypatch.setattr(requests, 'request_engine', self.request)
        monkeypatch.setattr(building, 'build_engine', self.build)

    def request(self, model, precision='auto', batch=1):
        return requests.EngineRequest(
            Path(model), self.trt.library(), self.cuda, precision, BuildOptions(batch=batch)
        ).resolved()

    def build(self, typed, library, options, progress, cancelled):
        self.builds += 1
        progress('building', 0.1)
        assert self.go_on.wait(20)
        return BuiltEngine(self.damage(Path(typed).read_bytes()), 20, 0.1)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return Machine(monkeypatch)


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / 'tiny.onnx', dynamic_batch=True)


def test_openvino_serves_until_the_engine_is_there(machine, model):
    machine.go_on.clear()
    seen = []
    engine = open_engine(model, 'tensorrt', 'fp16', threads=1, progress=seen.append)
    rgb, depth = holey_batch()
    before = engine.infer(rgb, depth).depth
    assert (engine.backend, engine.precision) == ('openvino', 'fp32')
    machine.go_on.set()
    assert engine.wait(20).state == swapping.READY
    after = engine.infer(rgb, depth).depth
    assert (engine.backend, engine.precision) == ('tensorrt', 'fp16')
    np.testing.assert_allclose(after, before, atol=1e-3)
    assert 'checking against float32' in [status.text for status in seen]
    engine.close()
    assert machine.cuda.held == 0


def test_the_second_start_has_the_engine_at_once(machine, model):
    open_engine(model, 'tensorrt', 'fp16').close()
    engine = open_engine(model, 'tensorrt', 'fp16', progress=lambda status: None)
    assert engine.backend == 'tensorrt'
    assert machine.builds == 1
    check = find_engine(model, machine.request(model, 'fp16').key())[0].report['check']
    assert check['engine_run'] is True
    engine.close()
    assert machine.cuda.held == 0


def test_a_cached_engine_that_the_runtime_refuses_does_not_stop_the_service(machine, model):
    open_engine(model, 'tensorrt', 'fp32').close()
    machine.trt.Runtime = lambda logger: type(
        'Runtime', (), {'deserialize_cuda_engine': lambda self, data: None}
    )()
    engine = open_engine(model, 'tensorrt', 'fp32', threads=1, progress=lambda status: None)
    assert engine.wait(20).state == swapping.FAILED
    assert np.isfinite(engine.infer(*holey_batch()).depth).all()
    assert engine.backend == 'openvino'
    engine.close()


def test_an_engine_that_computes_wrongly_never_serves(machine, model):
    def damage(data):
        network = onnx.load_model_from_string(data)
        for tensor in network.graph.initializer:
            if tensor.name == 'centimetre':
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(0.5), tensor.name))
        return network.SerializeToString()

    machine.damage = damage
    engine = open_engine(model, 'tensorrt', 'fp16', threads=1, progress=lambda status: None)
    status = engine.wait(20)
    assert status.state == swapping.FAILED
    assert 'use precision fp32' in status.text
    assert engine.backend == 'openvino'
    assert find_engine(model, machine.request(model, 'fp16').key())[0] is None
    engine.close()
    assert machine.cuda.held == 0


def test_an_engine_built_ahead_is_checked_before_its_first_use(machine, model):
    request = machine.request(model, 'fp32')
    file = building.obtain_engine(request)
    unchecked = {**file.report, 'check': None}
    building.cache.store_engine(model, file.key, file.data, unchecked, file.path)
    engine = open_engine(model, 'tensorrt', 'fp32', threads=1, progress=lambda status: None)
    assert engine.wait(20).state == swapping.READY
    assert machine.builds == 1
    assert find_engine(model, request.key())[0].report['check']['engine_run'] is True
    engine.close()


def test_build_only_returns_the_place_of_the_engine(machine, model):
    path = swapping.build_only(model, 'fp32')
    assert path == engine_path(model, machine.request(model, 'fp32').key())
    assert path.is_file()
    assert swapping.build_only(model, 'fp32') == path
    assert machine.builds == 1
    assert machine.cuda.held == 0


def test_auto_takes_tensorrt_where_it_works(machine, model):
    engine = open_engine(model, batch=2)
    assert (engine.backend, engine.precision) == ('tensorrt', 'fp32')
    rgb, depth = holey_batch(2)
    assert engine.infer(rgb, depth).depth.shape == (2, 1, 48, 64)
    engine.close()


def test_closing_while_it_is_built_leaves_nothing(machine, model):
    machine.go_on.clear()
    engine = open_engine(model, 'tensorrt', 'fp32', threads=1, progress=lambda status: None)
    threading.Timer(0.2, machine.go_on.set).start()
    engine.close()
    with pytest.raises(EngineError, match='closed'):
        engine.infer(*holey_batch())
    assert machine.cuda.held == 0
