# SPDX-License-Identifier: Apache-2.0
"""The node of a command that subscribes to other nodes."""

from __future__ import annotations

import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


class Subscriber:
    """Owns the process's connection to ROS until `close`; it has no thread."""

    def __init__(self, name: str) -> None:
        # The command handles signals: it stops the other processes before this node ends.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(name, enable_rosout=False)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def spin(self, seconds: float) -> None:
        """Take messages for some seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def close(self) -> None:
        """End the node."""
        self.executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        rclpy.try_shutdown()
