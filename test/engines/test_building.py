# SPDX-License-Identifier: Apache-2.0
"""Tests of building real engines with TensorRT for RTX, which needs no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx', reason='models are converted with onnx')
pytest.importorskip('onnxruntime', reason='ONNX Runtime runs the converted model')

from support.gpu import HostCuda
from support.models import write_tiny_model
from support.pictures import holey_batch

from magadepth_ros.engines import building, tensorrt
from magadepth_ros.engines.build_request import BuildRequest
from magadepth_ros.engines.cache import find_engine, read_engine
from magadepth_ros.engines.precision import stated_precision, write_typed
from magadepth_ros.engines.tensorrt_library import RTX, load_library
from magadepth_ros.errors import EngineError

try:
    LIBRARY = load_library(RTX)
except EngineError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def request_for(model: Path, precision: str = 'fp32', **options) -> BuildRequest:
    return BuildRequest(model, LIBRARY, None, precision, **options).resolved()


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
@pytest.mark.parametrize('dynamic', [True, False])
def test_an_engine_is_built_checked_kept_and_found(tmp_path, precision, dynamic):
    model = write_tiny_model(tmp_path / 'tiny.onnx', dynamic_batch=dynamic)
    seen = []
    request = request_for(model, precision)
    file = building.obtain_engine(request, lambda text, share: seen.append(text))
    assert len(file.data) > 1000
    assert file.report['layers'] > 10
    assert (file.report['precision_share'].get('fp16', 0) > 0) == (precision == 'fp16')
    check = file.report['check']
    assert check['engine_run'] is False
    assert check['worst_relative'] < 1e-3
    assert seen[0] == f'converting to {precision}'
    assert 'checking against float32' in seen
    again = building.obtain_engine(request, lambda text, share: seen.append('built again'))
    assert again.data == file.data
    assert 'built again' not in seen
    assert file.path is not None
    assert read_engine(file.path, request.key()).info.network == 'tiny'


def test_options_reach_the_builder(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx', dynamic_batch=True)
    request = request_for(model, batch=3, workspace=1 << 28, compute_capabilities=('8.9', '12.0'))
    file = building.obtain_engine(request)
    assert file.key.compute_capability == '8.9,12.0'
    assert file.key.shape == (3, 48, 64)
    for_all = building.obtain_engine(request_for(model, batch=3))
    assert for_all.data != file.data


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'compute_capabilities': ('5.0',)}, "'5.0' is not a target.*8.9"),
        ({'batch': 2}, 'its batch is fixed to 1'),
    ],
)
def test_impossible_wishes_are_refused(tmp_path, options, message):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    with pytest.raises(EngineError, match=message):
        building.obtain_engine(request_for(model, **options))


def test_precision_auto_needs_the_models_word(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    assert request_for(model, 'auto').precision == 'fp32'
    model = write_tiny_model(tmp_path / 'tiny.onnx', metadata={'low_precision_safe': '1'})
    assert request_for(model, 'auto').precision == 'fp16'
    with pytest.raises(EngineError, match='use auto, fp32 or fp16'):
        request_for(model, 'fp8')


def test_an_onnx_that_states_its_arithmetic_is_built_as_it_is(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    for precision in ('fp32', 'fp16'):
        write_typed(model, tmp_path / f'{precision}.onnx', precision)
        assert stated_precision(tmp_path / f'{precision}.onnx') == precision
    typed = tmp_path / 'fp16.onnx'
    seen = []
    request = BuildRequest(typed, LIBRARY, typed=typed)
    file = building.obtain_engine(request, lambda text, share: seen.append(text))
    assert file.key.precision == 'fp16'
    assert file.report['precision_share']['fp16'] > 0
    assert not [text for text in seen if 'converting' in text]
    with pytest.raises(EngineError, match='it computes in fp16, not in fp32'):
        replace(request, precision='fp32').resolved()


def test_an_int8_onnx_of_another_tool_is_built_as_it_is(tmp_path):
    quantization = pytest.importorskip('onnxruntime.quantization')
    model, typed = write_tiny_model(tmp_path / 'tiny.onnx'), tmp_path / 'int8.onnx'
    write_typed(model, tmp_path / 'single.onnx', 'fp32')

    left = [dict(zip(('rgb', 'depth'), holey_batch(seed=seed))) for seed in range(3)]

    class Frames(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def get_next(self):
            return left.pop() if left else None

    quantization.quantize_static(
        str(tmp_path / 'single.onnx'),
        str(typed),
        Frames(),
        op_types_to_quantize=['Conv'],
        extra_options={'ActivationSymmetric': True, 'QuantizeBias': False},
    )
    request = BuildRequest(typed, LIBRARY, typed=typed, limit=0.05)
    file = building.obtain_engine(request)
    assert file.key.precision == 'int8'
    assert file.report['precision_share']['int8'] > 0
    assert file.report['check']['precision'] == 'int8'


def write_frames(folder):
    frame = {'rgb': 'rgb.png', 'depth': 'depth.png', 'sensor': 's', 'scene': 'x'}
    manifest = {'name': 'm', 'depth_scale': 0.001, 'protocol': '', 'licence': ''}
    folder.mkdir()
    rng = np.random.default_rng(1)
    cv2.imwrite(str(folder / 'depth.png'), rng.integers(500, 4000, (48, 64)).astype(np.uint16))
    cv2.imwrite(str(folder / 'rgb.png'), rng.integers(0, 255, (48, 64, 3)).astype(np.uint8))
    (folder / 'manifest.json').write_text(json.dumps({**manifest, 'frames': [frame]}))
    return folder


def test_an_engine_of_the_cache_is_checked_with_the_frames_that_are_named(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    request = request_for(model, 'fp16')
    first = building.obtain_engine(request)
    assert first.report['check']['frames'] == 4
    seen = []
    named = replace(request, check_data=write_frames(tmp_path / 'frames'))
    found = building.obtain_engine(named, lambda text, share: seen.append(text))
    assert found.data == first.data
    assert 'built' not in seen
    assert found.report['check']['frames'] == 1
    assert find_engine(model, request.key())[0].report == found.report
    with pytest.raises(EngineError, match=r'away from the float32 reference.*moved aside'):
        building.obtain_engine(replace(named, limit=1e-9))
    assert find_engine(model, request.key())[0] is None


def test_a_portable_engine_for_other_gpus_is_checked_by_its_onnx(tmp_path, monkeypatch, caplog):
    class Unfit:
        def __init__(self, file, library, cuda, batch):
            raise EngineError('this GPU is no target of it')

    monkeypatch.setattr(tensorrt, 'TensorRtEngine', Unfit)
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    request = replace(request_for(model, 'fp16'), cuda=HostCuda())
    check = building.obtain_engine(request).report['check']
    assert check['engine_run'] is False
    assert check['backend'] == 'onnxruntime'
    assert 'no target of it' in caplog.text


def test_a_full_disk_below_the_temporary_folder_is_a_clear_error(tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, 'No space left on device')

    model = write_tiny_model(tmp_path / 'tiny.onnx')
    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(EngineError, match=r'cannot be written \(No space left.*free some space'):
        building.obtain_engine(request_for(model, 'fp16'))


def test_an_engine_that_overflows_is_refused_and_not_kept(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx', gain=9e4)
    request = request_for(model, 'fp16')
    with pytest.raises(EngineError, match='use precision fp32'):
        building.obtain_engine(request)
    assert find_engine(model, request.key())[0] is None
    building.obtain_engine(replace(request, precision='fp32'))


def test_a_truncated_engine_is_built_again(tmp_path):
    request = request_for(write_tiny_model(tmp_path / 'tiny.onnx'))
    path = building.obtain_engine(request).path
    assert path is not None
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[:1000])
    again = building.obtain_engine(request)
    assert again.path == path
    assert path.stat().st_size == pytest.approx(whole, rel=0.01)
    assert path.with_name(path.name + '.bad1').stat().st_size == 1000


def test_without_a_place_to_keep_it_the_engine_is_used_all_the_same(tmp_path, monkeypatch, caplog):
    (tmp_path / 'blocked').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'blocked'))
    file = building.obtain_engine(request_for(write_tiny_model(tmp_path / 'tiny.onnx')))
    assert file.path is None
    assert len(file.data) > 1000
    assert 'cannot be stored' in caplog.text
    with pytest.raises(EngineError, match='cannot be stored'):
        building.obtain_engine(
            request_for(write_tiny_model(tmp_path / 'tiny.onnx')),
            path=tmp_path / 'blocked' / 'x.engine',
        )


def test_a_build_can_be_cancelled(tmp_path):
    request = request_for(write_tiny_model(tmp_path / 'tiny.onnx'))
    asked = threading.Event()

    def cancelled():
        asked.set()
        return True

    with pytest.raises(EngineError, match='cancelled'):
        building.obtain_engine(request, cancelled=cancelled)
    assert asked.is_set()


def test_two_processes_build_once(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    code = (
        'import sys; from pathlib import Path\n'
        'from magadepth_ros.engines import building\n'
        'from magadepth_ros.engines.build_request import BuildRequest\n'
        'from magadepth_ros.engines.tensorrt_library import load_library\n'
        'seen = []\n'
        'request = BuildRequest(Path(sys.argv[1]), load_library("tensorrt-rtx"),\n'
        '                                 precision="fp32", limit=0)\n'
        'building.obtain_engine(request, lambda text, share: seen.append(text))\n'
        'print("built" if "built" in seen else "found")\n'
    )
    root = Path(building.__file__).parents[2]
    environment = {**os.environ, 'PYTHONPATH': f'{root}{os.pathsep}{os.getenv("PYTHONPATH", "")}'}
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', code, str(model)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    answers = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    assert answers == ['built', 'found']


def test_full_tensorrt_without_a_gpu_is_refused(tmp_path):
    full = replace(LIBRARY, name='tensorrt')
    request = BuildRequest(write_tiny_model(tmp_path / 'tiny.onnx'), full)
    with pytest.raises(EngineError, match='build with tensorrt-rtx'):
        request.resolved()
