# SPDX-License-Identifier: Apache-2.0
"""Tests of the conversion to float16 inside and of running it exactly on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='models are converted with onnx')
pytest.importorskip('onnxruntime', reason='ONNX Runtime runs the converted model')

from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from support.models import write_tiny_model
from support.pictures import holey_batch

from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.onnxruntime import OnnxRuntimeEngine
from magadepth_ros.engines.precision import write_typed
from magadepth_ros.errors import ModelError


def to_half(source, target, largest_batch=2):
    write_typed(source, target, 'fp16', largest_batch)


def on_cpu(model):
    return OnnxRuntimeEngine(model, threads=1, exact=True)


def types(path):
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph = model.graph
    found = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    return {node.name: found.get(node.output[0]) for node in graph.node}


@pytest.mark.parametrize('dynamic', [True, False])
def test_only_the_layers_with_weights_and_between_become_half(tmp_path, dynamic):
    source = write_tiny_model(tmp_path / 'm.onnx', dynamic_batch=dynamic)
    to_half(source, tmp_path / 'half.onnx')
    found = types(tmp_path / 'half.onnx')
    for name in ('net/conv1_node', 'net/relu1_node', 'net/conv2_node', 'log_variance_node'):
        assert found[name] == TensorProto.FLOAT16, name
    for name in ('fill/sum_node', 'fill/filled_node', 'residual/metres_node', 'completed_node'):
        assert found[name] == TensorProto.FLOAT, name
    half = {name for name, kind in found.items() if kind == TensorProto.FLOAT16}
    assert len(half) == 5, 'four (a division by 1 is gone), and the cast before them'


def test_inputs_outputs_and_metadata_stay(tmp_path):
    source = write_tiny_model(tmp_path / 'm.onnx')
    to_half(source, tmp_path / 'half.onnx')
    graph = onnx.load(tmp_path / 'half.onnx').graph
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    assert read_model_info(tmp_path / 'half.onnx') == read_model_info(source)


def test_it_computes_nearly_the_same(tmp_path):
    source = write_tiny_model(tmp_path / 'm.onnx')
    to_half(source, tmp_path / 'half.onnx')
    inputs = holey_batch()
    single = on_cpu(source).infer(*inputs)
    half = on_cpu(tmp_path / 'half.onnx').infer(*inputs)
    np.testing.assert_allclose(half.depth, single.depth, atol=1e-4)
    np.testing.assert_allclose(half.log_variance, single.log_variance, atol=1e-2)
    assert np.abs(half.log_variance - single.log_variance).max() > 1e-5


@pytest.mark.parametrize('gain', [1.0, 3e4, 9e4])
def test_the_cpu_rounds_and_overflows_as_float16_does(tmp_path, gain):
    # onnx's own evaluator computes each operator in float16: exact, and far too slow for a net.
    source = write_tiny_model(tmp_path / 'm.onnx', gain=gain)
    to_half(source, tmp_path / 'half.onnx')
    rgb, depth = holey_batch()
    with np.errstate(all='ignore'):
        wanted = ReferenceEvaluator(str(tmp_path / 'half.onnx')).run(
            None, {'rgb': rgb, 'depth': depth}
        )
    found = on_cpu(tmp_path / 'half.onnx').infer(rgb, depth)
    np.testing.assert_allclose(found.depth, wanted[0], atol=1e-4)
    np.testing.assert_allclose(found.log_variance, wanted[1], atol=2e-2)


def test_a_weight_that_does_not_fit_keeps_its_layer_in_float32(tmp_path, caplog):
    source = write_tiny_model(tmp_path / 'm.onnx', gain=1e6)
    to_half(source, tmp_path / 'half.onnx')
    assert 'net/conv1_node: a weight beyond 65504 stays float32' in caplog.text
    assert types(tmp_path / 'half.onnx')['net/conv1_node'] == TensorProto.FLOAT


def test_weights_stored_in_half_become_weights_again(tmp_path):
    source = write_tiny_model(tmp_path / 'm.onnx', dynamic_batch=True)
    model = onnx.load(source)
    for tensor in model.graph.initializer:
        if tensor.name == 'net/weight1':
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, 'net/weight1_half'))
    model.graph.node.insert(
        0, helper.make_node('Cast', ['net/weight1_half'], ['net/weight1'], to=TensorProto.FLOAT)
    )
    onnx.save(model, source)
    write_typed(source, tmp_path / 'single.onnx', 'fp32')
    write_typed(source, tmp_path / 'half.onnx', 'fp16')
    single, half = (onnx.load(tmp_path / f'{name}.onnx') for name in ('single', 'half'))
    weights = {tensor.name: tensor.data_type for tensor in single.graph.initializer}
    assert weights['net/weight1'] == TensorProto.FLOAT
    assert 'Cast' not in {n.op_type for n in single.graph.node if 'weight' in n.input[0]}
    assert half.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    inputs = holey_batch()
    wanted = on_cpu(source).infer(*inputs).depth
    for name in ('single', 'half'):
        found = on_cpu(tmp_path / f'{name}.onnx').infer(*inputs).depth
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_another_file_is_refused(tmp_path):
    (tmp_path / 'm.onnx').write_bytes(b'\xff' * 100)
    with pytest.raises(ModelError, match='not an ONNX'):
        to_half(tmp_path / 'm.onnx', tmp_path / 'half.onnx')
    with pytest.raises(ModelError, match='no such'):
        to_half(tmp_path / 'gone.onnx', tmp_path / 'half.onnx')
