# SPDX-License-Identifier: Apache-2.0
"""Export a network to the ONNX file that the runtime reads: self-contained, with metadata."""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from magadepth_ros import __version__
from magadepth_ros.engines.metadata import FORMAT, INPUTS, OPTIONAL_OUTPUT, OUTPUT
from magadepth_ros.files import write_result

from .networks.output import Network

OPSET = 17
LARGE = 1024
"""Weights with more elements are stored in float16 if that is exact (from safetensors)."""


class _Outputs(nn.Module):
    """Wraps a network so that it returns a tuple, as the exporter requires."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, rgb: Tensor, depth: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W), (B, 1, H, W) -> completed depth and, if there is one, log-variance."""
        output = self.network(rgb, depth)
        if output.log_variance is None:
            return (output.depth,)
        return output.depth, output.log_variance


def export_onnx(
    network: Network,
    path: Path,
    *,
    training_data: str,
    licence: str = 'Apache-2.0',
    low_precision_safe: bool = False,
) -> None:
    """
    Write a network as ONNX.

    Inputs ``rgb`` (N, 3, H, W) in 0..1 and ``depth`` (N, 1, H, W) in metres, 0 = missing; outputs
    ``completed`` (N, 1, H, W) in metres and, where the network has it, ``log_variance``. N is
    free, arithmetic is float32; large weights that came from a safetensors file are stored as they
    are there, in float16, and cast. The file's metadata have all that a runtime needs.
    """
    config = network.config
    example = (
        torch.rand(1, 3, config.height, config.width),
        torch.rand(1, 1, config.height, config.width) + 1,
    )
    # The exporter restores the wrapper's mode afterwards, and the network's with it.
    wrapped = _Outputs(network.cpu().float()).eval()
    outputs = [OUTPUT, OPTIONAL_OUTPUT][: len(wrapped(*example))]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The tracing exporter is deprecated. The new one writes twice as many nodes and needs
        # opset 18, of which TensorRT 10.3 (JetPack 6) lacks some operators.
        warnings.simplefilter('ignore')
        traced = Path(folder) / 'traced.onnx'
        torch.onnx.export(
            wrapped,
            example,
            traced,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=outputs,
            dynamic_axes={name: {0: 'batch'} for name in (*INPUTS, *outputs)},
            dynamo=False,
            # Preserve the evaluation mode, but keep the batch norms: see `_fold_norms`.
            training=torch.onnx.TrainingMode.PRESERVE,
        )
        model = onnx.load(traced)
    _fold_constants(model)
    _name_weights_once(model)
    _fold_norms(model)
    _store_large_weights_in_half(model)
    helper.set_model_props(
        model,
        {
            'magadepth_format': FORMAT,
            'network': config.name,
            'input_height': str(config.height),
            'input_width': str(config.width),
            'min_depth': str(config.min_depth),
            'max_depth': str(config.max_depth),
            'normalisation': 'in the graph: rgb 0..1, depth in metres with 0 = missing',
            'version': __version__,
            'training_data': training_data,
            'licence': licence,
            'low_precision_safe': str(int(low_precision_safe)),
        },
    )
    onnx.checker.check_model(model)
    write_result(path, model.SerializeToString())


def _fold_constants(model: onnx.ModelProto) -> None:
    """
    Replace nodes that depend only on constants by their values, and merge equal constants.

    The tracer writes a dozen nodes for every padding and four constants for every slice.
    """
    graph = model.graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[tuple[bytes, ...], onnx.TensorProto] = {}
    kept = []
    for node in graph.node:
        inputs = [name for name in node.input if name]
        if node.op_type == 'Constant':
            tensor = next((a.t for a in node.attribute if a.name == 'value'), None)
        elif inputs and all(i in known and np.prod(known[i].dims) <= LARGE for i in inputs):
            tensor = _value(node, [known[i] for i in inputs], found)
        else:
            tensor = None
        if tensor is None or len(node.output) > 1:
            kept.append(node)
            continue
        known[node.output[0]] = onnx.TensorProto()
        known[node.output[0]].CopyFrom(tensor)
        known[node.output[0]].name = node.output[0]
    first: dict[tuple[object, ...], str] = {}
    instead = {}
    for name, tensor in known.items():
        array = numpy_helper.to_array(tensor)
        instead[name] = first.setdefault((array.dtype, array.shape, array.tobytes()), name)
    for node in kept:
        for i, name in enumerate(node.input):
            node.input[i] = instead.get(name, name)
    used = {name for node in kept for name in node.input}
    remaining = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(remaining)
    del graph.initializer[:]
    graph.initializer.extend(known[name] for name in known if name in used)


