# SPDX-License-Identifier: Apache-2.0
"""Masks over DDS: what they take out, what happens without one, what is said of a broken one."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import Image
from support.live import ManualCamera, running

from magadepth_ros.messages.images import fill


@pytest.fixture
def masked(tmp_path, options):
    """Give a node whose camera's masks hide the left half, where the depth is wrong."""
    with running('magadepth_ros.nodes.completion_node', tmp_path, *options) as (_, graph):
        camera = ManualCamera(graph)
        camera.metres[:, :32] = 0.5
        publisher = graph.node.create_publisher(Image, '/mask/image', 10)
        camera.wait_until_heard()
        graph.until(publisher.get_subscription_count, 'the node on /mask/image')
        confidence = graph.listen(Image, '/depth/confidence')

        def shoot(encoding: str = 'mono8', masks: bool = True) -> None:
            header = camera.header()
            if masks:
                pixels = np.zeros((48, 64), np.uint8 if encoding == 'mono8' else np.uint16)
                pixels[:, :32] = 255
                message = Image(header=header)
                fill(message, pixels, encoding)
                publisher.publish(message)
            camera.shoot(header)

        yield graph, shoot, confidence


def left(message: Image) -> np.ndarray:
    return np.frombuffer(message.data, '<f4').reshape(48, 64)[:, :32]


def test_what_is_masked_counts_as_missing_and_is_filled(masked):
    graph, shoot, confidence = masked
    graph.repeat(
        shoot, lambda: confidence and (left(confidence[-1]) < 1.0).all(), 'a frame with a mask'
    )
    kept = np.frombuffer(confidence[-1].data, '<f4').reshape(48, 64)[20:, 32:]
    assert (kept == 1.0).all()


def test_without_a_mask_a_frame_goes_out_or_waits_for_one_as_the_policy_says(masked):
    graph, shoot, confidence = masked
    unmasked = lambda: shoot(masks=False)  # noqa: E731
    graph.repeat(
        unmasked, lambda: confidence and (left(confidence[-1]) == 1.0).any(), 'a frame without'
    )
    assert graph.status('camera')[2]['unmasked'] == '0'
    assert graph.set_parameter('mask_policy', 'required').successful
    confidence.clear()
    count = lambda: int(graph.status('camera')[2]['unmasked'])  # noqa: E731
    graph.repeat(unmasked, lambda: count() > 5, 'unmasked frames that are counted')
    level, _, values = graph.status('camera')
    assert 'is dropped' in values['NO_MASK'] and level != b'\x00'
    confidence.clear()
    graph.repeat(unmasked, lambda: count() > 10, 'more of them')
    assert confidence == []
    graph.repeat(shoot, lambda: confidence, 'a frame with its mask')
    assert (left(confidence[-1]) < 1.0).all()


def test_a_broken_mask_is_named_and_costs_no_frame(masked):
    graph, shoot, confidence = masked
    graph.repeat(
        lambda: shoot('16UC1'),
        lambda: confidence and 'BAD_MASK' in graph.status('camera')[2],
        'the report of a broken mask',
    )
    assert 'mono8' in graph.status('camera')[2]['BAD_MASK']
