# SPDX-License-Identifier: Apache-2.0
"""
Runs an ONNX on the CPU in exactly the types it states, to check what a GPU would compute.

ONNX Runtime has few float16 kernels for the CPU: it computes in float32 and drops the casts
around, so an overflow of float16 goes unseen. An Identity behind every float16 result keeps the
casts: each result is rounded to float16, and one beyond 65504 becomes infinite, as on a GPU
(which sums up in float32 inside an operator, too).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.engines.arrays import as_inputs
from magadepth_ros.engines.engine import Prediction
from magadepth_ros.engines.half_precision import import_onnx
from magadepth_ros.engines.metadata import OPTIONAL_OUTPUT, OUTPUT, read_model_info
from magadepth_ros.errors import EngineError


class OnnxCpuEngine:
    """An ONNX on ONNX Runtime; slow on purpose where float16 is inside."""

    backend = 'onnxruntime'

    def __init__(self, model: Path | str, threads: int = 0) -> None:
        self.info = read_model_info(model)
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                f'running an ONNX as stated needs onnxruntime ({error}); pip install onnxruntime'
            ) from error
        onnx = import_onnx()
        network = onnx.load(str(model))
        half = _keep_half(onnx, network)
        self.precision = 'fp16' if half else 'fp32'
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        if half:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._names = [output.name for output in network.graph.output]
        try:
            self._session: Any = onnxruntime.InferenceSession(
                network.SerializeToString(), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:
            # ONNX Runtime's exceptions share no public base class.
            raise EngineError(f'{model}: ONNX Runtime cannot open it: {error}') from error

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        """Run the network; see :class:`magadepth_ros.engines.engine.Engine`."""
        if self._session is None:
            raise EngineError('this engine is closed; open it again')
        rgb, depth = as_inputs(self.info, rgb, depth)
        found = dict(
            zip(self._names, self._session.run(self._names, {'rgb': rgb, 'depth': depth}))
        )
        return Prediction(found[OUTPUT], found.get(OPTIONAL_OUTPUT))

    def close(self) -> None:
        """Release the session."""
        self._session = None


def _keep_half(onnx: Any, network: Any) -> bool:
    """Put an Identity behind every float16 result; returns whether there was one."""
    graph = onnx.shape_inference.infer_shapes(network).graph
    half = {
        value.name
        for value in graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    }
    nodes = []
    for node in network.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        nodes.append(copy)
        for index, name in enumerate(node.output):
            if name in half:
                copy.output[index] = f'{name}/unrounded'
                nodes.append(onnx.helper.make_node('Identity', [copy.output[index]], [name]))
    del network.graph.node[:]
    network.graph.node.extend(nodes)
    del network.graph.value_info[:]
    return bool(half)