def _value(
    node: onnx.NodeProto,
    inputs: list[onnx.TensorProto],
    found: dict[tuple[bytes, ...], onnx.TensorProto],
) -> onnx.TensorProto:
    """Run one node on constants; ``found`` caches the results, as few nodes differ."""
    arrays = [numpy_helper.to_array(tensor) for tensor in inputs]
    key = (
        node.op_type.encode(),
        *(attribute.SerializeToString() for attribute in node.attribute),
        *(f'{a.dtype}{a.shape}'.encode() + a.tobytes() for a in arrays),
    )
    if key not in found:
        output = helper.make_empty_tensor_value_info(node.output[0])
        graph = helper.make_graph([node], 'constant', [], [output], inputs)
        single = helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)])
        answer: Any = ReferenceEvaluator(single).run(None, {})
        found[key] = numpy_helper.from_array(np.asarray(answer[0]))
    return found[key]


def _name_weights_once(model: onnx.ModelProto) -> None:
    """Use weights under their own name; the exporter merges equal ones under another name."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    instead: dict[str, str] = {}
    for node in list(graph.node):
        for i, name in enumerate(node.input):
            node.input[i] = instead.get(name, name)
        if node.op_type == 'Identity' and node.input[0] in weights:
            instead[node.output[0]] = node.input[0]
            graph.node.remove(node)


def _fold_norms(model: onnx.ModelProto) -> None:
    """
    Replace a batch norm behind a convolution by its bias and a factor per channel of its weights.

    The factor stays a node of its own, which every runtime folds when it loads the file. The
    weights are exact in float16; their product with the factor would not be.
    """
    graph = model.graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    uses = Counter(name for node in graph.node for name in node.input)
    factors = []
    for norm in [node for node in graph.node if node.op_type == 'BatchNormalization']:
        conv = made_by.get(norm.input[0])
        if conv is None or conv.op_type != 'Conv' or uses[norm.input[0]] > 1:
            continue
        name, out = conv.input[1], norm.output[0]
        scale, shift, mean, variance, *bias = (
            numpy_helper.to_array(values[i]).astype('float64')
            for i in (*norm.input[1:], *conv.input[2:])
        )
        epsilon = next(a.f for a in norm.attribute if a.name == 'epsilon')
        factor = scale / (variance + epsilon) ** 0.5
        for key, array in (
            ('factor', factor.reshape(-1, 1, 1, 1)),
            ('bias', shift + (sum(bias) - mean) * factor),
        ):
            tensor = numpy_helper.from_array(array.astype('float32'), f'{out}_{key}')
            graph.initializer.append(tensor)
        folded = f'{out}_weight'
        factors.append(helper.make_node('Mul', [name, f'{out}_factor'], [folded], folded))
        conv.input[1:] = [folded, f'{out}_bias']
        conv.output[0] = out
        graph.node.remove(norm)
    for factor_node in reversed(factors):
        graph.node.insert(0, factor_node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _store_large_weights_in_half(model: onnx.ModelProto) -> None:
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != 'float32' or values.size <= LARGE:
            continue
        with np.errstate(over='ignore'):
            half = values.astype('float16')
        if not np.array_equal(half, values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f'{name}_half'))
        casts.append(helper.make_node('Cast', [f'{name}_half'], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
