# SPDX-License-Identifier: Apache-2.0
"""Tests of the engines on the CPU, OpenVINO's and ONNX Runtime's, and of choosing among all."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('openvino', reason='the openvino package is not installed')
onnx = pytest.importorskip('onnx', reason='the tiny model is written with onnx')
onnxruntime = pytest.importorskip('onnxruntime', reason='ONNX Runtime is the reference')

from support.models import write_tiny_model
from support.pictures import holey_batch

from magadepth_ros.engines import build_request, open_engine, opening
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.onnxruntime import OnnxRuntimeEngine
from magadepth_ros.engines.openvino import OpenVinoEngine, choose_precision
from magadepth_ros.errors import EngineError, ModelError, PrecisionError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture(params=[OpenVinoEngine, OnnxRuntimeEngine])
def runtime(request):
    return request.param


@pytest.mark.parametrize('dynamic', [True, False])
@pytest.mark.parametrize('log_variance', [True, False])
def test_it_computes_what_the_network_says(tmp_path, runtime, dynamic, log_variance):
    model = write_tiny_model(tmp_path / 'm.onnx', dynamic_batch=dynamic, log_variance=log_variance)
    engine = runtime(model, threads=1, batch=2)
    session = onnxruntime.InferenceSession(str(model))
    for count in (1, 3, 1):
        rgb, depth = holey_batch(count)
        found = engine.infer(rgb, depth)
        for index in range(count):
            one = {'rgb': rgb[index : index + 1], 'depth': depth[index : index + 1]}
            wanted = session.run(None, one)
            np.testing.assert_allclose(found.depth[index], wanted[0][0], atol=1e-5)
            if log_variance:
                np.testing.assert_allclose(found.log_variance[index], wanted[1][0], atol=1e-4)
        assert (found.log_variance is None) == (not log_variance)
        assert found.depth.dtype == np.float32


def test_it_tells_nobody_that_it_is_used():
    code = (
        'import multiprocessing.process as m, sys\n'
        'started = []\n'
        'm.BaseProcess.start = started.append\n'
        'from magadepth_ros.engines.openvino import import_openvino\n'
        'import_openvino()\n'
        "assert 'openvino_telemetry' not in sys.modules and not started, started\n"
        'import openvino\n'
        'assert openvino.Core().available_devices\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, timeout=120)


def test_an_answer_stays_when_the_next_frame_comes(tmp_path, runtime):
    engine = runtime(write_tiny_model(tmp_path / 'm.onnx'), threads=1)
    first = engine.infer(*holey_batch(seed=1)).depth
    kept = first.copy()
    engine.infer(*holey_batch(seed=2))
    np.testing.assert_array_equal(first, kept)


def test_precision_is_float32_unless_the_model_allows_less(tmp_path):
    info = read_model_info(write_tiny_model(tmp_path / 'm.onnx'))
    safe = replace(info, low_precision_safe=True)
    assert choose_precision('auto', info, has_bf16=True) == 'fp32'
    assert choose_precision('auto', safe, has_bf16=True) == 'bf16'
    assert choose_precision('auto', safe, has_bf16=False) == 'fp32'
    with pytest.raises(EngineError, match='no bf16'):
        choose_precision('bf16', info, has_bf16=False)
    with pytest.raises(EngineError, match='use auto, fp32 or bf16'):
        choose_precision('int4', info, has_bf16=True)


def test_the_reported_precision_is_the_used_one(tmp_path):
    model = write_tiny_model(tmp_path / 'm.onnx')
    assert OpenVinoEngine(model, precision='fp32', threads=1).precision == 'fp32'
    try:
        low = OpenVinoEngine(model, precision='bf16', threads=1)
    except EngineError as error:
        pytest.skip(str(error))
    assert low.precision == 'bf16'


def test_a_wrong_size_is_refused_with_both_sizes(tmp_path, runtime):
    engine = runtime(write_tiny_model(tmp_path / 'm.onnx'), threads=1)
    with pytest.raises(EngineError, match=r'expected shape \(1, 3, 48, 64\).*\(1, 3, 32, 64\)'):
        engine.infer(*holey_batch(height=32))
    rgb, depth = holey_batch(2)
    with pytest.raises(EngineError, match='depth: expected shape'):
        engine.infer(rgb, depth[:1])
    with pytest.raises(EngineError, match='rgb: expected shape'):
        engine.infer(rgb[0], depth[0])


def test_metadata_that_contradicts_the_network_is_refused(tmp_path, runtime):
    model = write_tiny_model(tmp_path / 'm.onnx', metadata={'input_height': '50'})
    with pytest.raises(EngineError, match='expected an input'):
        runtime(model, threads=1)


def test_a_closed_engine_raises(tmp_path, runtime):
    engine = runtime(write_tiny_model(tmp_path / 'm.onnx'), threads=1)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match='closed'):
        engine.infer(*holey_batch())


def test_an_unusable_cache_does_not_stop_it(tmp_path, monkeypatch):
    blocked = tmp_path / 'file'
    blocked.write_text('not a folder')
    monkeypatch.setenv('XDG_CACHE_HOME', str(blocked))
    engine = OpenVinoEngine(write_tiny_model(tmp_path / 'm.onnx'), threads=1)
    assert np.isfinite(engine.infer(*holey_batch()).depth).all()


def test_a_broken_cached_model_is_compiled_again(tmp_path):
    model = write_tiny_model(tmp_path / 'm.onnx')
    OpenVinoEngine(model, threads=1).close()
    blobs = list((tmp_path / 'cache').rglob('*.blob'))
    assert blobs
    for blob in blobs:
        blob.chmod(0o600)
        blob.write_bytes(blob.read_bytes()[:1000])
    engine = OpenVinoEngine(model, threads=1)
    assert np.isfinite(engine.infer(*holey_batch()).depth).all()


def test_auto_ends_with_openvino_and_says_why(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    with caplog.at_level('INFO', logger='magadepth_ros.engines'):
        engine = open_engine(write_tiny_model(tmp_path / 'm.onnx'), threads=1)
    assert engine.backend == 'openvino'
    assert 'backend tensorrt is not used' in caplog.text
    assert 'backend torch-cuda is not used' in caplog.text
    assert 'tiny runs on openvino in fp32' in caplog.text


def test_auto_goes_on_whatever_a_runtime_raises(tmp_path, caplog, monkeypatch):
    def broken(name='auto'):
        raise RuntimeError('driver and library do not fit')

    monkeypatch.setattr(build_request, 'load_library', broken)
    model = write_tiny_model(tmp_path / 'm.onnx')
    with caplog.at_level('INFO'):
        assert open_engine(model, threads=1).backend in ('openvino', 'torch-cuda')
    assert 'backend tensorrt is not used: RuntimeError: driver and library' in caplog.text


def test_every_truncation_is_the_models_fault(tmp_path, runtime):
    path = write_tiny_model(tmp_path / 'm.onnx')
    data = path.read_bytes()
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            runtime(path, threads=1)
    with pytest.raises(ModelError, match=r'gone\.onnx: no such model file'):
        runtime(tmp_path / 'gone.onnx')


def test_an_operator_that_is_unknown_is_the_runtimes_fault(tmp_path, runtime):
    path = write_tiny_model(tmp_path / 'm.onnx')
    model = onnx.load(path)
    model.graph.node[-1].op_type = 'Fantasy'
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match='Fantasy'):
        runtime(path, threads=1)


def test_a_failure_while_it_runs_is_an_engine_error(tmp_path, runtime, monkeypatch):
    engine = runtime(write_tiny_model(tmp_path / 'm.onnx'), threads=1)

    class Broken:
        def infer(self, *given, **named):
            raise RuntimeError('trace\nthe cause')

        run = start_async = infer

    if runtime is OpenVinoEngine:
        engine._requests[1] = [Broken()]
    else:
        engine._session = Broken()
    with pytest.raises(EngineError, match='failed: the cause'):
        engine.infer(*holey_batch())


def test_onnx_runtime_has_one_precision(tmp_path):
    model = write_tiny_model(tmp_path / 'm.onnx')
    assert OnnxRuntimeEngine(model, 'fp32', threads=1).precision == 'fp32'
    with pytest.raises(EngineError, match="onnxruntime has no precision 'bf16'; use auto or fp32"):
        OnnxRuntimeEngine(model, 'bf16')


def test_auto_takes_onnx_runtime_where_openvino_is_missing(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with caplog.at_level('INFO', logger='magadepth_ros.engines'):
        engine = open_engine(write_tiny_model(tmp_path / 'm.onnx'), threads=1, batch=2)
    assert (engine.backend, engine.precision) == ('onnxruntime', 'fp32')
    assert 'backend openvino is not used' in caplog.text
    assert np.isfinite(engine.infer(*holey_batch(2)).depth).all()


def test_a_broken_model_is_not_blamed_on_the_runtimes(tmp_path):
    path = tmp_path / 'm.onnx'
    path.write_bytes(b'nothing')
    with pytest.raises(ModelError, match='not an ONNX file'):
        open_engine(path)
    with pytest.raises(EngineError, match='unknown backend'):
        open_engine(path, backend='quantum')


def test_a_precision_that_no_runtime_has_is_said_without_what_others_lack(tmp_path, monkeypatch):
    model, real = write_tiny_model(tmp_path / 'm.onnx'), opening._open

    def without_gpu(request):
        if request.backend in opening.ON_GPU:
            raise EngineError('there is no GPU here')
        return real(request)

    monkeypatch.setattr(opening, '_open', without_gpu)
    with pytest.raises(PrecisionError) as refused:
        open_engine(model, precision='fp16')
    assert str(refused.value) == "backend openvino has no precision 'fp16'; use auto, fp32 or bf16"
    with pytest.raises(PrecisionError, match="unknown precision 'banana'; use one of auto, fp32"):
        open_engine(model, precision='banana')


@pytest.mark.parametrize('backend', ['auto', 'openvino'])
def test_weights_are_sent_to_the_command_that_makes_their_onnx(tmp_path, backend):
    (tmp_path / 'net.safetensors').write_bytes(b'')
    with pytest.raises(ModelError, match=r'magadepth export-onnx .*net\.safetensors'):
        open_engine(tmp_path / 'net.safetensors', backend)
