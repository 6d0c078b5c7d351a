# SPDX-License-Identifier: Apache-2.0
"""The node of a command that looks at others: joins the graph, listens when told, leaves."""

from __future__ import annotations

import struct
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from magadepth_ros.pairing import NANO


class Listener:
    """Owns the process's connection to ROS, from its making to `close`; has no thread."""

    def __init__(self, name: str) -> None:
        # Signals are the command's: it stops the other processes before this node ends.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(name, enable_rosout=False)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def spin(self, seconds: float) -> None:
        """Take messages for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def close(self) -> None:
        """End the node."""
        self.executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        rclpy.try_shutdown()


def stamp_of(data: bytes) -> int:
    """Return the stamp [ns] of a serialised message that begins with a std_msgs/Header (CDR)."""
    # Four bytes of encapsulation, the second of which is odd for little-endian.
    seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    return seconds * NANO + nanoseconds
