# SPDX-License-Identifier: Apache-2.0
"""Launch files started for real: a prefix that the ament index finds, and processes that end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = (
    'import sys; from launch import LaunchDescription, LaunchService\n'
    'from launch.actions import IncludeLaunchDescription\n'
    'from launch.launch_description_sources import PythonLaunchDescriptionSource\n'
    'given = [item.split(":=", 1) for item in sys.argv[2:]]\n'
    'service = LaunchService()\n'
    'service.include_launch_description(LaunchDescription([IncludeLaunchDescription(\n'
    '    PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=given)]))\n'
    'sys.exit(service.run())'
)


@pytest.fixture(autouse=True)
def loggers():
    """Give the tests after this one Python's own loggers: launch's do not propagate."""
    yield
    logging.setLoggerClass(logging.Logger)


@pytest.fixture
def prefix(tmp_path):
    """An ament prefix with this source tree as the package, run by this very Python."""
    index = tmp_path / 'prefix/share/ament_index/resource_index/packages'
    index.mkdir(parents=True)
    (index / 'magadepth_ros').touch()
    (tmp_path / 'prefix/share/magadepth_ros').symlink_to(ROOT)
    programs = tmp_path / 'prefix/lib/magadepth_ros'
    programs.mkdir(parents=True)
    for name in ('completion_node', 'simulated_camera'):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nexec {sys.executable} -m magadepth_ros.nodes.{name} "$@"\n'
        )
        program.chmod(0o755)
    return tmp_path / 'prefix'


@pytest.fixture
def run(tmp_path, prefix):
    """Start a launch file in a domain of its own; give the process and the domain."""
    from support.live import free_domain
    from support.models import write_tiny_model

    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)

    def start(name: str, *arguments: str) -> tuple[subprocess.Popen, int]:
        domain = free_domain()
        (path,) = ROOT.glob(f'*/{name}.launch.py')
        paths = [str(prefix), os.environ.get('AMENT_PREFIX_PATH', '')]
        with (tmp_path / 'launch.log').open('wb') as log:
            process = subprocess.Popen(
                [sys.executable, '-c', LAUNCH, str(path), f'model:={model}', *arguments],
                env={
                    **os.environ,
                    'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]),
                    'AMENT_PREFIX_PATH': os.pathsep.join(path for path in paths if path),
                    'ROS_DOMAIN_ID': str(domain),
                    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                    'ROS_LOG_DIR': str(tmp_path),
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, domain

    return start


@pytest.fixture
def launched(tmp_path, run):
    """Start a launch file, which has to end well with the test; give its domain."""
    started = []

    def start(name: str, *arguments: str) -> int:
        process, domain = run(name, *arguments)
        started.append(process)
        return domain

    yield start
    for process in started:
        # A terminal sends Ctrl-C to all; launch passes it on once more.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)
        log = (tmp_path / 'launch.log').read_text()
        assert process.returncode == 0, log
        assert 'Traceback' not in log and 'has died' not in log, log
        end = time.monotonic() + 10
        while _group_lives(process.pid):
            assert time.monotonic() < end, 'a node outlives its launch'
            time.sleep(0.05)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
