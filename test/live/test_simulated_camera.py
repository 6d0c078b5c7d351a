# SPDX-License-Identifier: Apache-2.0
"""The simulated camera as a process: frames, depth in its own frame, faults, bad values."""

from __future__ import annotations

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from support.live import Graph, Process, depth_of, free_domain, nanoseconds, running
from support.models import write_tiny_model

from magadepth_ros.completion.static_frames import StaticFrames, transform_matrix

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

CAMERA = 'magadepth_ros.nodes.simulated_camera'
SMALL = ('-p', 'width:=64', '-p', 'height:=48', '-p', 'frames:=4')
RGB, INFO = '/camera/camera/color/image_raw', '/camera/camera/color/camera_info'
DEPTH = '/camera/camera/aligned_depth_to_color/image_raw'
OWN = '/camera/camera/depth/image_rect_raw'


def add(frames: StaticFrames, message) -> None:
    for item in message.transforms:
        t, q = item.transform.translation, item.transform.rotation
        step = transform_matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        frames.add(item.header.frame_id, item.child_frame_id, step)


@pytest.mark.skipif(TFMessage is None, reason='tf2_msgs is not installed')
def test_frames_lead_from_odom_to_what_the_camera_sees(tmp_path):
    values = ('-p', 'moving_base:=true', '-p', 'own_depth_frame:=true')
    with running(CAMERA, tmp_path, *SMALL, *values) as (_, graph):
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        static = graph.listen(TFMessage, '/tf_static', latched)
        moving = graph.listen(TFMessage, '/tf')
        depth = graph.listen(Image, OWN)
        graph.until(lambda: static and len(moving) > 4 and depth, 'frames and depth')
    frames = StaticFrames()
    add(frames, static[-1])
    add(frames, moving[-1])
    assert depth[-1].header.frame_id == 'camera_depth_optical_frame'
    optical = frames.lookup_transform('odom', 'camera_color_optical_frame')
    # It looks forward and down, and stands at its height over the floor.
    assert optical[2, 3] == pytest.approx(0.95)
    assert optical[0, 2] > 0.9 and optical[2, 2] == pytest.approx(-np.sin(0.2))
    between = frames.lookup_transform('camera_color_optical_frame', 'camera_depth_optical_frame')
    np.testing.assert_allclose(between[:3, 3], [-0.05, 0, 0], atol=1e-9)
    places = {(m.transforms[0].transform.translation.x) for m in moving}
    assert len(places) > 1


@pytest.mark.skipif(TFMessage is not None, reason='tf2_msgs is installed')
def test_without_tf2_msgs_it_says_so_once_and_goes_on(tmp_path):
    with running(CAMERA, tmp_path, *SMALL, '-p', 'moving_base:=true') as (camera, graph):
        depth = graph.listen(Image, DEPTH)
        graph.until(lambda: len(depth) > 3, 'depth')
        assert camera.log.count('tf2_msgs is not installed') == 1


def test_depth_in_its_own_frame_is_registered_by_the_node(tmp_path):
    domain = free_domain()
    size = ('-p', 'width:=128', '-p', 'height:=96', '-p', 'frames:=4', '-p', 'rate:=8.0')
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64, metadata={'max_depth': '12.0'})
    given = ['-p', f'model:={model}', '-r', f'rgb/image:={RGB}', '-r', f'rgb/camera_info:={INFO}']
    given += ['-r', f'depth/image:={OWN}']
    given += ['-r', 'depth/image/camera_info:=/camera/camera/depth/camera_info']
    if TFMessage is None:
        given += ['-p', 'depth_to_rgb:=[-0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]']
    camera = Process(CAMERA, domain, tmp_path / 'camera.log', *size, '-p', 'own_depth_frame:=true')
    node = Process('magadepth_ros.nodes.completion_node', domain, tmp_path / 'n.log', *given)
    graph = Graph(domain, lambda: node.log)
    try:
        completed = graph.listen(Image, '/depth/completed')
        graph.until(lambda: len(completed) >= 3, 'completed depth')
        assert completed[-1].header.frame_id == 'camera_color_optical_frame'
        assert np.isfinite(depth_of(completed[-1])).mean() > 0.9
        _, _, values = graph.status('camera')
        assert 'register p50 [ms]' in values
    finally:
        graph.close()
        node.close()
        camera.close()


def test_faults_are_set_while_it_runs(tmp_path):
    with running(CAMERA, tmp_path, *SMALL) as (_, graph):
        rgb, depth = graph.listen(Image, RGB), graph.listen(Image, DEPTH)
        graph.until(lambda: len(rgb) > 3 and len(depth) > 3, 'images')
        assert {m.encoding for m in rgb} == {'rgb8'}
        assert set_faults(graph, 'swap').successful
        graph.until(lambda: rgb[-1].encoding == '16UC1', 'depth on the topic of colour')
        refused = set_faults(graph, 'fire')
        assert not refused.successful and 'got fire' in refused.reason
        assert set_faults(graph, 'late').successful
        count = len(depth)
        graph.until(lambda: len(depth) > count + 5 and depth[-1].encoding == '16UC1', 'late depth')
        newest = max(nanoseconds(message.header) for message in rgb)
        assert newest - nanoseconds(depth[-1].header) > 100_000_000


def set_faults(graph: Graph, names: str):
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=names)
    request = SetParameters.Request(parameters=[Parameter(name='faults', value=value)])
    return graph.call(SetParameters, '/simulated_camera/set_parameters', request).results[0]


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        (['rate:=-1.0'], 'rate'),
        (['rate:=fast'], 'rate'),
        (['width:=5'], 'width'),
        (['depth_encoding:=8UC1'], 'depth_encoding: expected one of 16UC1, 32FC1'),
        (['faults:=fire'], 'faults: expected stall'),
        (['input:=/nowhere'], '/nowhere'),
        (['input:=/nowhere', 'moving_base:=true'], 'moving_base'),
    ],
)
def test_a_bad_value_ends_it_with_one_line_that_names_it(tmp_path, values, says):
    given = [word for value in values for word in ('-p', value)]
    camera = Process(CAMERA, free_domain(), tmp_path / 'camera.log', *given)
    try:
        assert camera.wait() == 2
    finally:
        camera.close()
    lines = camera.log.strip().splitlines()
    assert len(lines) == 1 and says in lines[0], camera.log
