# SPDX-License-Identifier: Apache-2.0
"""The exported ONNX: the same metres in every runtime, and all that a runtime needs to know."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

from support.networks import (
    HEIGHT,
    SHRUNK,
    WIDTH,
    frames,
    shaken,
    tiny,
    tiny_chooser,
    tiny_s2ml,
)

from magadepth_ros import __version__
from magadepth_ros.engines.metadata import read_model_info
from magadepth_training.export import export_onnx
from magadepth_training.networks.registry import create_network
from magadepth_training.networks.surfaces import guided_fill, slopes
from magadepth_training.networks.surfaces.fill_network import GuidedFillConfig
from magadepth_training.weights import load_network, save_weights

CONFIGS = {
    'paper': tiny(),
    'scheme_d': create_network('scheme_d', **SHRUNK).config,
    'scheme_g': create_network('scheme_g', **SHRUNK).config,
    'guided_fill': GuidedFillConfig(height=HEIGHT, width=WIDTH),
    'chooser': tiny_chooser(),
    's2ml': tiny_s2ml(),
}


@pytest.fixture(scope='module', autouse=True)
def few_steps():
    """Let the fill settle in a few steps: each more is the same dozen nodes once more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guided_fill, 'STEPS', (1, 2, 2, 2))
        patch.setattr(slopes, 'STEPS', 2)
        yield


