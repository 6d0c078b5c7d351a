# SPDX-License-Identifier: Apache-2.0
"""Everything that belongs to one camera of the node: inputs, pairing, outputs, numbers."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.errors import DataError
from magadepth_ros.messages.camera_info import camera_model
from magadepth_ros.messages.registration import View
from magadepth_ros.nodes.camera_inputs import CameraInputs
from magadepth_ros.nodes.camera_outputs import CameraOutputs
from magadepth_ros.nodes.frame_statistics import FrameStatistics
from magadepth_ros.nodes.input_monitor import InputMonitor
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter
from magadepth_ros.nodes.slot import LatestSlot
from magadepth_ros.nodes.synchroniser import make_pairer
from magadepth_ros.pairing import Counters, Pair


class CameraPipeline:
    """One camera: what it hears, which pairs it makes of it, what it says."""

    def __init__(
        self,
        node: Node,
        index: int,
        name: str,
        parameters: NodeParameters,
        reporter: Reporter,
    ) -> None:
        """Make its publishers; ``index`` is its place among the node's cameras."""
        prefix = f'{name}/' if name else ''
        self.name = name
        self.statistics = FrameStatistics()
        self.pairer = make_pairer(
            parameters.synchronizer, self._on_pair, parameters.slop, parameters.queue_size
        )
        self.inputs = CameraInputs(node, prefix, parameters, reporter)
        # Last, as what fails before leaves no topic behind.
        self.outputs = CameraOutputs(node, prefix, reporter)
        self.slot: LatestSlot | None = None
        self._index = index
        self.monitor = InputMonitor(
            reporter,
            self.inputs.rgb_topic,
            self.inputs.depth_topic,
            f' {name}' if name else '',
        )
        self._known: tuple[CameraInfo, CameraModel] | None = None

    @property
    def counters(self) -> Counters:
        """What became of its messages."""
        return self.pairer.counters

    def info_for(self, depth: np.ndarray) -> tuple[CameraInfo, CameraModel] | None:
        """
        Give the newest camera_info, and the camera at the size of (H, W) ``depth``.

        None, and a warning with the remedy, where it is missing or does not belong to the image.
        """
        msg = self.inputs.camera_info
        if msg is None:
            self.monitor.camera_info(
                f'no message on {self.inputs.info_topic}: no cloud and no camera_info go out '
                'until one comes; remap rgb/camera_info to the topic of the colour camera',
                missing=True,
            )
            return None
        size = depth.shape[1], depth.shape[0]
        try:
            # Reading K costs more than comparing: the same message is read once.
            if self._known is None or self._known[0] is not msg or self._known[1].size != size:
                self._known = msg, camera_model(msg, self.inputs.rgb_topic, size)
        except DataError as error:
            self._known = None
            self.monitor.camera_info(f'{self.inputs.info_topic}: {error}')
            return None
        self.monitor.camera_info('')
        return self._known

    def registered(self, pair: Pair, picture: np.ndarray, depth: np.ndarray) -> np.ndarray | None:
        """
        Give ``depth`` [m] in the frame of ``picture``: as it is where it is there already.

        None, and a warning with the remedy, where it is elsewhere and cannot be registered.
        """
        inputs, registration = self.inputs, self.inputs.registration
        frames = pair.rgb.header.frame_id, pair.depth.header.frame_id
        rgb = View(inputs.rgb_topic, frames[0], inputs.camera_info, inputs.info_topic)
        other = View(inputs.depth_topic, frames[1], inputs.depth_info, inputs.depth_info_topic)
        if registration is None:
            self.monitor.frames(*frames)
            return depth
        if not registration.needed(rgb, other):
            self.monitor.registration('')
            return depth
        start = perf_counter()
        try:
            depth = registration.register(depth, rgb, other, picture.shape[1::-1])
        except DataError as error:
            self.monitor.registration(str(error))
            return None
        self.monitor.registration('')
        self.statistics.stages({'register': (perf_counter() - start) * 1e3})
        return depth

    def _on_pair(self, pair: Pair) -> None:
        if self.slot is not None:
            self.slot.put(self._index, pair, self.counters)

    def destroy(self) -> None:
        """Take its topics away."""
        self.inputs.unsubscribe()
        self.outputs.destroy()
