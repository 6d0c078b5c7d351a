# SPDX-License-Identifier: Apache-2.0
"""Tests of the PyTorch engine against the exported ONNX."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('magadepth_training', reason='the training package is not installed')
pytest.importorskip('onnx', reason='the export needs onnx')
onnxruntime = pytest.importorskip('onnxruntime', reason='ONNX Runtime is the reference')

from support.networks import tiny_chooser
from support.pictures import holey_batch

from magadepth_ros.engines import open_engine
from magadepth_ros.engines.torch import TorchEngine
from magadepth_ros.errors import EngineError
from magadepth_training.export import export_onnx
from magadepth_training.networks.registry import create_network
from magadepth_training.weights import save_weights


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp('weights')
    network = create_network(tiny_chooser(height=48, width=64)).eval()
    for parameter in network.parameters():
        if not parameter.abs().max():  # a fresh network is nearly its fill
            torch.nn.init.normal_(parameter, std=0.02)
    save_weights(network, folder / 'net.safetensors')
    export_onnx(network, folder / 'net.onnx', training_data='none')
    return folder / 'net.onnx'


def test_it_computes_what_the_onnx_computes(model):
    engine = TorchEngine(model, device='cpu', precision='fp32')
    session = onnxruntime.InferenceSession(str(model))
    for count in (1, 2):
        rgb, depth = holey_batch(count)
        found = engine.infer(rgb, depth)
        wanted = session.run(None, {'rgb': rgb, 'depth': depth})
        # The files hold weights rounded to float16, alike in both.
        np.testing.assert_allclose(found.depth, wanted[0], atol=2e-3)
        np.testing.assert_allclose(found.log_variance, wanted[1], atol=2e-2)
    assert engine.backend == 'torch-cpu'
    engine.close()
    with pytest.raises(EngineError, match='closed'):
        engine.infer(rgb, depth)


def test_bf16_changes_little_and_is_reported(model):
    rgb, depth = holey_batch()
    wanted = TorchEngine(model, device='cpu', precision='fp32').infer(rgb, depth)
    engine = open_engine(model, backend='torch-cpu', precision='bf16')
    assert engine.precision == 'bf16'
    found = engine.infer(rgb, depth)
    assert found.depth.dtype == np.float32
    np.testing.assert_allclose(found.depth, wanted.depth, rtol=0.02)


def test_missing_weights_and_devices_are_said(model, tmp_path):
    (tmp_path / 'net.onnx').write_bytes(model.read_bytes())
    with pytest.raises(EngineError, match=r'net\.safetensors: no such file'):
        open_engine(tmp_path / 'net.onnx', backend='torch-cpu')
    with pytest.raises(EngineError, match='use auto, fp32 or bf16'):
        TorchEngine(model, device='cpu', precision='fp16')
    if not torch.cuda.is_available():
        with pytest.raises(EngineError, match='no CUDA GPU'):
            open_engine(model, backend='torch-cuda')


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs an NVIDIA GPU')
@pytest.mark.parametrize('count', [1, 4])
def test_cuda_in_half_precision_is_near_the_cpu(model, count):
    engine = TorchEngine(model, device='cuda', precision='fp16')
    for seed in range(2):
        rgb, depth = holey_batch(count, seed=seed)
        wanted = TorchEngine(model, device='cpu', precision='fp32').infer(rgb, depth)
        np.testing.assert_allclose(engine.infer(rgb, depth).depth, wanted.depth, rtol=0.01)
