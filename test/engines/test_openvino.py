# SPDX-License-Identifier: Apache-2.0
"""Tests of the OpenVINO engine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('openvino', reason='the openvino package is not installed')
onnxruntime = pytest.importorskip('onnxruntime', reason='ONNX Runtime is the reference')

from support.models import write_tiny_model
from support.pictures import holey_batch

from magadepth_ros.engines import open_engine
from magadepth_ros.engines import request as requests
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.openvino import OpenVinoEngine, choose_precision
from magadepth_ros.errors import EngineError, ModelError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.mark.parametrize('dynamic', [True, False])
@pytest.mark.parametrize('log_variance', [True, False])
def test_it_computes_what_onnx_runtime_computes(tmp_path, dynamic, log_variance):
    model = write_tiny_model(tmp_path / 'm.onnx', dynamic_batch=dynamic, log_variance=log_variance)
    engine = OpenVinoEngine(model, threads=1)
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


def test_an_answer_stays_when_the_next_frame_comes(tmp_path):
    engine = OpenVinoEngine(write_tiny_model(tmp_path / 'm.onnx'), threads=1)
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


def test_a_wrong_size_is_refused_with_both_sizes(tmp_path):
    engine = OpenVinoEngine(write_tiny_model(tmp_path / 'm.onnx'), threads=1)
    with pytest.raises(EngineError, match=r'expected shape \(1, 3, 48, 64\).*\(1, 3, 32, 64\)'):
        engine.infer(*holey_batch(height=32))
    rgb, depth = holey_batch(2)
    with pytest.raises(EngineError, match='depth: expected shape'):
        engine.infer(rgb, depth[:1])
    with pytest.raises(EngineError, match='rgb: expected shape'):
        engine.infer(rgb[0], depth[0])


def test_metadata_that_contradicts_the_network_is_refused(tmp_path):
    model = write_tiny_model(tmp_path / 'm.onnx', metadata={'input_height': '50'})
    with pytest.raises(EngineError, match='expected an input'):
        OpenVinoEngine(model, threads=1)


def test_a_closed_engine_raises(tmp_path):
    engine = OpenVinoEngine(write_tiny_model(tmp_path / 'm.onnx'), threads=1)
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


def test_auto_goes_on_whatever_a_runtime_raises(tmp_path, caplog, monkeypatch):
    def broken(name='auto'):
        raise RuntimeError('driver and library do not fit')

    monkeypatch.setattr(requests, 'load_library', broken)
    model = write_tiny_model(tmp_path / 'm.onnx')
    with caplog.at_level('INFO'):
        assert open_engine(model, threads=1).backend in ('openvino', 'torch-cuda')
    assert 'backend tensorrt is not used: RuntimeError: driver and library' in caplog.text


def test_a_broken_model_is_not_blamed_on_the_runtimes(tmp_path):
    path = tmp_path / 'm.onnx'
    path.write_bytes(b'nothing')
    with pytest.raises(ModelError, match='not an ONNX file'):
        open_engine(path)
    with pytest.raises(EngineError, match='unknown backend'):
        open_engine(path, backend='quantum')


@pytest.mark.parametrize('count', [1, 2])
def test_bf16_leaves_metres_alone(tmp_path, count):
    # 8 bits at 10 m are 4 cm: the holes' filling must not be computed in them.
    model = write_tiny_model(tmp_path / 'm.onnx', dynamic_batch=True)
    try:
        engine = OpenVinoEngine(model, precision='bf16', threads=1)
    except EngineError as error:
        pytest.skip(str(error))
    rgb, depth = holey_batch(count)
    wanted = OpenVinoEngine(model, precision='fp32', threads=1).infer(rgb, 3 * depth)
    found = engine.infer(rgb, 3 * depth)
    np.testing.assert_allclose(found.depth, wanted.depth, atol=5e-4)
    assert found.log_variance is not None
    np.testing.assert_allclose(found.log_variance, wanted.log_variance, atol=0.1)
