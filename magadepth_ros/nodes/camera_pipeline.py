# SPDX-License-Identifier: Apache-2.0
"""One camera of the node: its topics, its pairer, its monitor and its numbers, joined up."""

from __future__ import annotations

from functools import partial

from rclpy.node import Node

from magadepth_ros.nodes.camera_inputs import CameraInputs
from magadepth_ros.nodes.camera_outputs import CameraOutputs
from magadepth_ros.nodes.frame_statistics import FrameStatistics
from magadepth_ros.nodes.input_monitor import InputMonitor
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter
from magadepth_ros.nodes.synchroniser import make_pairer
from magadepth_ros.pairing import Counters, LatestPairs


class CameraPipeline:
    """What belongs to one camera from configure to cleanup."""

    def __init__(
        self,
        node: Node,
        index: int,
        name: str,
        parameters: NodeParameters,
        reporter: Reporter,
        latest: LatestPairs,
    ) -> None:
        """Make its publishers; ``index`` is its place among the node's cameras in ``latest``."""
        prefix = f'{name}/' if name else ''
        self.name = name
        self.statistics = FrameStatistics()
        self.pairer = make_pairer(
            parameters.synchronizer,
            partial(latest.put, index),
            parameters.slop,
            parameters.queue_size,
        )
        self.inputs = CameraInputs(node, prefix, parameters, reporter)
        # Last, as what fails before leaves no topic behind.
        self.outputs = CameraOutputs(node, prefix, reporter)
        self.monitor = InputMonitor(reporter, self.inputs.reader, f' {name}' if name else '')

    @property
    def counters(self) -> Counters:
        """What became of its messages."""
        return self.pairer.counters

    def listen(self) -> None:
        """Subscribe to its topics."""
        self.monitor.rest()
        self.inputs.subscribe(self.pairer)

    def destroy(self) -> None:
        """Take its topics away."""
        self.inputs.unsubscribe()
        self.outputs.destroy()
