# SPDX-License-Identifier: Apache-2.0
"""What the simulated camera publishes, recorded, completed without ROS and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='writes bags')

from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.bags import STORE, read_bag
from support.live import Graph, running
from support.models import write_tiny_model

from magadepth_ros.commands.main import main

BASE = '/camera/camera'
INFO = f'{BASE}/color/camera_info'
TOPICS = {
    'raw': {
        f'{BASE}/color/image_raw': Image,
        f'{BASE}/aligned_depth_to_color/image_raw': Image,
        INFO: CameraInfo,
    },
    'compressed': {
        f'{BASE}/color/image_raw/compressed': CompressedImage,
        f'{BASE}/aligned_depth_to_color/image_raw/compressedDepth': CompressedImage,
        INFO: CameraInfo,
    },
}
FRAMES = 8
SIZE = ('-p', 'width:=128', '-p', 'height:=96', '-p', 'rate:=20.0')


def record(graph: Graph, topics: dict[str, type], path: Path, plugin: str) -> None:
    """Write what comes, as it comes on the wire, until each topic has had its frames."""
    got: dict[str, list[bytes]] = {}
    for topic, kind in topics.items():
        got[topic] = []
        graph.node.create_subscription(kind, topic, got[topic].append, 50, raw=True)
    graph.until(lambda: all(len(data) >= FRAMES for data in got.values()), 'the frames')
    with Writer(path, version=8, storage_plugin=StoragePlugin[plugin]) as writer:
        for topic, messages in got.items():
            kind = f'sensor_msgs/msg/{topics[topic].__name__}'
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for index, data in enumerate(messages):
                writer.write(connection, (index + 1) * 10**7, bytes(data))


@pytest.mark.parametrize('plugin', ['MCAP', 'SQLITE3'])
@pytest.mark.parametrize('transport', list(TOPICS))
def test_recording_is_completed_and_read_back_frame_by_frame(tmp_path, plugin, transport):
    source, target = tmp_path / 'in', tmp_path / 'out'
    topics = TOPICS[transport]
    with running('magadepth_ros.nodes.simulated_camera', tmp_path, *SIZE) as (_, graph):
        record(graph, topics, source, plugin)
    model = str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))
    assert main(['complete', str(source), str(target), '--model', model, '--points']) == 0
    before, after = read_bag(source), read_bag(target)
    rgb, depth = list(topics)[:2]
    paired = {stamp(m) for _, m in before[rgb]} & {stamp(m) for _, m in before[depth]}
    assert len(paired) >= FRAMES - 2
    for topic in ('completed', 'confidence', 'camera_info', 'points'):
        messages = [message for _, message in after[f'/depth/{topic}']]
        assert {stamp(message) for message in messages} == paired
        assert len(messages) == len(paired)
        assert {m.header.frame_id for m in messages} == {'camera_color_optical_frame'}
    for topic, messages in before.items():
        assert [(t, stamp(m)) for t, m in messages] == [(t, stamp(m)) for t, m in after[topic]]
    completed = [m.data.view(np.float32) for _, m in after['/depth/completed']]
    assert np.isfinite(completed).all()
    print(
        f'{transport} {plugin}: recorded {len(before[rgb])} RGB and {len(before[depth])} depth, '
        f'{len(paired)} pairs, {len(completed)} completed, stamps and frame ids equal'
    )


def stamp(message) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec
