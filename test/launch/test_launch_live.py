# SPDX-License-Identifier: Apache-2.0
"""Launch files started for real, against a simulated camera under each camera's own topics."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('launch.actions', reason='the launch package is not installed')
pytest.importorskip('launch_ros.actions', reason='the launch_ros package is not installed')

from sensor_msgs.msg import Image, PointCloud2
from support.live import ROOT, Graph, Process, free_domain
from support.models import write_tiny_model

RGB, INFO, DEPTH = (
    '/camera/camera/color/image_raw',
    '/camera/camera/color/camera_info',
    '/camera/camera/aligned_depth_to_color/image_raw',
)
CAMERAS = {
    'realsense': (RGB, INFO, DEPTH),
    'azure_kinect': ('/rgb/image_raw', '/rgb/camera_info', '/depth_to_rgb/image_raw'),
    'orbbec_femto': (
        '/camera/color/image_raw',
        '/camera/color/camera_info',
        '/camera/depth/image_raw',
    ),
    'zed': (
        '/zed/zed_node/rgb/color/rect/image',
        '/zed/zed_node/rgb/color/rect/camera_info',
        '/zed/zed_node/depth/depth_registered',
    ),
}
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
def launched(tmp_path, prefix):
    """Start a launch file in a domain of its own; give the domain."""
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    domain = free_domain()
    started = []

    def start(name: str, *arguments: str) -> int:
        path = str(ROOT / 'launch' / f'{name}.launch.py')
        paths = [str(prefix), os.environ.get('AMENT_PREFIX_PATH', '')]
        with (tmp_path / 'launch.log').open('wb') as log:
            process = subprocess.Popen(
                [sys.executable, '-c', LAUNCH, path, f'model:={model}', *arguments],
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


def frames_come(domain: int) -> None:
    graph = Graph(domain)
    try:
        depth = graph.listen(Image, '/depth/completed')
        points = graph.listen(PointCloud2, '/depth/points')
        graph.until(lambda: len(depth) >= 3 and points, 'three completed frames and a cloud')
        assert depth[-1].encoding == '32FC1' and depth[-1].width == 64
    finally:
        graph.close()


def test_demo_completes_its_simulated_camera(launched):
    frames_come(launched('demo', 'width:=64', 'height:=48'))


@pytest.mark.parametrize(
    'name', ['realsense', *(pytest.param(n, marks=pytest.mark.slow) for n in list(CAMERAS)[1:])]
)
def test_camera_file_completes_what_comes_under_the_names_of_that_camera(launched, tmp_path, name):
    domain = launched(name, 'start_camera:=false')
    remapped = zip((RGB, INFO, DEPTH), CAMERAS[name])
    arguments = [text for old, new in remapped for text in ('-r', f'{old}:={new}')]
    for value in ('width:=64', 'height:=48', 'reliability:=best_effort'):
        arguments += ['-p', value]
    camera = Process(
        'magadepth_ros.nodes.simulated_camera', domain, tmp_path / 'camera.log', *arguments
    )
    try:
        frames_come(domain)
    finally:
        camera.close()
