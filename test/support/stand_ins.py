# SPDX-License-Identifier: Apache-2.0
"""
Stand-ins for the nodes that use completed depth: they subscribe as those do, and report.

    python -m support.stand_ins rgbd_sync --ros-args -r rgb/image:=...

A report is a JSON file in the folder STAND_IN_REPORTS. It is written once a message has come on
every input: of one stamp, where the real node wants that, and in a frame that tf leads to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from support.stand_in_facts import STAND_INS, value

from magadepth_ros.completion.static_frames import StaticFrames, transform_matrix

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None


class Reporter:
    """Subscribes for one stand-in and writes its report when everything has come."""

    def __init__(self, node: Node, name: str) -> None:
        self.node, self.name, self.spec = node, name, STAND_INS[name]
        self.frames = StaticFrames()
        inputs = self.spec.inputs(node) if callable(self.spec.inputs) else self.spec.inputs
        self.got: dict[str, dict[int, Any]] = {topic: {} for topic in inputs}
        self.publishers = [
            (node.create_publisher(kind, topic, 10), kind) for topic, kind in self.spec.outputs
        ]
        qos = QoSProfile(depth=10, reliability=self.spec.reliability)
        for topic, kind in inputs.items():
            node.create_subscription(kind, topic, self._keeper(topic), qos)
        if TFMessage is not None:
            latched = QoSProfile(depth=10, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            node.create_subscription(TFMessage, '/tf_static', self._on_frames, latched)
            node.create_subscription(TFMessage, '/tf', self._on_frames, 10)
        node.create_timer(0.2, self._look)

    def _keeper(self, topic: str) -> Callable[[Any], None]:
        def keep(message: Any) -> None:
            stamp = message.header.stamp
            self.got[topic][stamp.sec * 10**9 + stamp.nanosec] = message
            for publisher, kind in self.publishers:
                publisher.publish(kind(header=message.header))

        return keep

    def _on_frames(self, message: Any) -> None:
        for item in message.transforms:
            t, q = item.transform.translation, item.transform.rotation
            step = transform_matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
            self.frames.add(item.header.frame_id, item.child_frame_id, step)

    def _look(self) -> None:
        newest = {topic: list(kept.values())[-1:] for topic, kept in self.got.items()}
        if not all(newest.values()):
            return
        if self.spec.exact and not set.intersection(*(set(kept) for kept in self.got.values())):
            return
        fixed = {'global_frame', 'octomap_frame'} & set(self.node._parameters)
        frames = {kept[0].header.frame_id for kept in newest.values()}
        reached = {
            frame
            for name in fixed
            for frame in frames
            if self.frames.lookup_transform(value(self.node, name), frame) is not None
        }
        if TFMessage is not None and fixed and reached != frames:
            return
        known = self.spec.parameters
        known = known(self.node) if callable(known) else known
        report(
            self.name,
            {
                'node': self.node.get_fully_qualified_name(),
                'topics': {
                    self.node.resolve_topic_name(topic): [
                        type(kept[0]).__name__,
                        getattr(kept[0], 'encoding', ''),
                        kept[0].header.frame_id,
                    ]
                    for topic, kept in newest.items()
                },
                'joins': self.spec.joins and self.node.resolve_topic_name(self.spec.joins),
                'unknown': sorted(
                    set(self.node._parameters)
                    - known
                    - {'use_sim_time', 'start_type_description_service'}
                ),
            },
        )


def report(name: str, content: dict[str, Any]) -> None:
    path = Path(os.environ['STAND_IN_REPORTS'], f'{name.replace("::", ".")}.json')
    part = path.with_suffix('.part')
    part.write_text(json.dumps(content))
    part.rename(path)


def container(node: Node, executor: SingleThreadedExecutor) -> None:
    """Load stand-ins as a component container does."""
    from composition_interfaces.srv import LoadNode

    def load(request: Any, response: Any) -> Any:
        rules = [word for rule in request.remap_rules for word in ('-r', rule)]
        inner = rclpy.create_node(
            request.node_name,
            namespace=request.node_namespace or None,
            cli_args=['--ros-args', *rules],
            use_global_arguments=False,
            automatically_declare_parameters_from_overrides=True,
            parameter_overrides=[Parameter.from_parameter_msg(p) for p in request.parameters],
        )
        executor.add_node(inner)
        Reporter(inner, request.plugin_name)
        response.success, response.unique_id = True, 1
        response.full_node_name = inner.get_fully_qualified_name()
        return response

    node.create_service(LoadNode, '~/_container/load_node', load)


def manager(node: Node) -> None:
    """Configure and activate its nodes in turn, as Nav2's lifecycle manager does at its start."""
    from lifecycle_msgs.srv import ChangeState

    assert value(node, 'autostart')
    left = [(name, step) for step in (1, 3) for name in value(node, 'node_names')]
    clients = {
        name: node.create_client(ChangeState, f'{name}/change_state')
        for name in value(node, 'node_names')
    }

    def proceed(future: Any = None) -> None:
        if future is not None:
            assert future.result().success, left[0]
            left.pop(0)
            if not left:
                report('lifecycle_manager', {'bond_timeout': value(node, 'bond_timeout')})
                return
        name, step = left[0]
        request = ChangeState.Request()
        request.transition.id = step
        clients[name].call_async(request).add_done_callback(proceed)

    def begin() -> None:
        if all(client.service_is_ready() for client in clients.values()):
            timer.cancel()
            proceed()

    timer = node.create_timer(0.5, begin)


def main(name: str, args: Sequence[str]) -> None:
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    rclpy.init(args=list(args))
    options = {'automatically_declare_parameters_from_overrides': True}
    kind: Any = Node
    if name == 'nav2_costmap_2d':
        from rclpy.lifecycle import LifecycleNode as kind
    node = kind(name, **options)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if name == 'component_container':
            container(node, executor)
        elif name == 'lifecycle_manager':
            manager(node)
        else:
            Reporter(node, name)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
