# SPDX-License-Identifier: Apache-2.0
"""
Write an ONNX whose types state the precision of an engine: float32, or float16 inside.

Strongly typed TensorRT (the only kind from 11.x on) computes in the types of the graph, so
the precision of an engine is decided here. Only layers between the first and the last layer
with weights become float16. Operators before (filling holes, normalising) and after work on
metres and stay float32, and so do operators whose values exceed the range of float16.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.engines.engine import last_line
from magadepth_ros.engines.metadata import load_onnx, read_model_info
from magadepth_ros.errors import EngineError, pip_install

_LOG = logging.getLogger(__name__)

HALF_MAX = 65504.0
WEIGHTED = frozenset({'Conv', 'ConvTranspose', 'Gemm', 'MatMul'})
KEPT_OPERATORS = frozenset(
    {
        # Sums over a whole image, powers and exponentials exceed float16's range or its 11 bits.
        'Exp', 'Log', 'Pow', 'Sqrt', 'Reciprocal', 'CumSum', 'Softmax', 'LogSoftmax',
        'ReduceSum', 'ReduceMean', 'ReduceL2', 'ReduceSumSquare', 'ReduceProd', 'ReduceLogSumExp',
        'LayerNormalization', 'InstanceNormalization', 'GroupNormalization',
        'LpNormalization', 'MeanVarianceNormalization', 'GlobalAveragePool',
        # An attribute of these operators names the type of their result.
        'Cast', 'Constant', 'ConstantOfShape', 'EyeLike', 'RandomNormal', 'RandomNormalLike',
        'RandomUniform', 'RandomUniformLike', 'Range',
        # The bodies of these operators are graphs of their own.
        'If', 'Loop', 'Scan',
    }
)  # fmt: skip
_FLOAT32_INPUTS = {'Resize': (1, 2)}
"""Inputs that are always float32, by position: a region and factors."""


def write_typed(
    source: Path | str, target: Path | str, precision: str, largest_batch: int = 1
) -> None:
    """
    Write the magadepth model ``source`` in ``precision`` (``fp32`` or ``fp16``) to ``target``.

    Inputs and outputs stay float32. With a ``largest_batch`` of 1 the batch is fixed to 1, else
    not changed. A layer with a weight beyond float16's range stays float32.

    Raises
    ------
    ModelError
        the source is no magadepth model.
    EngineError
        onnx or ONNX Runtime is not installed, or ``target`` cannot be written.

    """
    read_model_info(source)
    model = load_onnx(source)
    if largest_batch == 1:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        # The shapes that the exporter noted for a free batch would contradict the fixed one.
        del model.graph.value_info[:]
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_bytes(b'')  # ONNX Runtime's own error does not give the reason
        model = _folded(model, source, target)
        if precision == 'fp16':
            _to_half(model)
        Path(target).write_bytes(model.SerializeToString())
    except OSError as error:
        raise EngineError(
            f'{target}: the converted ONNX cannot be written ({error.strerror or error}); free '
            'some space, or name another folder'
        ) from error


def stated_precision(model: Path | str) -> str:
    """Return the lowest precision of the layers with weights in an ONNX."""
    graph = load_onnx(model).graph
    if any(node.op_type == 'QuantizeLinear' for node in graph.node):
        return 'int8'
    half = {tensor.name for tensor in graph.initializer if tensor.data_type == 10}
    weights = {name for node in graph.node if node.op_type in WEIGHTED for name in node.input[1:2]}
    return 'fp16' if half & weights else 'fp32'


def rounded(model: Path | str) -> bytes:
    """
    Return an ONNX for ONNX Runtime in which each float16 result is rounded as on a GPU.

    ONNX Runtime has few float16 kernels for the CPU: it computes in float32 and drops the casts
    around, which hides an overflow of float16. An Identity behind every float16 result keeps
    the casts, so that a value beyond 65504 becomes infinite. (A GPU also sums in float32 inside.)
    """
    network = load_onnx(model)
    import onnx

    half = _tensors_of(network, onnx.TensorProto.FLOAT16)
    nodes = []
    for node in network.graph.node:
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name in half:
                node.output[index] = f'{name}/unrounded'
                nodes.append(onnx.helper.make_node('Identity', [node.output[index]], [name]))
    _replace(network.graph.node, nodes)
    del network.graph.value_info[:]
    return bytes(network.SerializeToString())


def _folded(model: Any, source: Path | str, target: Path | str) -> Any:
    """
    Return a model with its constants folded by ONNX Runtime, which writes it to ``target``.

    Models store large weights as float16, followed by a Cast and a factor per channel. Weights
    must be constants for TensorRT; otherwise it takes the convolution for a dynamic one.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f'converting a model needs onnxruntime ({error}); {pip_install("onnxruntime")}'
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=['CPUExecutionProvider']
        )
    except Exception as error:
        # ONNX Runtime's exceptions share no public base class.
        raise EngineError(f'{source}: ONNX Runtime cannot read it: {last_line(error)}') from error
    folded = load_onnx(target)
    # ONNX Runtime adds its own operator sets, which TensorRT does not know.
    _replace(folded.opset_import, [entry for entry in folded.opset_import if not entry.domain])
    return folded


