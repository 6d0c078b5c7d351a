# SPDX-License-Identifier: Apache-2.0
"""One camera of the node: it connects topics, pairer, monitor and statistics."""

from __future__ import annotations

from functools import partial

from rclpy.node import Node

from magadepth_ros.nodes.camera_inputs import CameraInputs
from magadepth_ros.nodes.camera_outputs import CameraOutputs
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.frame_statistics import FrameStatistics
from magadepth_ros.nodes.input_monitor import InputMonitor
from magadepth_ros.nodes.logger import ThreadLogger
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.synchroniser import make_pairer
from magadepth_ros.pairing import Counters, LatestPairs


class CameraPipeline:
    """All objects of one camera; they live from configure to cleanup."""

    def __init__(
        self,
        node: Node,
        index: int,
        name: str,
        parameters: NodeParameters,
        latest: LatestPairs,
        logger: ThreadLogger,
    ) -> None:
        """Make its publishers; ``index`` is its place among the node's cameras in ``latest``."""
        prefix = f'{name}/' if name else ''
        self.name = name
        self.conditions = Conditions(logger, name, 2 * parameters.diagnostics_period)
        self.statistics = FrameStatistics()
        self.pairer = make_pairer(
            parameters.synchronizer,
            partial(latest.put, index),
            parameters.slop,
            parameters.queue_size,
        )
        self.inputs = CameraInputs(node, prefix, parameters, self.conditions)
        # The publishers come last: an error before them leaves no topic behind.
        self.outputs = CameraOutputs(node, prefix)
        self.monitor = InputMonitor(self.conditions, self.inputs.reader, self.pairer)

    @property
    def counters(self) -> Counters:
        """The counters of its messages and pairs."""
        return self.pairer.counters

    def listen(self) -> None:
        """Subscribe to its topics."""
        self.monitor.rest()
        self.inputs.subscribe(self.pairer)

    def rest(self) -> None:
        """Unsubscribe, and forget waiting messages and conditions."""
        self.inputs.unsubscribe()
        self.pairer.clear()
        self.monitor.rest()

    def destroy(self) -> None:
        """Unsubscribe, and destroy its publishers."""
        self.inputs.unsubscribe()
        self.outputs.destroy()
