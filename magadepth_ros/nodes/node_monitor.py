# SPDX-License-Identifier: Apache-2.0
"""Checks clock, graph and engine periodically, and publishes /diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from magadepth_ros.nodes.camera_outputs import DebugOutputs
from magadepth_ros.nodes.camera_pipeline import CameraPipeline
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.diagnostics import camera_status, engine_status
from magadepth_ros.nodes.graph_monitor import PERIOD, GraphMonitor
from magadepth_ros.nodes.input_monitor import PATIENCE
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.serving.keeper import EngineKeeper


class NodeMonitor:
    """Publishes the node's diagnostics; used from the executor's thread only."""

    def __init__(
        self, node: Node, conditions: Conditions, keeper: EngineKeeper, debug: DebugOutputs
    ) -> None:
        """``conditions`` are the node's own."""
        self._node = node
        self._conditions = conditions
        self._keeper = keeper
        self._debug = debug
        self._graph = GraphMonitor(node, conditions)
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._begin = self._looked = monotonic()

    def watch(self, cameras: Sequence[CameraPipeline], listens: bool) -> None:
        """Check the clock, the graph and the inputs of the cameras; call it twice a second."""
        now = monotonic()
        simulated = self._node.get_parameter('use_sim_time').value
        waits = simulated and self._node.get_clock().now().nanoseconds == 0
        self._conditions.check('NO_CLOCK', waits and now - self._begin > PATIENCE)
        for camera in cameras if listens else ():
            camera.monitor.watch()
        if now - self._looked >= PERIOD:
            self._looked = now
            self._graph.look(cameras)

    def publish(
        self,
        state: str,
        enabled: bool,
        cameras: Sequence[CameraPipeline],
        parameters: NodeParameters,
    ) -> None:
        """Publish one message; ``state`` is the lifecycle's."""
        name = self._node.get_fully_qualified_name()
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        array.status.append(
            engine_status(name, state, enabled, self._keeper, self._conditions, parameters)
        )
        listens = state == 'active' and enabled
        for camera in cameras:
            idle = not (camera.outputs.wanted() or self._debug.wanted())
            array.status.append(camera_status(name, listens, idle, camera))
        self._publisher.publish(array)
