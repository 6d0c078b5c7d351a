# SPDX-License-Identifier: Apache-2.0
"""
Every network at its full size leaves PyTorch by its ONNX alone: runtimes, completer, TensorRT.

Slow: ten minutes on one core. `MAGADEPTH_FRAMES` names a manifest folder to take recorded frames
from, else rooms are simulated; `pytest -s` shows the tables.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('onnx')

from support.exports import export_untrained, random_frame

from magadepth_ros.completion.completer import Completer
from magadepth_ros.engines.build_request import BuildRequest
from magadepth_ros.engines.building import build_and_check
from magadepth_ros.engines.check import check_frames
from magadepth_ros.engines.onnxruntime import OnnxRuntimeEngine
from magadepth_ros.engines.openvino import OpenVinoEngine
from magadepth_ros.engines.tensorrt_library import RTX, load_library
from magadepth_ros.errors import EngineError
from magadepth_ros.simulation import simulated_frames
from magadepth_training.networks.registry import network_config, network_names

pytestmark = pytest.mark.slow

SAME = 1e-3
"""Metres by which a runtime may differ from PyTorch at any pixel."""


@pytest.fixture(scope='module', params=network_names())
def name(request):
    return request.param


@pytest.fixture(scope='module')
def frames(name):
    """Return (rgb (1, 3, H, W), depth (1, 1, H, W)): noise, then frames of a camera."""
    config = network_config(name)
    folder = os.environ.get('MAGADEPTH_FRAMES')
    camera = check_frames(config, Path(folder) if folder else None, 3)
    return [random_frame(config.height, config.width), *camera]


@pytest.fixture(scope='module')
def exported(name, frames, tmp_path_factory):
    """Return a network as its weights file holds it, and its ONNX."""
    return export_untrained(name, tmp_path_factory.mktemp('export'), frames)


@pytest.fixture(scope='module')
def expected(exported, frames):
    """Return PyTorch's answers, float32."""
    with torch.inference_mode():
        return [exported[0](*map(torch.from_numpy, frame)).depth.numpy() for frame in frames]


@pytest.mark.parametrize('runtime', [OnnxRuntimeEngine, OpenVinoEngine])
def test_every_runtime_gives_the_network_s_metres(exported, frames, expected, runtime):
    network, path = exported
    engine = runtime(path, 'fp32', threads=1)
    worst = [
        np.abs(engine.infer(*frame).depth - metres).max()
        for frame, metres in zip(frames, expected)
    ]
    engine.close()

    print(
        f'\n| {network.config.name} | {network.height}x{network.width} | {engine.backend} '
        f'| random {1e3 * worst[0]:.4f} mm | camera {1e3 * max(worst[1:]):.4f} mm |'
    )
    assert all(metres.std() > 1e-3 for metres in expected)
    assert max(worst) <= SAME


def test_the_completer_needs_nothing_but_the_onnx(exported, tmp_path):
    alone = tmp_path / 'alone.onnx'
    alone.write_bytes(exported[1].read_bytes())
    rgb, depth = simulated_frames(400, 300, 1)[0]
    completer = Completer.open(alone, backend='openvino', precision='fp32', threads=1)

    completion = completer.complete(rgb, depth)

    completer.close()
    assert completion.depth.shape == (300, 400)
    measured = depth > 0
    assert completion.filled[~measured].mean() > 0.5
    assert np.isfinite(completion.depth[completion.filled]).all()
    assert completion.depth[completion.filled].max() <= 10.0


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_tensorrt_for_rtx_builds_an_engine(exported, precision):
    try:
        library = load_library(RTX)
    except EngineError as error:
        pytest.skip(str(error))
    network, path = exported
    # Without training rounding adds up as nobody would let it: fp16 must not overflow, no more.
    limit = 1.0 if precision == 'fp16' else 0.0

    file = build_and_check(BuildRequest(path, library, None, precision, limit=limit))

    data, report = file.data, file.report
    share = report['precision_share']
    print(
        f'\n| {network.config.name} | {precision} | {report["layers"]} layers | '
        f'{", ".join(f"{n} {v:.0%}" for n, v in share.items())} | {len(data) / 2**20:.1f} MiB '
        f'| {report["build_seconds"]:.1f} s |'
    )
    assert report['layers'] > 50
    assert ('fp16' in share) == (precision == 'fp16')
    assert len(data) > 100_000
