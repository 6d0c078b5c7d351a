# SPDX-License-Identifier: Apache-2.0
"""The node while a TensorRT engine is built: on a stand-in GPU, and where there is none."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from support.live import ManualCamera, running
from support.models import write_tiny_model

pytest.importorskip('onnxruntime', reason='ONNX Runtime computes for the stand-in GPU')


@pytest.fixture
def given(tmp_path):
    """Give the arguments and the environment of a node with a stand-in GPU."""
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    values = (f'model:={model}', 'max_age:=0.0', 'diagnostics_period:=0.2', 'precision:=fp32')
    args = [text for value in values for text in ('-p', value)]
    env = {'XDG_CACHE_HOME': str(tmp_path / 'cache'), 'GO_ON': str(tmp_path / 'go')}
    return args, env


def test_frames_come_from_openvino_until_the_engine_is_there(tmp_path, given):
    args, env = given
    with running('support.gpu_node', tmp_path, *args, **env) as (process, graph):
        camera = ManualCamera(graph)
        depth = graph.listen(Image, '/depth/completed')
        camera.wait_until_heard()
        camera.shoot_until(lambda: len(depth) > 3, 'frames while the engine is built')
        _, message, values = graph.status('engine')
        assert values['engine'].startswith('openvino')
        assert values['build'] == 'building 40%: timing kernels'
        assert 'timing kernels' in message
        # A reload meanwhile begins the build again and costs no frame for it.
        answer = graph.call(Trigger, '/completion_node/reload_model', Trigger.Request())
        assert answer.success, answer.message
        camera.shoot_until(lambda: 'building' in graph.status('engine')[2]['build'], 'the build')
        Path(env['GO_ON']).touch()
        camera.shoot_until(
            lambda: graph.status('engine')[2]['engine'].startswith('tensorrt'), 'the swap'
        )
        seen = len(depth)
        camera.shoot_until(lambda: len(depth) > seen + 3, 'frames from the engine')
        assert graph.status('engine')[2]['build'] == 'ready: tensorrt fp32'
        assert 'TensorRT engine was not built' not in process.log
        assert process.end(signal.SIGINT) == 0
        assert 'Traceback' not in process.log


def test_build_only_fills_the_cache_and_ends(tmp_path, given):
    args, env = given
    Path(env['GO_ON']).touch()
    with running('support.gpu_node', tmp_path, *args, '-p', 'build_only:=true', **env) as (
        process,
        _,
    ):
        assert process.wait() == 0
        assert 'engine built: ' in process.log
        engine = process.log.rpartition('engine built: ')[2].split()[0]
        assert Path(engine).is_file()
        assert engine.startswith(env['XDG_CACHE_HOME'])


def test_build_only_without_a_gpu_says_so_and_ends_with_2(tmp_path, given):
    args, env = given
    # No driver to be found, should the machine have one.
    env = {**env, 'CUDA_VISIBLE_DEVICES': ''}
    node = 'magadepth_ros.nodes.completion_node'
    with running(node, tmp_path, *args, '-p', 'build_only:=true', **env) as (process, _):
        assert process.wait() == 2
        assert 'engine not built: ' in process.log
        assert 'Traceback' not in process.log
