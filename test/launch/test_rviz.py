# SPDX-License-Identifier: Apache-2.0
"""Every display of magadepth.rviz has a topic that a node publishes, with a QoS that fits."""

from __future__ import annotations

from pathlib import Path

import pytest

yaml = pytest.importorskip('yaml', reason='reads YAML')
rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSReliabilityPolicy
from support.live import free_domain

from magadepth_ros.nodes.camera_outputs import CameraOutputs
from magadepth_ros.nodes.simulated_camera import SimulatedCamera
from magadepth_ros.topics import OUTPUTS

CONFIG = Path(__file__).resolve().parents[2] / 'config/magadepth.rviz'
KINDS = {
    'rviz_default_plugins/Image': 'sensor_msgs/msg/Image',
    'rviz_default_plugins/PointCloud2': 'sensor_msgs/msg/PointCloud2',
}
DEPTH_CLOUD = 'rviz_default_plugins/DepthCloud'


@pytest.fixture(scope='module')
def published():
    """Topic -> (type, whether the publisher is reliable) of camera and completion node."""
    context = Context()
    rclpy.init(context=context, domain_id=free_domain())
    camera = SimulatedCamera(
        context=context,
        parameter_overrides=[
            rclpy.Parameter('width', value=64),
            rclpy.Parameter('height', value=48),
            rclpy.Parameter('frames', value=1),
        ],
    )
    node = Node('completion_node', context=context)
    outputs = CameraOutputs(node, '')
    assert {p.topic_name for p in outputs.publishers} == {f'/{name}' for name in OUTPUTS}
    topics = {}
    for owner in (camera, node):
        for publisher in owner.publishers:
            reliable = publisher.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE
            kind = publisher.msg_type.__module__.split('.')[0]
            topics[publisher.topic_name] = f'{kind}/msg/{publisher.msg_type.__name__}', reliable
    yield topics
    camera.destroy_node()
    node.destroy_node()
    rclpy.shutdown(context=context)


def displays() -> list[dict]:
    return yaml.safe_load(CONFIG.read_text(encoding='utf-8'))['Visualization Manager']['Displays']


def test_shows_what_people_want_to_see():
    names = {display['Name'] for display in displays()}
    assert {'RGB', 'Raw depth', 'Completed depth', 'Confidence'} <= names
    assert {'Completed cloud', 'Raw cloud', 'Marking cloud'} <= names


@pytest.mark.parametrize('display', displays(), ids=lambda display: display['Name'])
def test_topic_is_published_with_this_type_and_qos(display, published):
    if display['Class'] == DEPTH_CLOUD:
        depth, colour = display['Depth Map Topic'], display['Color Image Topic']
        # RViz takes the intrinsics from beside the depth image.
        assert depth.rpartition('/')[0] + '/camera_info' in published
        assert {published[depth][0], published[colour][0]} == {'sensor_msgs/msg/Image'}
        return
    topic = display['Topic']
    kind, reliable = published[topic['Value']]
    assert kind == KINDS[display['Class']]
    assert topic['Reliability Policy'] == 'Best Effort' or reliable
    assert topic['Durability Policy'] == 'Volatile'


def test_fixed_frame_is_that_of_the_images(published):
    config = yaml.safe_load(CONFIG.read_text(encoding='utf-8'))
    frame = config['Visualization Manager']['Global Options']['Fixed Frame']
    assert frame == 'camera_color_optical_frame'
