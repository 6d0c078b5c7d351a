# SPDX-License-Identifier: Apache-2.0
"""
Writes the ONNX whose types state the arithmetic of an engine: float32, or float16 inside.

Strongly typed TensorRT (the only kind from 11.x on) computes in the types the graph states, so
the precision of an engine is decided here: only what lies between the first and the last layer
with weights becomes float16. What comes before (filling holes, normalising) and after works on
metres and stays float32, and so do operators whose range float16 does not hold. ONNX Runtime folds
the constants and converts.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
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
        # Sums over a whole image, powers and exponentials leave float16's range or its 11 bits.
        'Exp', 'Log', 'Pow', 'Sqrt', 'Reciprocal', 'CumSum', 'Softmax', 'LogSoftmax',
        'ReduceSum', 'ReduceMean', 'ReduceL2', 'ReduceSumSquare', 'ReduceProd', 'ReduceLogSumExp',
        'LayerNormalization', 'InstanceNormalization', 'GroupNormalization',
        'LpNormalization', 'MeanVarianceNormalization', 'GlobalAveragePool',
        'Constant', 'ConstantOfShape', 'RandomNormal', 'RandomUniform', 'Range',
    }
)  # fmt: skip


def write_typed(
    source: Path | str, target: Path | str, precision: str, largest_batch: int = 1
) -> None:
    """
    Write the magadepth model ``source`` in ``precision`` (``fp32`` or ``fp16``) to ``target``.

    Inputs and outputs stay float32. With a ``largest_batch`` of 1 the batch is fixed to it, else
    left as it is. A layer with a weight that float16 does not hold stays float32.

    Raises
    ------
    ModelError
        the source is no magadepth model.
    EngineError
        onnx or ONNX Runtime is not installed, or ``target`` cannot be written.

    """
    read_model_info(source)
    model = _folded(source, fix_batch=largest_batch == 1)
    if precision == 'fp16':
        model = _to_half(model)
    try:
        Path(target).write_bytes(model.SerializeToString())
    except OSError as error:
        raise EngineError(
            f'{target}: the converted ONNX cannot be written ({error.strerror or error}); free '
            'some space, or name another folder'
        ) from error


def stated_precision(model: Path | str) -> str:
    """Return the lowest arithmetic that layers with weights have in an ONNX."""
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
    around, so an overflow of float16 goes unseen. An Identity behind every float16 result keeps
    the casts: one beyond 65504 becomes infinite. (A GPU, too, sums up in float32 inside.)
    """
    network = load_onnx(model)
    import onnx

    found = onnx.shape_inference.infer_shapes(network).graph.value_info
    half = {v.name for v in found if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
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


def _folded(source: Path | str, fix_batch: bool = False) -> Any:
    """
    Return an ONNX with its constants folded, by ONNX Runtime.

    Models store large weights as float16 with a Cast behind, and a factor per channel behind that.
    TensorRT wants weights to be weights, or it takes such a convolution for a dynamic one.
    """
    model = load_onnx(source)
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f'converting a model needs onnxruntime ({error}); {pip_install("onnxruntime")}'
        ) from error
    if fix_batch:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        # What the exporter noted for a free batch would stand in the way.
        del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        with tempfile.TemporaryDirectory(prefix='magadepth-') as folder:
            options.optimized_model_filepath = str(Path(folder) / 'folded.onnx')
            onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=['CPUExecutionProvider']
            )
            folded = load_onnx(options.optimized_model_filepath)
    except OSError as error:
        raise EngineError(
            f'the converted ONNX cannot be written ({error.strerror or error}); free some space, '
            'or set TMPDIR to a folder that can be written'
        ) from error
    except Exception as error:
        # ONNX Runtime's exceptions share no public base class.
        raise EngineError(f'{source}: ONNX Runtime cannot read it: {last_line(error)}') from error
    # It notes its own operator sets, too, which TensorRT does not know.
    _replace(folded.opset_import, [entry for entry in folded.opset_import if not entry.domain])
    return folded


def _to_half(model: Any) -> Any:
    """Return a model whose layers between the first and the last with weights are float16."""
    from onnxruntime.transformers.onnx_model import OnnxModel

    for number, node in enumerate(model.graph.node):
        node.name = node.name or f'node_{number}'
    chosen = _between_weights(model)
    if not chosen:
        return model
    kept = [node.name for node in model.graph.node if node.name not in chosen]
    converter = OnnxModel(model)
    # It also joins the casts between two layers that stay float32, which would round there.
    converter.convert_float_to_float16(
        use_symbolic_shape_infer=False, op_block_list=[], node_block_list=kept
    )
    converter.topological_sort()
    return converter.model


def _between_weights(model: Any) -> set[str]:
    """Return the names of the nodes that become float16."""
    from onnx import numpy_helper

    nodes = list(model.graph.node)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weighted = {n.name for n in nodes if n.op_type in WEIGHTED and n.input[1] in weights}
    behind: set[str] = set()
    for node in nodes:
        if node.name in weighted or behind.intersection(node.input):
            behind.update(node.output)
    before: set[str] = set()
    for node in reversed(nodes):
        if node.name in weighted or before.intersection(node.output):
            before.update(node.input)
    chosen = set()
    for node in nodes:
        inside = node.name in weighted or before.intersection(node.output)
        if not inside or not behind.intersection(node.output) or node.op_type in KEPT_OPERATORS:
            continue
        given = [weights[name] for name in node.input if name in weights]
        if all(
            np.abs(array).max(initial=0.0) <= HALF_MAX
            for array in given
            if array.dtype.kind == 'f'
        ):
            chosen.add(node.name)
        else:
            _LOG.warning('%s: a weight beyond 65504 stays float32', node.name)
    return chosen


def _replace(field: Any, items: Iterable[Any]) -> None:
    """Give a repeated protobuf field other items."""
    kept = list(items)
    del field[:]
    field.extend(kept)
