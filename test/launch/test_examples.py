# SPDX-License-Identifier: Apache-2.0
"""Every example with the simulated camera: what the nodes that it starts really receive."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('launch.actions', reason='the launch package is not installed')
pytest.importorskip('launch_ros.actions', reason='the launch_ros package is not installed')
yaml = pytest.importorskip('yaml', reason='reads YAML')

from lifecycle_msgs.srv import GetState
from sensor_msgs.msg import PointCloud2
from support.live import ROOT, Graph

FILES = sorted((ROOT / 'examples').glob('*.launch.py'))
CONFIG = ROOT / 'examples' / 'config'
SMALL = ('width:=64', 'height:=48')
COLOUR = ['Image', 'rgb8', 'camera_color_optical_frame']
DEPTH = ['Image', '32FC1', 'camera_color_optical_frame']
INFO = ['CameraInfo', '', 'camera_color_optical_frame']
CLOUD = ['PointCloud2', '', 'camera_color_optical_frame']
RGB, RGB_INFO = '/camera/camera/color/image_raw', '/camera/camera/color/camera_info'


@pytest.fixture
def example(tmp_path, prefix, launched, monkeypatch):
    """Start an example with stand-ins for the packages that it uses; give reports and graph."""
    reports = tmp_path / 'reports'
    reports.mkdir()
    monkeypatch.setenv('STAND_IN_REPORTS', str(reports))
    graphs = []

    def start(name: str, programs: dict[str, list[str]], *arguments: str):
        for package, executables in programs.items():
            (prefix / 'share/ament_index/resource_index/packages' / package).touch()
            for executable in executables:
                stand_in(prefix / 'lib' / package / executable)
        domain = launched(name, *SMALL, *arguments)
        graphs.append(Graph(domain, lambda: (tmp_path / 'launch.log').read_text()))

        def reported(program: str) -> dict[str, Any]:
            path = reports / f'{program}.json'
            graphs[-1].until(path.is_file, f'the report of {program}', timeout=150)
            return json.loads(path.read_text())

        return reported, graphs[-1]

    yield start
    for graph in graphs:
        graph.close()


def stand_in(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT}/test:$PYTHONPATH '
        f'exec {sys.executable} -m support.stand_ins {path.name} "$@"\n'
    )
    path.chmod(0o755)


NAV2 = {
    'nav2_costmap_2d': ['nav2_costmap_2d'],
    'nav2_lifecycle_manager': ['lifecycle_manager'],
}


@pytest.mark.parametrize(
    ('layer', 'topics'),
    [
        ('voxel', {'/depth/points': CLOUD, '/depth/points_marking': CLOUD}),
        pytest.param('stvl', {'/depth/points_marking': CLOUD}, marks=pytest.mark.slow),
    ],
)
def test_nav2_marks_and_clears_and_its_manager_brings_the_node_up(example, layer, topics):
    reported, graph = example('nav2', NAV2, f'layer:={layer}')
    assert reported('lifecycle_manager') == {'bond_timeout': 0.0}
    costmap = reported('nav2_costmap_2d')
    assert costmap['node'] == '/local_costmap/local_costmap'
    assert costmap['topics'] == topics and costmap['unknown'] == []
    state = graph.call(GetState, '/completion_node/get_state', GetState.Request())
    assert state.current_state.label == 'active'


@pytest.mark.slow
def test_nav2_takes_a_laser_scan_of_completed_depth(example):
    programs = {**NAV2, 'depthimage_to_laserscan': ['depthimage_to_laserscan_node']}
    reported, _ = example('nav2', programs, 'layer:=scan')
    scan = reported('depthimage_to_laserscan_node')
    assert scan['topics'] == {'/depth/completed': DEPTH, '/depth/camera_info': INFO}
    assert scan['unknown'] == []
    costmap = reported('nav2_costmap_2d')
    assert list(costmap['topics']) == ['/scan'] and costmap['unknown'] == []


@pytest.mark.slow
def test_nav2_without_its_manager_has_a_node_that_starts_itself(example):
    reported, _ = example('nav2', {'nav2_costmap_2d': ['nav2_costmap_2d']}, 'namespace:=robot')
    topics = {'/robot/depth/points': CLOUD, '/robot/depth/points_marking': CLOUD}
    assert reported('nav2_costmap_2d')['topics'] == topics


@pytest.mark.slow
def test_nvblox_gets_depth_and_colour_with_their_intrinsics(example):
    reported, _ = example('nvblox', {'nvblox_ros': ['nvblox_node']})
    nvblox = reported('nvblox_node')
    assert nvblox['topics'] == {
        '/depth/completed': DEPTH,
        '/depth/camera_info': INFO,
        RGB: COLOUR,
        RGB_INFO: INFO,
    }
    assert nvblox['unknown'] == []


@pytest.mark.slow
def test_rtabmap_joins_colour_and_depth_of_one_stamp(example):
    programs = {
        'rtabmap_sync': ['rgbd_sync'],
        'rtabmap_odom': ['rgbd_odometry'],
        'rtabmap_slam': ['rtabmap'],
    }
    reported, _ = example('rtabmap', programs)
    sync = reported('rgbd_sync')
    assert sync['topics'] == {RGB: COLOUR, RGB_INFO: INFO, '/depth/completed': DEPTH}
    for program in ('rgbd_sync', 'rgbd_odometry', 'rtabmap'):
        assert reported(program)['joins'] == '/rgbd_image'
        assert reported(program)['unknown'] == []


@pytest.mark.slow
def test_depth_image_proc_is_loaded_into_a_container(example):
    programs = {'depth_image_proc': [], 'rclcpp_components': ['component_container']}
    reported, graph = example('depth_image_proc', programs)
    cloud = reported('depth_image_proc.PointCloudXyzrgbNode')
    assert cloud['topics'] == {RGB: COLOUR, RGB_INFO: INFO, '/depth/completed': DEPTH}
    assert cloud['unknown'] == []
    graph.listen(PointCloud2, '/depth_registered/points')


@pytest.mark.slow
def test_moveit_gets_what_its_updater_asks_for(example, prefix, tmp_path):
    """move_group is started by the robot: here beside the example, with the shipped sensors."""
    reported, graph = example('moveit', {'magadepth_ros': ['move_group']})
    sensors = tmp_path / 'move_group.yaml'
    content = yaml.safe_load((CONFIG / 'moveit_sensors_3d.yaml').read_text(encoding='utf-8'))
    sensors.write_text(yaml.safe_dump({'/**': {'ros__parameters': content}}))
    program = prefix / 'lib/magadepth_ros/move_group'
    environment = {
        'ROS_DOMAIN_ID': str(graph.context.get_domain_id()),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    command = [program, '--ros-args', '--params-file', sensors]
    started = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        group = reported('move_group')
    finally:
        started.terminate()
        started.wait(20)
    millimetres = ['Image', '16UC1', 'camera_color_optical_frame']
    assert group['topics'] == {'/depth/completed': millimetres, '/depth/camera_info': INFO}
    assert group['unknown'] == []


@pytest.mark.slow
def test_grasping_has_the_confidence_of_each_point_and_takes_masks(example):
    _, graph = example('grasping', {})
    clouds = graph.listen(PointCloud2, '/depth/points')
    graph.until(lambda: clouds, 'a cloud')
    assert [field.name for field in clouds[-1].fields][-1] == 'confidence'
    graph.until(
        lambda: graph.node.count_subscribers('/camera/camera/mask/image_raw'), 'masks to be taken'
    )


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_header_tells_how_to_start_it_and_the_page_tells_what_to_connect(path):
    header = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))
    assert f'ros2 launch magadepth_ros {path.name}' in header
    page = ROOT / 'docs' / 'examples.md'
    if not page.is_file():
        pytest.skip('installed without its documentation')
    text = page.read_text(encoding='utf-8')
    assert path.name in text
    for name in re.findall(r'examples/(?:config/)?([\w.]+)', text):
        assert list((ROOT / 'examples').rglob(name)), name


@pytest.mark.parametrize('path', sorted(CONFIG.glob('*.yaml')), ids=lambda path: path.name)
def test_every_file_of_parameters_is_used(path):
    assert yaml.safe_load(path.read_text(encoding='utf-8'))
    texts = ' '.join(file.read_text(encoding='utf-8') for file in FILES)
    assert path.name in texts or path.stem.rpartition('_')[0] + '_{' in texts
