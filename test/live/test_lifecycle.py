# SPDX-License-Identifier: Apache-2.0
"""Lifecycle of the node as a process: each transition, wrong ones, and signals in each state."""

from __future__ import annotations

import signal
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from sensor_msgs.msg import Image
from support import faults
from support.live import Graph, ManualCamera, Process, free_domain, running
from support.models import write_tiny_model

from magadepth_ros.nodes.synchroniser import message_filters

NODE = 'magadepth_ros.nodes.completion_node'


def change(graph: Graph, name: str) -> bool:
    number = getattr(Transition, f'TRANSITION_{name.upper()}')
    request = ChangeState.Request(transition=Transition(id=number))
    return graph.call(ChangeState, '/completion_node/change_state', request).success


def state(graph: Graph) -> str:
    answer = graph.call(GetState, '/completion_node/get_state', GetState.Request())
    return answer.current_state.label


@pytest.fixture
def model(tmp_path):
    """Write the tiny model."""
    return write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)


def test_every_transition_and_the_wrong_ones(tmp_path, model):
    given = ('-p', f'model:={model}', '-p', 'autostart:=false')
    with running(NODE, tmp_path, *given) as (process, graph):
        assert state(graph) == 'unconfigured'
        assert not change(graph, 'activate')
        assert not change(graph, 'cleanup')
        assert state(graph) == 'unconfigured'
        assert change(graph, 'configure')
        assert state(graph) == 'inactive'
        assert not change(graph, 'configure')
        camera = ManualCamera(graph)
        assert not camera.rgb.get_subscription_count()
        for _ in range(2):
            assert change(graph, 'activate')
            graph.got.clear()
            depth = graph.listen(Image, '/depth/completed')
            camera.wait_until_heard()
            camera.shoot_until(lambda d=depth: d, 'a frame')
            assert change(graph, 'deactivate')
            graph.until(lambda: not camera.rgb.get_subscription_count(), 'silence')
        assert change(graph, 'cleanup')
        graph.until(
            lambda: not graph.node.count_publishers('/depth/completed'), 'the topics to go'
        )
        assert change(graph, 'configure')
        assert change(graph, 'activate')
        assert change(graph, 'active_shutdown')
        assert process.wait() == 0
        assert 'refused' in process.log


def test_a_missing_model_leaves_the_node_unconfigured_and_says_so(tmp_path):
    with running(NODE, tmp_path, '-p', 'model:=/no/such.onnx') as (process, graph):
        assert state(graph) == 'unconfigured'
        assert not change(graph, 'configure')
        assert state(graph) == 'unconfigured'
        assert '/no/such.onnx' in process.log
        assert process.end() == 0


@pytest.mark.skipif(message_filters is not None, reason='message_filters is installed')
def test_a_configure_that_fails_half_way_keeps_nothing(tmp_path, model):
    given = ('-p', f'model:={model}', '-p', 'synchronizer:=message_filters')
    with running(NODE, tmp_path, *given) as (process, graph):
        graph.until(lambda: 'is not installed' in process.log, 'the reason')
        assert state(graph) == 'unconfigured'
        level, message, values = graph.status('engine')
        assert (level, values['engine']) == (DiagnosticStatus.ERROR, 'none')
        assert values['code'] == 'TRANSITION_FAILED' and 'is not installed' in message
        assert not graph.node.count_publishers('/depth/completed')
        assert graph.set_parameter('synchronizer', 'own').successful
        assert change(graph, 'configure')
        assert change(graph, 'cleanup')
        assert graph.status('engine')[:2] == (DiagnosticStatus.OK, 'unconfigured')
        assert process.end() == 0


@pytest.mark.parametrize(
    ('argument', 'says'),
    [
        ('min_depth:=1', 'write 1.0'),
        ('on_failure:=explode', 'passthrough, silent'),
        (
            'max_depth:=-3.0',
            'parameter max_depth: expected 0 to 65: Invalid parameter value (-3.0)',
        ),
    ],
)
def test_a_wrong_value_at_the_start_is_one_line_and_code_2(tmp_path, argument, says):
    with running(NODE, tmp_path, '-p', argument) as (process, _):
        assert process.wait() == 2
        assert says in process.log
        assert 'Traceback' not in process.log


