# SPDX-License-Identifier: Apache-2.0
"""Tests of reading what an ONNX says of itself."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip('onnx', reason='the tiny model is written with onnx')

from support.models import write_tiny_model

from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import ModelError


def test_everything_written_is_read(tmp_path):
    info = read_model_info(write_tiny_model(tmp_path / 'm.onnx', height=32, width=40))
    assert (info.height, info.width) == (32, 40)
    assert (info.min_depth, info.max_depth) == (0.1, 10.0)
    assert (info.network, info.licence, info.version) == ('tiny', 'Apache-2.0', '0.1.0')
    assert info.training_data == 'none: constant weights'
    assert not info.low_precision_safe


def test_low_precision_must_be_stated(tmp_path):
    path = write_tiny_model(tmp_path / 'm.onnx', metadata={'low_precision_safe': '1'})
    assert read_model_info(path).low_precision_safe
    path = write_tiny_model(tmp_path / 'm.onnx', metadata={'low_precision_safe': ''})
    assert not read_model_info(path).low_precision_safe


def test_every_truncation_is_noticed(tmp_path):
    path = write_tiny_model(tmp_path / 'm.onnx')
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            read_model_info(path)


@pytest.mark.parametrize('junk', [b'', b'\x00' * 64, b'PNG' * 50, b'\xff' * 200])
def test_other_files_are_no_models(tmp_path, junk):
    path = tmp_path / 'm.onnx'
    path.write_bytes(junk)
    with pytest.raises(ModelError, match='not an ONNX'):
        read_model_info(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r'gone\.onnx: no such model file'):
        read_model_info(tmp_path / 'gone.onnx')


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'magadepth_format': ''}, 'expected the metadata of a magadepth model'),
        ({'magadepth_format': '9'}, "this version reads '1'"),
        ({'network': ''}, "lacks 'network'"),
        ({'input_width': 'wide'}, 'a number in the metadata is broken'),
        ({'input_height': '0'}, 'impossible metadata'),
        ({'max_depth': '0.01'}, 'impossible metadata'),
    ],
)
def test_wrong_metadata_says_what_is_wrong(tmp_path, changed, message):
    path = write_tiny_model(tmp_path / 'm.onnx', metadata=changed)
    with pytest.raises(ModelError, match=message):
        read_model_info(path)


def test_other_inputs_are_refused(tmp_path):
    path = write_tiny_model(tmp_path / 'm.onnx')
    model = onnx.load(path)
    model.graph.output[0].name = 'something'
    onnx.save(model, path)
    with pytest.raises(ModelError, match='expected inputs rgb, depth and output completed'):
        read_model_info(path)