def _to_half(model: Any) -> None:
    """Convert the layers between the first and the last layer with weights to float16."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    floats = _tensors_of(model, TensorProto.FLOAT)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    chosen = _between_weights(list(graph.node), weights)
    outside = [node for index, node in enumerate(graph.node) if index not in chosen]
    wanted = {*_read(outside), *(value.name for value in graph.output)}
    # A tensor x stays float32; where a converted layer writes or reads it, x/fp16 is added.
    nodes, half = [], set()

    def cast(name: str, result: str, kind: int) -> None:
        nodes.append(helper.make_node('Cast', [name], [result], f'{result}_cast', to=kind))

    for index, node in enumerate(graph.node):
        if index not in chosen:
            nodes.append(node)
            continue
        for position, name in enumerate(node.input):
            if name not in floats or position in _FLOAT32_INPUTS.get(node.op_type, ()):
                continue
            node.input[position] = f'{name}/fp16'
            if name not in half and name in weights:
                values = numpy_helper.to_array(weights[name]).astype(np.float16)
                graph.initializer.append(numpy_helper.from_array(values, f'{name}/fp16'))
            elif name not in half:
                cast(name, f'{name}/fp16', TensorProto.FLOAT16)
            half.add(name)
        nodes.append(node)
        for position, name in enumerate(node.output):
            if name in floats:
                node.output[position] = f'{name}/fp16'
                half.add(name)
                if name in wanted:
                    cast(f'{name}/fp16', name, TensorProto.FLOAT)
    _replace(graph.node, nodes)
    used = set(_read(nodes))
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
    del graph.value_info[:]


def _between_weights(nodes: list[Any], weights: dict[str, Any]) -> set[int]:
    """Return the places of the nodes that become float16."""
    from onnx import numpy_helper

    def is_layer(node: Any) -> bool:
        return node.op_type in WEIGHTED and node.input[1] in weights

    behind: set[str] = set()
    for node in nodes:
        if is_layer(node) or behind.intersection(node.input):
            behind.update(node.output)
    before: set[str] = set()
    for node in reversed(nodes):
        if is_layer(node) or before.intersection(node.output):
            before.update(node.input)
    chosen = set()
    for index, node in enumerate(nodes):
        inside = is_layer(node) or before.intersection(node.output)
        if not inside or not behind.intersection(node.output) or node.op_type in KEPT_OPERATORS:
            continue
        given = [numpy_helper.to_array(weights[name]) for name in node.input if name in weights]
        if any(np.abs(a).max(initial=0) > HALF_MAX for a in given if a.dtype.kind == 'f'):
            _LOG.warning('%s: a weight beyond 65504 stays float32', node.name or node.output[0])
        else:
            chosen.add(index)
    return chosen


def _tensors_of(model: Any, kind: int) -> set[str]:
    """Return the names of all tensors of a type, weights included."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {
        *(value.name for value in values if value.type.tensor_type.elem_type == kind),
        *(tensor.name for tensor in graph.initializer if tensor.data_type == kind),
    }


def _read(nodes: Iterable[Any]) -> Iterator[str]:
    """Yield the names of the tensors that nodes read, including the bodies inside them."""
    for node in nodes:
        yield from node.input
        for attribute in node.attribute:
            yield from _read(attribute.g.node)


def _replace(field: Any, items: list[Any]) -> None:
    """Replace the items of a repeated protobuf field; the new items may be some of the old."""
    del field[:]
    field.extend(items)
