# SPDX-License-Identifier: Apache-2.0
"""The ROS graph for ``magadepth doctor``: image topics, nodes and their diagnostics."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from magadepth_ros.subscribers.subscriber import Subscriber
from magadepth_ros.topics import IMAGE_TYPES, info_among


@dataclass(frozen=True)
class ImageTopic:
    """A topic of images: type, number of publishers, and whether camera_info is beside it."""

    name: str
    kind: str
    publishers: int
    has_info: bool


@dataclass
class Graph:
    """
    The topics and nodes that were found.

    ``statuses`` are the newest statuses of completion nodes on /diagnostics, by name: whether the
    level is OK, and the message.
    """

    rmw: str = ''
    domain: str = ''
    nodes: list[str] = field(default_factory=list)
    images: list[ImageTopic] = field(default_factory=list)
    statuses: dict[str, tuple[bool, str]] = field(default_factory=dict)


def discover(seconds: float) -> Graph:
    """Join the graph of this ROS_DOMAIN_ID for some seconds, and return what was found."""
    subscriber = Subscriber('magadepth_doctor')
    graph = Graph(rclpy.get_rmw_implementation_identifier(), os.environ.get('ROS_DOMAIN_ID', '0'))

    def on_diagnostics(msg: DiagnosticArray) -> None:
        for status in msg.status:
            if 'completion_node' in status.name:
                well = status.level == DiagnosticStatus.OK
                graph.statuses[status.name] = well, status.message

    try:
        node = subscriber.node
        node.create_subscription(DiagnosticArray, '/diagnostics', on_diagnostics, 10)
        subscriber.spin(seconds)
        names = node.get_node_names_and_namespaces()
        graph.nodes = sorted(
            f'{space.rstrip("/")}/{name}' for name, space in names if name != node.get_name()
        )
        topics = dict(node.get_topic_names_and_types())
        for name, kinds in sorted(topics.items()):
            publishers = node.count_publishers(name)
            if publishers and kinds[0] in IMAGE_TYPES:
                has_info = bool(info_among(topics, name))
                graph.images.append(ImageTopic(name, kinds[0], publishers, has_info))
    finally:
        subscriber.close()
    return graph
