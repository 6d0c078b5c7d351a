# SPDX-License-Identifier: Apache-2.0
"""Launch files started for real, against a simulated camera under each camera's own topics."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip('launch.actions', reason='the launch package is not installed')
pytest.importorskip('launch_ros.actions', reason='the launch_ros package is not installed')

from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import Image, PointCloud2
from support.live import Graph, Process, depth_of

from magadepth_ros.launching.cameras import CAMERAS
from magadepth_ros.launching.setups import Driver
from magadepth_ros.topics import info_beside

BASE = '/camera/camera'
RGB, DEPTH = f'{BASE}/color', f'{BASE}/aligned_depth_to_color'


@dataclass(frozen=True)
class Real:
    """
    What a camera's driver publishes, by its own documentation and source.

    Image topics and the camera_info beside the RGB, encodings, the frame of both, the shape of the
    pictures, reliability; drivers whose QoS depends on the user are played best effort, which is
    the harder case.
    """

    rgb: str
    info: str
    depth: str
    encodings: tuple[str, str]
    frame: str
    size: tuple[int, int] = (64, 48)
    reliability: str = 'reliable'


ORBBEC = Real(
    '/camera/color/image_raw',
    '/camera/color/camera_info',
    '/camera/depth/image_raw',
    ('rgb8', '16UC1'),
    'camera_color_optical_frame',
    (128, 72),
)
REAL = {
    'realsense': Real(
        f'{RGB}/image_raw',
        f'{RGB}/camera_info',
        f'{DEPTH}/image_raw',
        ('rgb8', '16UC1'),
        'camera_color_optical_frame',
    ),
    'azure_kinect': Real(
        '/rgb/image_raw',
        '/rgb/camera_info',
        '/depth_to_rgb/image_raw',
        ('bgra8', '32FC1'),
        'rgb_camera_link',
        (128, 72),
        'best_effort',
    ),
    'orbbec_femto': ORBBEC,
    'orbbec_gemini': ORBBEC,
    'oak': Real(
        '/oak/rgb/image_raw',
        '/oak/rgb/camera_info',
        '/oak/stereo/image_raw',
        ('bgr8', '16UC1'),
        'oak_rgb_camera_optical_frame',
        (128, 72),
        'best_effort',
    ),
    'kinect2': Real(
        '/kinect2/qhd/image_color_rect',
        '/kinect2/qhd/camera_info',
        '/kinect2/qhd/image_depth_rect',
        ('bgr8', '16UC1'),
        'kinect2_rgb_optical_frame',
        (96, 54),
        'best_effort',
    ),
    'zed': Real(
        '/zed/zed_node/rgb/color/rect/image',
        '/zed/zed_node/rgb/color/rect/camera_info',
        '/zed/zed_node/depth/depth_registered',
        ('bgra8', '32FC1'),
        'zed_left_camera_frame_optical',
        (96, 54),
    ),
}
DRIVEN = [name for name, row in CAMERAS.items() if isinstance(row.source, Driver)]


def by_the_table(name: str) -> Real:
    """Take a camera whose facts nobody wrote down here for what its row says."""
    row = CAMERAS[name]
    values = {argument.name: argument.default for argument in row.arguments}
    texts = row.rgb, row.rgb_info or info_beside(row.rgb), row.depth
    rgb, info, depth = (re.sub('/+', '/', text.format(**values)) for text in texts)
    return Real(rgb, info, depth, ('rgb8', '16UC1'), row.frame.format(**values))


def frames_come(
    domain: int, size: tuple[int, int] = (64, 48), frame: str = '', space: str = ''
) -> None:
    graph = Graph(domain)
    try:
        depth = graph.listen(Image, f'{space}/depth/completed')
        points = graph.listen(PointCloud2, f'{space}/depth/points')
        graph.until(lambda: len(depth) >= 3 and points, 'three completed frames and a cloud')
        assert depth[-1].encoding == '32FC1' and (depth[-1].width, depth[-1].height) == size
        assert np.isfinite(depth_of(depth[-1])).all()
        assert depth[-1].header.frame_id == points[-1].header.frame_id
        assert depth[-1].header.frame_id == (frame or 'camera_color_optical_frame')
    finally:
        graph.close()


@pytest.fixture
def play(tmp_path):
    """Start simulated cameras with these arguments; they end with the test."""
    started = []

    def start(domain: int, *arguments: str) -> None:
        log = tmp_path / f'camera{len(started)}.log'
        started.append(Process('magadepth_ros.nodes.simulated_camera', domain, log, *arguments))

    yield start
    for camera in started:
        camera.close()


def played_as(camera: Real) -> list[str]:
    """Arguments that make the simulated camera publish as that camera does."""
    arguments = []
    for old, new in (
        (f'{RGB}/image_raw', camera.rgb),
        (f'{RGB}/camera_info', camera.info),
        (f'{DEPTH}/image_raw', camera.depth),
    ):
        if old != new:
            arguments += ['-r', f'{old}:={new}']
    rgb_encoding, depth_encoding = camera.encodings
    for value in (
        f'width:={camera.size[0]}',
        f'height:={camera.size[1]}',
        f'reliability:={camera.reliability}',
        f'rgb_encoding:={rgb_encoding}',
        f'depth_encoding:={depth_encoding}',
        f'frame_id:={camera.frame}',
    ):
        arguments += ['-p', value]
    return arguments


def test_demo_completes_its_simulated_camera(launched):
    frames_come(launched('demo', 'width:=64', 'height:=48'))


def test_demo_ends_with_its_camera_and_says_so(run, tmp_path):
    process, _ = run('demo', 'input:=/nowhere')
    try:
        process.wait(60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
    log = (tmp_path / 'launch.log').read_text()
    assert '/nowhere' in log and 'nothing left to complete' in log
    assert 'Traceback' not in log


@pytest.mark.slow
@pytest.mark.parametrize('node', ['/**', '/completion_node'])
def test_of_camera_preset_file_and_argument_the_later_wins(launched, tmp_path, node):
    own = tmp_path / 'own.yaml'
    own.write_text(f'{node}: {{ros__parameters: {{cloud_rate: 3.0, max_depth: 5.0, slop: 0.1}}}}')
    domain = launched(
        'realsense',
        'start_camera:=false',
        'preset:=navigation',
        f'params_file:={own}',
        'max_depth:=4',
    )
    graph = Graph(domain)
    try:
        names = ['min_depth', 'cloud_stride', 'cloud_rate', 'slop', 'max_depth']
        request = GetParameters.Request(names=names)
        answer = graph.call(GetParameters, '/completion_node/get_parameters', request)
        values = [value.double_value or value.integer_value for value in answer.values]
        # Of the camera, of the preset, three of the file, of which an argument wins over the last.
        assert values == [0.2, 2, 3.0, 0.1, 4.0]
    finally:
        graph.close()


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in DRIVEN if name != 'realsense']


@pytest.mark.parametrize('name', ['realsense', *SLOW])
def test_camera_file_completes_what_comes_under_the_names_of_that_camera(launched, play, name):
    camera = REAL.get(name) or by_the_table(name)
    domain = launched(name, 'start_camera:=false')
    play(domain, *played_as(camera))
    frames_come(domain, camera.size, camera.frame)


@pytest.mark.slow
@pytest.mark.parametrize('name', DRIVEN)
def test_any_camera_is_completed_by_its_topics(launched, play, name):
    camera = REAL.get(name) or by_the_table(name)
    topics = f'rgb:={camera.rgb}', f'camera_info:={camera.info}', f'depth:={camera.depth}'
    domain = launched('camera', *topics)
    play(domain, *played_as(camera))
    frames_come(domain, camera.size, camera.frame)


@pytest.mark.slow
@pytest.mark.parametrize('argument', ['transport', 'image_transport'])
def test_compressed_inputs_come_from_another_process(launched, play, argument):
    domain = launched('realsense', 'start_camera:=false', f'{argument}:=compressed')
    play(domain, *played_as(REAL['realsense']))
    frames_come(domain)


@pytest.mark.slow
def test_two_cameras_are_completed_each_in_its_namespace(launched, play):
    domain = launched('multi_realsense', 'start_camera:=false', 'cameras:=left,right')
    for name in ('left', 'right'):
        values = f'camera_name:={name}', f'camera_namespace:={name}', 'width:=64', 'height:=48'
        play(domain, *(text for value in values for text in ('-p', value)))
    for name in ('left', 'right'):
        frames_come(domain, frame=f'{name}_color_optical_frame', space=f'/{name}')


@pytest.mark.slow
def test_replay_completes_whatever_topics_a_bag_has(launched, play):
    camera = REAL['azure_kinect']
    topics = f'rgb:={camera.rgb}', f'camera_info:={camera.info}', f'depth:={camera.depth}'
    domain = launched('replay', *topics)
    play(domain, *played_as(camera))
    frames_come(domain, camera.size, camera.frame)
