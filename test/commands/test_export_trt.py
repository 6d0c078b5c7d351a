# SPDX-License-Identifier: Apache-2.0
"""Tests of `magadepth export-trt` with real TensorRT for RTX engines."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('onnx', reason='models are converted with onnx')
pytest.importorskip('onnxruntime', reason='ONNX Runtime runs the converted model')

from support.models import write_tiny_model

from magadepth_ros.commands import export_trt
from magadepth_ros.engines import building, precision
from magadepth_ros.engines.cache import read_engine
from magadepth_ros.engines.tensorrt_library import RTX, load_library
from magadepth_ros.errors import EngineError
from magadepth_ros.resources import model_names

try:
    load_library(RTX)
except EngineError as error:
    pytest.skip(str(error), allow_module_level=True)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def test_both_precisions_are_built_and_summed_up(tmp_path, capsys):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    status = export_trt.main(
        [str(model), '--precision', 'fp32', 'fp16', '--builder', 'tensorrt-rtx', '--output',
         str(tmp_path / 'out'), '--json', str(tmp_path / 'out' / 'summary.json')]
    )  # fmt: skip
    assert status == 0
    rows = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert [row['precision'] for row in rows] == ['fp32', 'fp16']
    for row in rows:
        engine = read_engine(row['engine'])
        assert engine.key.precision == row['precision']
        assert row['size_bytes'] == len(engine.data)
        assert row['build_seconds'] > 0
        assert row['check']['engine_run'] is False
        assert row['check']['worst_relative'] < 0.01
    assert rows[1]['precision_share']['fp16'] > 0
    table = capsys.readouterr().out
    assert 'no: its ONNX, on the CPU' in table
    assert 'fp16' in table


def test_an_overflow_is_refused_with_the_remedy(tmp_path, capsys):
    model = write_tiny_model(tmp_path / 'tiny.onnx', gain=9e4)
    output = tmp_path / 'a.engine'
    arguments = [str(model), '--builder', 'tensorrt-rtx', '--output', str(output)]
    assert export_trt.main([*arguments, '--precision', 'fp16']) == 2
    assert not output.exists()
    said = capsys.readouterr()
    assert 'use precision fp32' in said.err
    assert 'refused' in said.out
    assert export_trt.main([*arguments, '--precision', 'fp32']) == 0
    assert output.exists()


def test_stages_can_be_skipped(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx', gain=9e4)
    folder = tmp_path / 'onnx'
    assert (
        export_trt.main(
            [str(model), '--precision', 'fp16', '--no-build', '--onnx', str(folder),
             '--builder', 'tensorrt-rtx']
        )
        == 0
    )  # fmt: skip
    assert (folder / 'tiny-fp16.onnx').is_file()
    unchecked = [str(model), '--precision', 'fp16', '--no-check', '--builder', 'tensorrt-rtx']
    assert export_trt.main([*unchecked, '--output', str(tmp_path / 'x.engine')]) == 0
    assert read_engine(tmp_path / 'x.engine').report['check'] is None


def test_a_kept_onnx_is_built_without_converting_it_again(tmp_path, capsys, monkeypatch):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    convert, converted = precision.write_typed, []

    def counted(*arguments, **options):
        converted.append(arguments)
        return convert(*arguments, **options)

    for module in (building, precision):
        monkeypatch.setattr(module, 'write_typed', counted)
    rtx = ['--builder', 'tensorrt-rtx']
    assert export_trt.main([str(model), *rtx, '--precision', 'fp16', '--onnx', str(tmp_path)]) == 0
    assert len(converted) == 1
    kept = str(tmp_path / 'tiny-fp16.onnx')
    assert export_trt.main([kept, *rtx, '--no-convert', '--json', str(tmp_path / 'a.json')]) == 0
    assert len(converted) == 1
    row = json.loads((tmp_path / 'a.json').read_text())[0]
    assert row['precision'] == 'fp16'
    assert row['check']['engine_run'] is False
    assert export_trt.main([kept, *rtx, '--no-convert', '--precision', 'fp32']) == 2
    assert 'it computes in fp16, not in fp32' in capsys.readouterr().err


def test_weights_are_exported_first(tmp_path):
    pytest.importorskip('torch', reason='torch is not installed')
    pytest.importorskip('magadepth_training', reason='the training package is not installed')
    from support.networks import tiny

    from magadepth_training.networks.registry import create_network
    from magadepth_training.weights import save_weights

    weights = tmp_path / 'net.safetensors'
    save_weights(create_network(tiny()), weights)
    output = tmp_path / 'net.engine'
    arguments = [str(weights), '--builder', 'tensorrt-rtx', '--output', str(output)]
    assert export_trt.main([*arguments, '--precision', 'fp16']) == 0
    assert read_engine(output).key.precision == 'fp16'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere.onnx'], 'neither a file nor installed'),
        (['{model}', '--batch', '0'], '--batch: expected a whole number from 1'),
        (['{model}', '--builder', 'tensorrt'], 'tensorrt'),
        (['{model}', '--precision', 'fp32', 'fp16', '--output', 'a.engine'], 'name a folder'),
        (['{model}', '--compute-capability', '1.0'], 'is not a target'),
        (['{model}', '--check', '{folder}'], 'manifest'),
    ],
)
def test_bad_wishes_give_one_line_and_status_2(tmp_path, capsys, arguments, message):
    model = write_tiny_model(tmp_path / 'tiny.onnx')
    (tmp_path / 'empty').mkdir()
    filled = [a.format(model=model, folder=tmp_path / 'empty') for a in arguments]
    assert export_trt.main(filled) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if message in line]
    assert len(lines) == 1


@pytest.mark.skipif(not model_names(), reason='no model is installed')
@pytest.mark.parametrize('precision', [pytest.param('fp32', marks=pytest.mark.slow), 'fp16'])
def test_a_shipped_model_is_built(tmp_path, precision):
    name = min(model_names(), key=len)
    output = tmp_path / 'shipped.engine'
    arguments = [name, '--precision', precision, '--builder', 'tensorrt-rtx']
    assert export_trt.main([*arguments, '--output', str(output)]) == 0
    check = read_engine(output).report['check']
    assert check['worst_relative'] < 0.01
