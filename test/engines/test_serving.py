# SPDX-License-Identifier: Apache-2.0
"""Tests of the way from an ONNX to a served engine, on a GPU made of host memory."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='models are converted with onnx')
pytest.importorskip('onnxruntime', reason='ONNX Runtime computes for the GPU')
pytest.importorskip('openvino', reason='OpenVINO serves meanwhile')

from support.gpu import HostCuda, HostTensorRt
from support.models import write_tiny_model
from support.pictures import holey_batch

from magadepth_ros.engines import building, open_engine
from magadepth_ros.engines.build_request import BuildRequest
from magadepth_ros.engines.cache import engine_path, find_engine
from magadepth_ros.engines.opening import EngineRequest
from magadepth_ros.errors import EngineError
from magadepth_ros.serving.keeper import EngineKeeper
from magadepth_ros.serving.states import State


class Machine:
    """A machine with a GPU, on which a build takes as long as the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cuda = HostCuda()
        self.trt = HostTensorRt(self.cuda)
        self.builds = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.damage = lambda data: data
        monkeypatch.setattr(building, 'request_build', self.request)
        monkeypatch.setattr(building, 'build_engine', self.build)

    def request(self, model, precision='auto', batch=1):
        return BuildRequest(
            Path(model), self.trt.library(), self.cuda, precision, batch
        ).resolved()

    def build(self, typed, request, progress, cancelled):
        self.builds += 1
        progress('building', 0.1)
        assert self.go_on.wait(20)
        return self.damage(Path(typed).read_bytes()), {'layers': 20}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return Machine(monkeypatch)


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / 'tiny.onnx', dynamic_batch=True)


@pytest.fixture
def keeper():
    keeper = EngineKeeper()
    yield keeper
    assert keeper.close(30)


def wait_for(condition) -> None:
    done = threading.Event()
    for _ in range(3000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError('not within 30 s')


def depth_of(keeper, count: int = 1) -> np.ndarray:
    return keeper.use(lambda engine: engine.infer(*holey_batch(count))).depth


def request(model, precision='fp32', backend='tensorrt', batch=1) -> EngineRequest:
    return EngineRequest(model, backend, precision, threads=1, batch=batch)


def test_the_cpu_serves_until_the_engine_is_there(machine, model, keeper, caplog):
    machine.go_on.clear()
    with caplog.at_level('INFO'):
        keeper.open(request(model, 'fp16'))
        before = depth_of(keeper)
        assert keeper.engine_name == 'openvino fp32 tiny'
        assert 'tiny runs on openvino in fp32' in caplog.text
        assert keeper.states.state is State.BUILDING
        machine.go_on.set()
        wait_for(lambda: keeper.states.state is State.SERVING)
    assert keeper.engine_name == 'tensorrt fp16 tiny'
    np.testing.assert_allclose(depth_of(keeper), before, atol=1e-3)
    assert 'checking against float32' in caplog.text
    assert keeper.close(30)
    assert machine.cuda.held == 0


def test_the_second_start_has_the_engine_at_once(machine, model, keeper):
    open_engine(model, 'tensorrt', 'fp16').close()
    keeper.open(request(model, 'fp16'))
    assert (keeper.states.state, keeper.engine_name) == (State.SERVING, 'tensorrt fp16 tiny')
    assert machine.builds == 1
    check = find_engine(model, machine.request(model, 'fp16').key())[0].report['check']
    assert check['engine_run'] is True


def test_a_cached_engine_that_the_runtime_refuses_does_not_stop_the_service(
    machine, model, keeper
):
    open_engine(model, 'tensorrt', 'fp32').close()
    machine.trt.Runtime = lambda logger: type(
        'Runtime', (), {'deserialize_cuda_engine': lambda self, data: None}
    )()
    keeper.open(request(model))
    wait_for(lambda: keeper.states.state is State.DEGRADED)
    assert np.isfinite(depth_of(keeper)).all()
    assert keeper.engine_name == 'openvino fp32 tiny'


def test_an_engine_that_computes_wrongly_never_serves(machine, model, keeper):
    def damage(data):
        network = onnx.load_model_from_string(data)
        for tensor in network.graph.initializer:
            if tensor.name == 'centimetre':
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(0.5), tensor.name))
        return network.SerializeToString()

    machine.damage = damage
    keeper.open(request(model, 'fp16'))
    wait_for(lambda: keeper.states.state is State.DEGRADED)
    assert 'use precision fp32' in keeper.states.trouble
    assert keeper.engine_name == 'openvino fp32 tiny'
    assert find_engine(model, machine.request(model, 'fp16').key())[0] is None
    assert keeper.close(30)
    assert machine.cuda.held == 0


def test_an_engine_built_ahead_is_checked_before_its_first_use(machine, model, keeper):
    to_build = machine.request(model, 'fp32')
    file = building.obtain_engine(to_build)
    unchecked = replace(file, report={**file.report, 'check': None})
    building.cache.store_engine(unchecked, file.path)
    keeper.open(request(model))
    wait_for(lambda: keeper.states.state is State.SERVING)
    assert machine.builds == 1
    assert find_engine(model, to_build.key())[0].report['check']['engine_run'] is True


@pytest.mark.parametrize('backend', ['tensorrt', 'auto'])
@pytest.mark.parametrize('cached', [False, True])
def test_a_gpu_whose_every_call_fails_from_some_frame_on_hands_over_to_the_cpu(
    machine, model, keeper, cached, backend
):
    if cached:
        open_engine(model, 'tensorrt').close()
    keeper.open(request(model, backend=backend))
    wait_for(lambda: keeper.states.state is State.SERVING)
    expected = depth_of(keeper)
    machine.cuda.stick()
    for _ in range(3):
        with pytest.raises(EngineError, match='illegal memory access'):
            depth_of(keeper)
    wait_for(lambda: keeper.states.state is State.DEGRADED)
    np.testing.assert_allclose(depth_of(keeper), expected, atol=1e-3)
    assert keeper.engine_name == 'openvino fp32 tiny'
    assert 'tensorrt failed: ' in keeper.states.trouble
    assert keeper.close(30)
    # Each step of closing was tried, though each one failed.
    assert machine.cuda.refused >= {
        'synchronise', 'destroy_graph', 'release', 'release_pinned', 'destroy_stream'
    }  # fmt: skip


def test_build_only_returns_the_place_of_the_engine(machine, model):
    def build_only():
        return building.build_only(model, 'fp32', 1, lambda text, share: None, lambda: False)

    path = build_only()
    assert path == engine_path(model, machine.request(model, 'fp32').key())
    assert path.is_file()
    assert build_only() == path
    assert machine.builds == 1
    assert machine.cuda.held == 0


def test_auto_takes_tensorrt_where_it_works(machine, model):
    engine = open_engine(model, batch=2)
    assert (engine.backend, engine.precision) == ('tensorrt', 'fp32')
    rgb, depth = holey_batch(2)
    assert engine.infer(rgb, depth).depth.shape == (2, 1, 48, 64)
    engine.close()


def test_closing_while_it_is_built_leaves_nothing(machine, model, keeper):
    machine.go_on.clear()
    keeper.open(request(model))
    threading.Timer(0.2, machine.go_on.set).start()
    assert keeper.close(30)
    with pytest.raises(EngineError, match='no engine'):
        depth_of(keeper)
    assert machine.cuda.held == 0