@pytest.fixture(scope='module', params=list(CONFIGS))
def exported(request, few_steps, tmp_path_factory):
    """Return a network as its weights file holds it, and its ONNX."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('export')
    untrained = shaken(create_network(CONFIGS[request.param]), spread=0.1).train()
    for module in untrained.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # so that one batch tells what it normalises
    with torch.no_grad():
        untrained(*frames(4))
    save_weights(untrained, folder / 'net.safetensors')
    network = load_network(folder / 'net.safetensors')
    path = folder / 'net.onnx'
    export_onnx(network, path, training_data='planes', licence='CC0-1.0', low_precision_safe=True)
    return network, path


def in_onnxruntime(path):
    """Load an ONNX once; return the function that runs it."""
    runtime = pytest.importorskip('onnxruntime')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda rgb, depth: session.run(None, {'rgb': rgb.numpy(), 'depth': depth.numpy()})


def in_openvino(path):
    """Load an ONNX once; return the function that runs it."""
    runtime = pytest.importorskip('openvino')
    settings = {'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': 1}
    compiled = runtime.Core().compile_model(path, 'CPU', settings)

    def run(rgb, depth):
        answer = compiled({'rgb': rgb.numpy(), 'depth': depth.numpy()})
        return [answer[i] for i in range(len(compiled.outputs))]

    return run


@pytest.mark.parametrize('runtime', [in_onnxruntime, in_openvino])
def test_every_runtime_gives_the_network_s_metres_in_every_batch(exported, runtime):
    network, path = exported
    run = runtime(path)
    for batch in (1, 2):
        given = frames(batch)
        with torch.inference_mode():
            expected = network(*given)

        got = run(*given)

        assert expected.depth.std() > 0.01
        assert len(got) == (1 if expected.log_variance is None else 2)
        np.testing.assert_allclose(got[0], expected.depth.numpy(), atol=1e-3, rtol=0)
        if expected.log_variance is not None:
            np.testing.assert_allclose(got[1], expected.log_variance.numpy(), atol=2e-2, rtol=0)


def test_extreme_inputs_give_what_the_network_gives(exported):
    network, path = exported
    run = in_onnxruntime(path)
    rgb, depth = frames(1)
    nothing = torch.zeros_like(depth)
    one_pixel = nothing.clone()
    one_pixel[..., 9, 11] = 1.5
    measured = {
        'nothing': nothing,
        'one pixel': one_pixel,
        'everything': torch.full_like(depth, 2.0),
    }
    for name, depth in measured.items():
        with torch.inference_mode():
            expected = network(rgb, depth).depth

        got = run(rgb, depth)[0]

        assert np.isfinite(got).all(), name
        # Partial convolutions scale a lone pixel up by 49 a layer, rounding with it.
        if (network.config.name, name) != ('scheme_d', 'one pixel'):
            np.testing.assert_allclose(got, expected.numpy(), atol=1e-3, rtol=0, err_msg=name)


def test_the_runtime_reads_its_metadata(exported):
    network, path = exported
    info, graph = read_model_info(path), onnx.load(path).graph
    outputs = [value.name for value in graph.output]

    assert (info.network, info.height, info.width) == (network.config.name, HEIGHT, WIDTH)
    assert (info.min_depth, info.max_depth) == (0.1, 10.0)
    assert (info.training_data, info.licence, info.version) == ('planes', 'CC0-1.0', __version__)
    assert info.low_precision_safe
    assert [value.name for value in graph.input] == ['rgb', 'depth']
    assert outputs[0] == 'completed'
    # The paper's networks give depth alone.
    confident = network.config.name in ('guided_fill', 'chooser_tiny', 's2ml_tiny')
    assert outputs[1:] == (['log_variance'] if confident else [])


def test_it_is_one_file_that_older_tensorrt_takes(exported):
    _, path = exported
    model = onnx.load(path, load_external_data=False)

    assert {entry.domain: entry.version for entry in model.opset_import} == {'': 17}
    assert not [t for t in model.graph.initializer if t.external_data]
    assert not list(path.parent.glob('*.partial'))
    types = {
        value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)
    }
    assert types == {onnx.TensorProto.FLOAT}
    shapes = [
        [d.dim_value for d in value.type.tensor_type.shape.dim[1:]] for value in model.graph.input
    ]
    assert shapes == [[3, HEIGHT, WIDTH], [1, HEIGHT, WIDTH]]


def test_large_weights_are_stored_as_in_the_weights_file_and_rounded_no_further(tmp_path):
    network = create_network(tiny(channels=(12, 24, 24)))
    save_weights(shaken(network), tmp_path / 'net.safetensors')
    network = load_network(tmp_path / 'net.safetensors')
    export_onnx(network, tmp_path / 'net.onnx', training_data='none')

    graph = onnx.load(tmp_path / 'net.onnx').graph
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    halves = {name: array for name, array in stored.items() if array.dtype == np.float16}
    # The batch norms are folded away, all but those that follow no convolution.
    norms = [node for node in graph.node if node.op_type == 'BatchNormalization']
    weights = network.state_dict()
    named = 0
    for name, array in halves.items():
        name = name.removeprefix('network.').removesuffix('_half')
        if name in weights:
            named += 1
            np.testing.assert_array_equal(array, weights[name].numpy())

    assert named > 10
    assert len(norms) == len(network.decoder.stages)
    large = [n for n, a in stored.items() if a.dtype == np.float32 and a.size > 1024]
    assert not [name for name in large if name.removeprefix('network.') in weights]


def test_a_network_in_training_is_exported_as_it_works(tmp_path):
    network = create_network(tiny()).train()

    export_onnx(network, tmp_path / 'net.onnx', training_data='none')

    given = frames(1)
    got = in_onnxruntime(tmp_path / 'net.onnx')(*given)[0]
    with torch.inference_mode():
        np.testing.assert_allclose(got, network.eval()(*given).depth.numpy(), atol=2e-3)


def test_layers_with_weights_are_in_it_where_the_network_has_some(exported):
    network, path = exported
    kinds = {node.op_type for node in onnx.load(path).graph.node}

    assert bool(kinds & {'Conv', 'MatMul', 'Gemm'}) == any(True for _ in network.parameters())


def test_default_is_not_safe_in_low_precision(tmp_path):
    export_onnx(create_network(tiny()), tmp_path / 'net.onnx', training_data='none')

    assert not read_model_info(tmp_path / 'net.onnx').low_precision_safe