# The combinations that differ most run always, the rest with the slow tests.
ENDINGS = [
    pytest.param(signal.SIGINT, 'active'),
    pytest.param(signal.SIGTERM, 'unconfigured'),
    pytest.param(signal.SIGTERM, 'configuring'),
    pytest.param(signal.SIGTERM, 'active', marks=pytest.mark.slow),
    pytest.param(signal.SIGINT, 'unconfigured', marks=pytest.mark.slow),
    pytest.param(signal.SIGINT, 'inactive', marks=pytest.mark.slow),
    pytest.param(signal.SIGTERM, 'inactive', marks=pytest.mark.slow),
    pytest.param(signal.SIGINT, 'configuring', marks=pytest.mark.slow),
]


@pytest.mark.parametrize(('number', 'when'), ENDINGS)
def test_a_signal_ends_the_process_cleanly(tmp_path, model, number, when):
    given = ['-p', f'model:={model}', '-p', f'autostart:={str(when != "unconfigured").lower()}']
    fault = 'slow_open:600' if when == 'configuring' else 'none'
    if when == 'inactive':
        given[-1] = 'autostart:=false'
    with running('support.faulty_node', tmp_path, *given, FAULT=fault) as (process, graph):
        if when == 'inactive':
            assert change(graph, 'configure')
        if when == 'active':
            camera = ManualCamera(graph)
            depth = graph.listen(Image, '/depth/completed')
            camera.wait_until_heard()
            camera.shoot_until(lambda: len(depth) > 3, 'frames')
        graph.until(lambda: '/completion_node' in names(graph), 'the node')
        begin = time.monotonic()
        assert process.end(number) == 0
        faults.note(f'{number.name} while {when}: ends with 0', time.monotonic() - begin, '')
        assert 'Traceback' not in process.log
        assert 'terminate' not in process.log


@pytest.mark.parametrize('number', ['SIGINT', 'SIGTERM'])
@pytest.mark.parametrize(
    'when',
    [
        'before it is made',
        'while it is made',
        'while its failure is looked at',
        'before it spins',
    ],
)
def test_a_signal_while_a_node_starts_ends_it_cleanly(tmp_path, number, when):
    env = {'SIGNAL': number, 'WHEN': when}
    process = Process('support.interrupted_node', free_domain(), tmp_path / 'log', **env)
    try:
        assert process.wait() == 0
        assert 'Traceback' not in process.log
    finally:
        process.close()


def test_an_engine_that_hangs_is_replaced_and_does_not_hold_the_process(tmp_path, model):
    switch = tmp_path / 'break'
    env = {'FAULT': 'hang', 'BREAK': str(switch)}
    given = ('-p', f'model:={model}', '-p', 'diagnostics_period:=0.2')
    with running('support.faulty_node', tmp_path, *given, **env) as (process, graph):
        camera, depth = faults.ready(graph)
        graph.listen(DiagnosticArray, '/diagnostics')
        with faults.Episode('engine hangs for good', camera.shot, depth) as episode:
            switch.touch()
            camera.shoot_until(lambda: 'another is opened' in process.log, 'the report')
            switch.unlink()
            episode.mended()
            camera.shoot_until(episode.over, 'a frame from another engine')
        camera.shoot_until(lambda: graph.status('engine')[0] == b'\x00', 'diagnostics OK')
        assert graph.status('engine')[2]['reopened'] == '1'
        # Once more, with the end in between.
        switch.touch()
        seen = len(depth)
        camera.shoot_until(lambda: process.log.count('another is opened') == 2, 'the report')
        assert len(depth) <= seen + 10
        assert process.end(signal.SIGTERM) == 0


def names(graph: Graph) -> list[str]:
    pairs = graph.node.get_node_names_and_namespaces()
    return [f'{space.rstrip("/")}/{name}' for name, space in pairs]
