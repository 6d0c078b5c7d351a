# SPDX-License-Identifier: Apache-2.0
"""The demo's subscriber says why there is no picture of a frame."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from sensor_msgs.msg import Image
from support.live import free_domain

from magadepth_ros.subscribers.demo_subscriber import CAMERA, DemoSubscriber


@pytest.fixture
def subscriber(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain()))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    found = DemoSubscriber()
    yield found
    found.close()


def test_topics_that_stayed_silent_are_named(subscriber):
    subscriber.start_keeping()
    subscriber._keep(CAMERA.rgb, 1, Image())
    subscriber._keep(CAMERA.depth, 1, Image())
    assert subscriber.snapshot() is None
    said = subscriber.missing(5.0)
    assert 'no message on /depth/completed, /depth/confidence within 5 s;' in said


def test_frames_of_which_a_part_was_lost_are_no_silence(subscriber):
    subscriber.start_keeping()
    for stamp, topic in enumerate((CAMERA.rgb, CAMERA.depth, *('/depth/completed',) * 2), start=1):
        subscriber._keep(topic, stamp, Image())
    subscriber._keep('/depth/confidence', 9, Image())
    assert subscriber.snapshot() is None
    assert 'no frame with all its images' in subscriber.missing(5.0)
