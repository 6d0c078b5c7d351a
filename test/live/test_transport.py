# SPDX-License-Identifier: Apache-2.0
"""Compressed images between computers: camera and node as two processes, and what that saves."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from support.live import Graph, Process, free_domain
from support.models import write_tiny_model

from magadepth_ros.messages.compressed import compressed_to_depth
from magadepth_ros.messages.images import image_to_depth
from magadepth_ros.stamps import serialised_stamp_ns

CAMERA = '/camera/camera'
RGB, DEPTH = f'{CAMERA}/color/image_raw', f'{CAMERA}/aligned_depth_to_color/image_raw'
TOPICS = {
    RGB: Image,
    DEPTH: Image,
    '/depth/completed': Image,
    f'{RGB}/compressed': CompressedImage,
    f'{DEPTH}/compressedDepth': CompressedImage,
    '/depth/completed/compressedDepth': CompressedImage,
}


@pytest.mark.parametrize('form', ['png', 'rvl'])
def test_compressed_in_and_out_is_the_same_depth_in_a_fraction_of_the_bytes(tmp_path, form):
    domain = free_domain()
    nodes = 'magadepth_ros.nodes'
    size = ('-p', 'width:=320', '-p', 'height:=240', '-p', 'rate:=10.0')
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64, metadata={'max_depth': '12.0'})
    values = (f'model:={model}', 'transport:=compressed', f'compressed_format:={form}')
    given = [text for value in values for text in ('-p', value)]
    given += ['-r', f'rgb/image:={RGB}', '-r', f'depth/image:={DEPTH}']
    camera = Process(f'{nodes}.simulated_camera', domain, tmp_path / 'camera.log', *size)
    node = Process(f'{nodes}.completion_node', domain, tmp_path / 'node.log', *given)
    graph = Graph(domain)
    got: dict[str, dict[int, bytes]] = {topic: {} for topic in TOPICS}
    try:
        for topic, kind in TOPICS.items():

            def keep(data: bytes, into: dict[int, bytes] = got[topic]) -> None:
                into[serialised_stamp_ns(data)] = data

            graph.node.create_subscription(kind, topic, keep, 5, raw=True)

        def common() -> set[int]:
            return set.intersection(*(set(messages) for messages in got.values()))

        graph.until(lambda: len(common()) >= 5, 'frames that came by all topics')
        # The node has its inputs compressed only: nobody but this test hears the raw ones.
        hearing = graph.node.get_subscriptions_info_by_topic(RGB)
        assert {info.node_name for info in hearing} == {'tester'}
    finally:
        graph.close()
        node.close()
        camera.close()
    sizes = {t: np.mean([len(m) for m in messages.values()]) for t, messages in got.items()}
    raw = sum(size for topic, size in sizes.items() if TOPICS[topic] is Image)
    small = sum(size for topic, size in sizes.items() if TOPICS[topic] is CompressedImage)
    for topic, size in sizes.items():
        print(f'{topic}: {size / 1e3:.1f} kB a frame, {30 * size / 1e6:.2f} MB/s at 30 Hz')
    print(f'{form}: {30 * raw / 1e6:.1f} MB/s raw, {30 * small / 1e6:.1f} MB/s compressed')
    assert small < 0.6 * raw
    for stamp in common():
        plain = image_to_depth(read(got, '/depth/completed', stamp))
        message = read(got, '/depth/completed/compressedDepth', stamp)
        packed = compressed_to_depth(message)
        _, a, b = struct.unpack('<iff', message.data[:12].tobytes())
        # The value 1 is the farthest depth that the model knows.
        assert a / (1 - b) == pytest.approx(12.0, rel=1e-3)
        known = np.isfinite(plain)
        # Inverse depth in 16 bits: finer than 2 mm in a room.
        assert np.nanmax(np.abs(packed - plain)[known]) < 0.005
        measured = compressed_to_depth(read(got, f'{DEPTH}/compressedDepth', stamp))
        kept = measured > 0.2
        assert np.abs(plain - measured)[kept].max() < 0.001


def read(got: dict[str, dict[int, bytes]], topic: str, stamp: int):
    return deserialize_message(got[topic][stamp], TOPICS[topic])
