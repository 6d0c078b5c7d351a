# SPDX-License-Identifier: Apache-2.0
"""A tiny but real model: the shipped models' inputs, outputs and metadata in a few kilobytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

WINDOW = 9
METADATA = {
    'magadepth_format': '1',
    'network': 'tiny',
    'min_depth': '0.1',
    'max_depth': '10.0',
    'normalisation': 'inside',
    'version': '0.1.0',
    'training_data': 'none: constant weights',
    'licence': 'Apache-2.0',
    'low_precision_safe': '0',
}


def write_tiny_model(
    path: Path | str,
    height: int = 48,
    width: int = 64,
    log_variance: bool = True,
    *,
    dynamic_batch: bool = False,
    gain: float = 1.0,
    metadata: dict[str, str] | None = None,
) -> Path:
    """
    Write an ONNX that keeps valid depth and fills holes, and return its path.

    A hole takes the mean of the valid depth in the 9x9 window around it (the mean of the whole
    image where the window has none) plus a residual of at most 1 cm from a 3x3 convolution of
    RGB and filled depth. ``gain`` multiplies the convolution's weights and is divided out again
    behind it: the answer in float32 is the same, but a large one overflows float16 inside.
    ``metadata`` overrides entries; an entry of '' is left out.
    """
    pytest.importorskip('onnx', reason='makes models to test with')
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: object, dtype: type = np.float32) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(values, dtype), name)

    def node(op: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(op, inputs, [output], name=f'{output}_node', **attributes)

    rng = np.random.default_rng(7)
    hidden = 4
    pool = {
        'kernel_shape': [WINDOW, WINDOW],
        'pads': [WINDOW // 2] * 4,
        'count_include_pad': 1,
    }
    same = {'kernel_shape': [3, 3], 'pads': [1, 1, 1, 1]}
    nodes = [
        node('Greater', ['depth', 'zero'], 'fill/valid_bool'),
        node('Cast', ['fill/valid_bool'], 'fill/valid', to=TensorProto.FLOAT),
        node('AveragePool', ['depth'], 'fill/sum', **pool),
        node('AveragePool', ['fill/valid'], 'fill/count', **pool),
        node('Max', ['fill/count', 'tiny_count'], 'fill/count_safe'),
        node('Div', ['fill/sum', 'fill/count_safe'], 'fill/local'),
        node('ReduceSum', ['depth', 'image_axes'], 'fill/image_sum', keepdims=1),
        node('ReduceSum', ['fill/valid', 'image_axes'], 'fill/image_count', keepdims=1),
        node('Max', ['fill/image_count', 'one'], 'fill/image_count_safe'),
        node('Div', ['fill/image_sum', 'fill/image_count_safe'], 'fill/image_mean'),
        node('Greater', ['fill/count', 'tiny_count'], 'fill/has_local'),
        node('Where', ['fill/has_local', 'fill/local', 'fill/image_mean'], 'fill/hole'),
        node('Where', ['fill/valid_bool', 'depth', 'fill/hole'], 'fill/filled'),
        node('Div', ['fill/filled', 'max_depth'], 'normalise/depth'),
        node('Concat', ['rgb', 'normalise/depth'], 'net/input', axis=1),
        node('Conv', ['net/input', 'net/weight1', 'net/bias1'], 'net/conv1', **same),
        node('Relu', ['net/conv1'], 'net/relu1'),
        node('Div', ['net/relu1', 'net/gain'], 'net/scaled'),
        node('Conv', ['net/scaled', 'net/weight2', 'net/bias2'], 'net/conv2', **same),
        node('Tanh', ['net/conv2'], 'net/tanh'),
        node('Mul', ['net/tanh', 'centimetre'], 'residual/metres'),
        node('Add', ['fill/filled', 'residual/metres'], 'completed'),
    ]
    initialisers = [
        constant('zero', 0.0),
        constant('one', 1.0),
        constant('tiny_count', 0.5 / WINDOW**2),
        constant('image_axes', [2, 3], np.int64),
        constant('max_depth', 10.0),
        constant('centimetre', 0.01),
        constant('net/gain', gain),
        constant('net/weight1', gain * rng.normal(0, 0.3, (hidden, 4, 3, 3))),
        constant('net/bias1', gain * np.full(hidden, 0.1)),
        constant('net/weight2', rng.normal(0, 0.3, (1, hidden, 3, 3))),
        constant('net/bias2', np.zeros(1)),
    ]
    batch: int | str = 'batch' if dynamic_batch else 1

    def image(name: str, channels: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(
            name, TensorProto.FLOAT, [batch, channels, height, width]
        )

    outputs = [image('completed', 1)]
    if log_variance:
        nodes += [
            node('Conv', ['net/scaled', 'net/weight3', 'net/bias3'], 'log_variance', **same),
        ]
        initialisers += [
            constant('net/weight3', rng.normal(0, 0.3, (1, hidden, 3, 3))),
            constant('net/bias3', [-6.0]),
        ]
        outputs.append(image('log_variance', 1))
    graph = helper.make_graph(
        nodes, 'tiny', [image('rgb', 3), image('depth', 1)], outputs, initialisers
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8, producer_name='test'
    )
    entries = {
        **METADATA,
        'input_height': str(height),
        'input_width': str(width),
        **(metadata or {}),
    }
    helper.set_model_props(model, {key: value for key, value in entries.items() if value != ''})
    onnx.checker.check_model(model, full_check=True)
    path = Path(path)
    path.write_bytes(model.SerializeToString())
    return path
