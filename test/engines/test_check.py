# SPDX-License-Identifier: Apache-2.0
"""Tests of the comparison with float32: what it lets through and what it refuses."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx', reason='models are converted with onnx')
pytest.importorskip('onnxruntime', reason='ONNX Runtime runs the converted model')

from support.models import write_tiny_model

from magadepth_ros.engines.check import check_engine, check_frames, open_reference
from magadepth_ros.engines.engine import Prediction
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.onnxruntime import OnnxRuntimeEngine
from magadepth_ros.engines.precision import write_typed
from magadepth_ros.errors import DataError, EngineError


class Shifted:
    """The reference with its depth changed."""

    backend, precision = 'tensorrt', 'int8'

    def __init__(self, reference, change):
        self.info, self._reference, self._change = reference.info, reference, change

    def infer(self, rgb, depth):
        found = self._reference.infer(rgb, depth)
        return Prediction(self._change(found.depth.copy()), found.log_variance)


@pytest.fixture
def reference(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return open_reference(write_tiny_model(tmp_path / 'tiny.onnx'), threads=1)


def test_the_differences_are_those_put_in(reference):
    def change(depth):
        depth[..., 5, 7] += 0.002
        return depth

    frames = check_frames(reference.info)
    report = check_engine(Shifted(reference, change), reference, frames)
    assert report.worst == pytest.approx(0.002, abs=1e-6)
    assert report.mean == pytest.approx(0.002 / (48 * 64), rel=1e-3)
    assert report.frames == 4


def test_too_large_a_difference_is_refused_and_says_what_to_use(reference):
    shifted = Shifted(reference, lambda depth: depth * 1.05)
    with pytest.raises(EngineError, match=r'5\.00% away.*at most 1\.00%.*use precision fp16'):
        check_engine(shifted, reference, check_frames(reference.info))


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_one_value_that_is_no_number_is_refused(reference, value):
    def change(depth):
        depth[..., 0, 0] = value
        return depth

    with pytest.raises(EngineError, match='1 of 3072 values of the depth are NaN or infinite'):
        check_engine(Shifted(reference, change), reference, check_frames(reference.info))


def test_a_model_that_gives_no_numbers_itself_is_not_let_through(reference):
    broken = Shifted(reference, lambda depth: depth * np.nan)
    with pytest.raises(EngineError, match=r'reference is itself NaN.*broken in any precision'):
        check_engine(broken, broken, check_frames(reference.info))


def test_an_overflow_of_float16_inside_is_caught(tmp_path):
    model = write_tiny_model(tmp_path / 'm.onnx', gain=9e4)
    reference = open_reference(model, threads=1)
    frames = check_frames(reference.info)
    check_engine(OnnxRuntimeEngine(model, threads=1), reference, frames)  # float32 is fine
    write_typed(model, tmp_path / 'half.onnx', 'fp16')
    with pytest.raises(EngineError, match=r'NaN or infinite.*overflow.*use precision fp32'):
        engine = OnnxRuntimeEngine(tmp_path / 'half.onnx', threads=1, exact=True)
        engine.precision = 'fp16'
        check_engine(engine, reference, frames)


def test_real_frames_come_from_a_manifest_at_the_models_size(tmp_path):
    info = read_model_info(write_tiny_model(tmp_path / 'tiny.onnx'))
    rng = np.random.default_rng(1)
    entries = []
    for index in range(6):
        depth = rng.integers(500, 4000, (96, 128)).astype(np.uint16)
        depth[20:40, 30:60] = 0
        depth[0, 0] = 65535
        cv2.imwrite(str(tmp_path / f'{index}.png'), depth)
        cv2.imwrite(str(tmp_path / f'{index}.rgb.png'), np.full((96, 128, 3), index, np.uint8))
        entries.append(
            {'rgb': f'{index}.rgb.png', 'depth': f'{index}.png', 'sensor': 's', 'scene': 'x'}
        )
    manifest = {'name': 'm', 'depth_scale': 0.001, 'protocol': '', 'licence': ''}
    (tmp_path / 'manifest.json').write_text(json.dumps({**manifest, 'frames': entries}))
    frames = check_frames(info, tmp_path, count=3)
    assert len(frames) == 3
    for rgb, depth in frames:
        assert rgb.shape == (1, 3, 48, 64)
        assert depth.shape == (1, 1, 48, 64)
        assert (depth[0, 0, 12:18, 18:28] == 0).all()
        assert 0.5 <= depth.max() <= 10.0
    assert frames[0][0].max() == 0
    assert frames[2][0].max() == pytest.approx(5 / 255)


def test_a_folder_without_manifest_is_refused(tmp_path):
    info = read_model_info(write_tiny_model(tmp_path / 'tiny.onnx'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError):
        check_frames(info, tmp_path / 'empty')


def test_a_reference_that_no_runtime_opens_names_the_reason_of_each(tmp_path, monkeypatch):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    for name in ('openvino', 'onnxruntime'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match=r'no runtime works; openvino: .*; onnxruntime: '):
        open_reference(model)
