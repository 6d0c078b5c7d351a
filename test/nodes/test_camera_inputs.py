# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of a camera: a message package that fails, and publishers of another QoS."""

from __future__ import annotations

import logging
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from support.live import free_domain

from magadepth_ros import topics
from magadepth_ros.nodes.camera_inputs import CameraInputs
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.graph_monitor import GraphMonitor
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.pairing import Pairer

RELIABLE = 'qos_overrides./rgb/image.subscription.reliability'
INPUTS = {f'/{name}' for name in topics.INPUTS}


@pytest.fixture
def node():
    """Give a node that asks for reliable colour images."""
    context = Context()
    rclpy.init(context=context, domain_id=free_domain())
    overrides = [rclpy.Parameter(RELIABLE, value='reliable')]
    node = rclpy.create_node('listener', context=context, parameter_overrides=overrides)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def conditions():
    """Give the conditions of one camera."""
    return Conditions(logging.getLogger('test'))


def codes(conditions: Conditions) -> list[str]:
    return [item.condition.code for item in conditions.active()]


def not_importable(monkeypatch) -> None:
    # As of an overlay whose library paths were lost.
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == 'tf2_msgs':
                raise ImportError('libtf2_msgs__rosidl_generator_c.so: cannot open shared object')

    monkeypatch.setattr(sys, 'meta_path', [Finder(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, 'tf2_msgs', raising=False)


def of_another_build(monkeypatch) -> None:
    package, messages = ModuleType('tf2_msgs'), ModuleType('tf2_msgs.msg')
    messages.TFMessage = type('TFMessage', (), {'of': 'another ROS'})
    for name, module in (('tf2_msgs', package), ('tf2_msgs.msg', messages)):
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize('broken', [not_importable, of_another_build])
def test_a_message_package_that_fails_costs_its_own_feature_alone(
    node, conditions, monkeypatch, broken
):
    broken(monkeypatch)
    inputs = CameraInputs(node, '', NodeParameters(), conditions)
    inputs.subscribe(Pairer(lambda pair: None))
    assert {to.topic for to in inputs.subscriptions} == INPUTS
    assert codes(conditions) == ['NO_TRANSFORMS']
    inputs.unsubscribe()
    assert not inputs.subscriptions


def test_a_publisher_whose_qos_is_too_weak_is_reported_and_its_end_too(node, conditions):
    inputs = CameraInputs(node, '', NodeParameters(register_depth=False), conditions)
    inputs.subscribe(Pairer(lambda pair: None))
    weak = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    publishers = [
        node.create_publisher(Image, f'/{name}/image', weak) for name in ('rgb', 'depth')
    ]
    outputs = SimpleNamespace(publishers=[])
    camera: Any = SimpleNamespace(inputs=inputs, outputs=outputs, conditions=conditions)
    monitor = GraphMonitor(node, conditions)

    def wait_for(expected: list[str]) -> None:
        end = time.monotonic() + 30
        while codes(conditions) != expected and time.monotonic() < end:
            monitor.look([camera])
            time.sleep(0.02)
        assert codes(conditions) == expected

    wait_for(['INPUT_QOS'])
    assert RELIABLE in conditions.active()[0].text
    node.destroy_publisher(publishers[0])
    wait_for([])
