# SPDX-License-Identifier: Apache-2.0
"""Faults that the ROS graph shows: wrong types and QoS, second nodes and publishers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.node import Node

from magadepth_ros.nodes.camera_inputs import Input
from magadepth_ros.nodes.camera_pipeline import CameraPipeline
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.qos import mismatch

PERIOD = 2.0
"""Seconds between two checks of the graph."""
_IMAGES = {'sensor_msgs/msg/Image': 'raw', 'sensor_msgs/msg/CompressedImage': 'compressed'}

Fields = dict[str, Any]


class GraphMonitor:
    """Compares the node with its neighbours in the graph, and sets and clears conditions."""

    def __init__(self, node: Node, conditions: Conditions) -> None:
        """``conditions`` are the node's; those of a camera are set in that camera's conditions."""
        self._node = node
        self._conditions = conditions
        self._own = node.get_name(), node.get_namespace()

    def look(self, cameras: Sequence[CameraPipeline]) -> None:
        """Compare the graph with the node and with the topics of its ``cameras``."""
        node = self._node
        count = node.get_node_names_and_namespaces().count(self._own)
        name = node.get_fully_qualified_name()
        self._conditions.check('DUPLICATE_NODE', count > 1, count=count, name=name)
        for camera in cameras:
            found: dict[str, Fields] = {}
            for publisher in camera.outputs.publishers:
                self._look_at_output(publisher.topic_name, found)
            for each in camera.inputs.subscriptions:
                self._look_at_input(each, found)
            for code in (
                *('DUPLICATE_OUTPUT', 'OUTPUT_QOS'),
                *('WRONG_TRANSPORT', 'WRONG_TYPE', 'INPUT_QOS'),
            ):
                camera.conditions.check(code, code in found, **found.get(code, {}))

    def _look_at_output(self, topic: str, found: dict[str, Fields]) -> None:
        own, others = self._split(self._node.get_publishers_info_by_topic(topic))
        if others or len(own) > 1:
            names = [f'{i.node_namespace.rstrip("/")}/{i.node_name}' for i in (*own[1:], *others)]
            found.setdefault('DUPLICATE_OUTPUT', {'topic': topic, 'others': ', '.join(names)})
        for info in self._node.get_subscriptions_info_by_topic(topic) if own else ():
            reason = mismatch(own[0].qos_profile, info.qos_profile)
            if reason:
                found.setdefault('OUTPUT_QOS', {'topic': topic, 'reason': reason})

    def _look_at_input(self, to: Input, found: dict[str, Fields]) -> None:
        infos = self._node.get_publishers_info_by_topic(to.topic)
        types = {info.topic_type for info in infos}
        if to.kind in types:
            own, _ = self._split(self._node.get_subscriptions_info_by_topic(to.topic))
            reasons = [
                mismatch(i.qos_profile, own[0].qos_profile if own else i.qos_profile)
                for i in infos
                if i.topic_type == to.kind
            ]
            if all(reasons):
                found.setdefault('INPUT_QOS', {'topic': to.topic, 'reason': reasons[0]})
            return
        others = {info.topic_type for info in self._node.get_publishers_info_by_topic(to.base)}
        topic, others = (to.topic, types) if types else (to.base, others)
        fields = {'topic': topic, 'found': ', '.join(sorted(others)), 'input': to.name}
        if to.stream and others & _IMAGES.keys():
            transport = _IMAGES[to.kind]
            parameter = 'transport' if to.stream == 'rgb' else 'depth_transport'
            (other,) = set(_IMAGES.values()) - {transport}
            fields |= {'stream': to.stream, 'transport': transport}
            fields |= {'parameter': parameter, 'other': other}
            found.setdefault('WRONG_TRANSPORT', fields)
        elif types:
            found.setdefault('WRONG_TYPE', {**fields, 'wanted': to.kind})

    def _split(self, infos: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Split endpoints into those of this node and those of others."""
        own = [i for i in infos if (i.node_name, i.node_namespace) == self._own]
        return own, [i for i in infos if i not in own]
