# SPDX-License-Identifier: Apache-2.0
"""
Turns a float32 ONNX into one that computes in float16 inside, with float32 inputs and outputs.

Strongly typed TensorRT (the only kind from 11.x on) computes in the types the graph states, so
the precision of an engine is decided here: only what lies between the first and the last layer
with weights becomes float16. What comes before (filling holes, normalising) and after (adding the
residual to metres, bounds) is cheap, works on metres and stays float32, and so do operators whose
range float16 does not hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.errors import EngineError, ModelError

HALF_MAX = 65504.0
WEIGHTED = frozenset({'Conv', 'ConvTranspose', 'Gemm', 'MatMul'})
KEPT_OPERATORS = frozenset(
    {
        # Sums over a whole image, powers and exponentials leave float16's range or its 11 bits.
        'Exp', 'Log', 'Pow', 'Sqrt', 'Reciprocal', 'CumSum', 'Softmax', 'LogSoftmax',
        'ReduceSum', 'ReduceMean', 'ReduceL2', 'ReduceSumSquare', 'ReduceProd', 'ReduceLogSumExp',
        'LayerNormalization', 'InstanceNormalization', 'GroupNormalization',
        'LpNormalization', 'MeanVarianceNormalization', 'GlobalAveragePool',
    }
)  # fmt: skip
_UNTOUCHED = frozenset({'Constant', 'ConstantOfShape', 'RandomNormal', 'RandomUniform', 'Range'})
_FLOAT_ONLY_INPUTS = {'Resize': (1, 2), 'Upsample': (1,)}


def to_half(source: Path | str, target: Path | str, batch: int = 0) -> list[str]:
    """
    Write ``source`` with float16 inside to ``target``.

    Parameters
    ----------
    source, target:
        paths of ONNX files.
    batch:
        fixes the batch to this size, where it is free; 0 leaves it.

    Returns
    -------
    list
        names of the nodes that stay float32 because a weight does not fit float16.

    Raises
    ------
    ModelError
        the source is no ONNX or has control flow inside.
    EngineError
        the onnx package is not installed.

    """
    onnx = import_onnx()
    model = _load(onnx, source, batch)
    too_large = _Halver(onnx, model).run()
    onnx.checker.check_model(model)
    Path(target).write_bytes(model.SerializeToString())
    return too_large


def to_single(source: Path | str, target: Path | str, batch: int = 0) -> None:
    """Write ``source`` with its weights in float32; raises as :func:`to_half` does."""
    onnx = import_onnx()
    model = _load(onnx, source, batch)
    nodes = fold_weights(onnx, model.graph)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    Path(target).write_bytes(model.SerializeToString())


def _load(onnx: Any, source: Path | str, batch: int) -> Any:
    try:
        model = onnx.load(str(source))
        if batch:
            for value in (*model.graph.input, *model.graph.output):
                dimension = value.type.tensor_type.shape.dim[0]
                if not dimension.dim_value:
                    dimension.dim_value = batch
            # What the exporter noted for a free batch would stand in the way.
            del model.graph.value_info[:]
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except FileNotFoundError:
        raise ModelError(f'{source}: no such model file') from None
    except Exception as error:
        # The protobuf runtimes raise types of their own that share no base class.
        raise ModelError(f'{source}: not an ONNX file ({type(error).__name__})') from error


def import_onnx() -> Any:
    """Return the onnx package; EngineError with the remedy where it is not installed."""
    try:
        import onnx
        import onnx.shape_inference
    except ImportError as error:
        raise EngineError(
            f'converting a model needs the onnx package ({error}); pip install onnx'
        ) from error
    return onnx


class _Halver:
    def __init__(self, onnx: Any, model: Any) -> None:
        self.onnx, self.graph = onnx, model.graph
        self.float, self.float16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
        self.too_large: list[str] = []
        graph = model.graph
        self.weights: dict[str, Any] = {}
        self.types = {
            value.name: value.type.tensor_type.elem_type
            for value in (*graph.input, *graph.output, *graph.value_info)
        }
        self.casts: dict[tuple[str, int], str] = {}
        self.nodes: list[Any] = []

    def run(self) -> list[str]:
        source = fold_weights(self.onnx, self.graph)
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        self.types.update({name: tensor.data_type for name, tensor in self.weights.items()})
        half = self._choose(source)
        made_half = {out for i in half for out in source[i].output if self._is_float(out)}
        outputs = {value.name for value in self.graph.output}
        for number, node in enumerate(source):
            if number in half:
                self._convert(node, made_half, outputs)
            else:
                self._keep(node, made_half)
        kept_types = [v for v in self.graph.value_info if v.name not in made_half]
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]
        self.graph.value_info.extend(kept_types)
        used = {name for node in self.nodes for name in node.input}
        stay = [tensor for tensor in self.weights.values() if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(stay)
        return self.too_large

    def _choose(self, nodes: list[Any]) -> set[int]:
        """Return the places of the nodes that become float16."""
        for node in nodes:
            if any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute):
                raise ModelError(f'node {node.name} ({node.op_type}): control flow is unsupported')
        behind: set[str] = set()
        for node in nodes:
            if self._weighted(node) or behind & set(node.input):
                behind.update(node.output)
        before: set[str] = set()
        for node in reversed(nodes):
            if self._weighted(node) or before & set(node.output):
                before.update(node.input)
        return {
            number
            for number, node in enumerate(nodes)
            if behind & set(node.output)
            and (self._weighted(node) or before & set(node.output))
            and self._may_be_half(node)
        }

    def _weighted(self, node: Any) -> bool:
        if node.op_type not in WEIGHTED:
            return False
        return any(name in self.weights for name in node.input[1:2])

    def _may_be_half(self, node: Any) -> bool:
        if node.op_type in KEPT_OPERATORS or node.op_type in _UNTOUCHED:
            return False
        if not any(self._is_float(name) for name in node.output):
            return False
        for name in self._castable(node):
            tensor = self.weights.get(name)
            if tensor is None or tensor.data_type != self.float:
                continue
            values = self.onnx.numpy_helper.to_array(tensor)
            if values.size and not np.abs(values).max() <= HALF_MAX:
                self.too_large.append(node.name or node.output[0])
                return False
        return True

    def _castable(self, node: Any) -> list[str]:
        skip = _FLOAT_ONLY_INPUTS.get(node.op_type, ())
        return [n for i, n in enumerate(node.input) if i not in skip and self._is_float(n)]

    def _is_float(self, name: str) -> bool:
        return bool(name) and self.types.get(name) == self.float

    def _convert(self, node: Any, made_half: set[str], outputs: set[str]) -> None:
        castable = set(self._castable(node))
        skip = _FLOAT_ONLY_INPUTS.get(node.op_type, ())
        for index, name in enumerate(node.input):
            if name in made_half:
                if index in skip:
                    node.input[index] = self._cast(name, self.float)
            elif name in castable and index not in skip:
                node.input[index] = self._half_of(name)
        for attribute in node.attribute:
            if node.op_type == 'Cast' and attribute.name == 'to' and attribute.i == self.float:
                attribute.i = self.float16
        renamed = {}
        for index, name in enumerate(node.output):
            if name in outputs and name in made_half:
                renamed[name] = node.output[index] = f'{name}/fp16'
        self.nodes.append(node)
        for name, inside in renamed.items():
            self.nodes.append(self._cast_node(inside, name, self.float))
            made_half.discard(name)

    def _keep(self, node: Any, made_half: set[str]) -> None:
        for index, name in enumerate(node.input):
            if name in made_half:
                node.input[index] = self._cast(name, self.float)
        self.nodes.append(node)

    def _half_of(self, name: str) -> str:
        tensor = self.weights.get(name)
        if tensor is None:
            return self._cast(name, self.float16)
        half = f'{name}/fp16'
        if half not in self.weights:
            values = self.onnx.numpy_helper.to_array(tensor).astype(np.float16)
            self.weights[half] = self.onnx.numpy_helper.from_array(values, half)
        return half

    def _cast(self, name: str, to: int) -> str:
        """Return the name of ``name`` in another type; one Cast per tensor and type."""
        if (name, to) not in self.casts:
            target = f'{name}/{"to_fp16" if to == self.float16 else "to_fp32"}'
            self.nodes.append(self._cast_node(name, target, to))
            self.casts[name, to] = target
        return self.casts[name, to]

    def _cast_node(self, source: str, target: str, to: int) -> Any:
        return self.onnx.helper.make_node('Cast', [source], [target], name=f'{target}/cast', to=to)


def fold_weights(onnx: Any, graph: Any) -> list[Any]:
    """
    Return copies of the graph's nodes, with constants, casts and products of weights made weights.

    Shipped models store large weights as float16 with a Cast behind, half the file, and with a
    factor per channel behind that. TensorRT wants weights to be weights, or it takes such a
    convolution for one with dynamic weights.
    """
    nodes = []
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        tensor = None
        value = next((a.t for a in node.attribute if a.name == 'value'), None)
        if node.op_type == 'Constant' and value is not None:
            tensor = onnx.TensorProto()
            tensor.CopyFrom(value)
        elif node.op_type == 'Cast' and node.input[0] in weights:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
            values = onnx.numpy_helper.to_array(weights[node.input[0]])
            tensor = onnx.numpy_helper.from_array(values.astype(dtype))
        elif node.op_type == 'Mul' and all(name in weights for name in node.input):
            factors = [onnx.numpy_helper.to_array(weights[name]) for name in node.input]
            tensor = onnx.numpy_helper.from_array(factors[0] * factors[1])
        if tensor is None:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            nodes.append(copy)
            continue
        tensor.name = node.output[0]
        weights[tensor.name] = tensor
    used = {name for node in nodes for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(tensor for name, tensor in weights.items() if name in used)
    return nodes
