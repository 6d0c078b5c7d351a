# SPDX-License-Identifier: Apache-2.0
"""Fixtures of live tests: one running completion_node for a file, room after a SIGKILL."""

from __future__ import annotations

import pytest
from sensor_msgs.msg import Image
from support import faults
from support.live import ManualCamera, running
from support.models import write_tiny_model
from support.shared_memory import dead_segments_removed


def pytest_terminal_summary(terminalreporter):
    """Show what the faults that were injected have cost."""
    if faults.TABLE:
        terminalreporter.section('faults injected')
        terminalreporter.write_line(faults.text())


@pytest.fixture
def kills():
    """For tests that kill a process, which cannot clear up any more."""
    with dead_segments_removed():
        yield


@pytest.fixture
def options(tmp_path):
    """Give the parameters of a node with the tiny model."""
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    return ['-p', f'model:={model}', '-p', 'max_age:=0.0', '-p', 'diagnostics_period:=0.2']


@pytest.fixture(scope='module')
def live(tmp_path_factory):
    """Start one node with the tiny model, and a camera, shared by the tests of this file."""
    folder = tmp_path_factory.mktemp('completion')
    model = write_tiny_model(folder / 'tiny.onnx', 48, 64)
    # Equal stamps only: these tests send frames at any moment, so that half a frame says nothing.
    values = (f'model:={model}', 'max_age:=0.0', 'slop:=0.0', 'diagnostics_period:=0.2')
    given = [text for value in values for text in ('-p', value)]
    with running('magadepth_ros.nodes.completion_node', folder, *given) as (process, graph):
        depth = graph.listen(Image, '/depth/completed')
        camera = ManualCamera(graph)
        camera.wait_until_heard()
        camera.shoot_until(lambda: depth, 'a first completed frame')
        yield process, graph, camera
