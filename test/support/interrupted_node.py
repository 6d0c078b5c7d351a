# SPDX-License-Identifier: Apache-2.0
"""A node that gets a signal while it is made: ``SIGNAL``, by ``WHEN``."""

from __future__ import annotations

import os
import signal
import sys
import time

import rclpy
from rclpy.node import Node
from std_msgs.msg import Float64

from magadepth_ros.nodes.process import run


def interrupt(when: str) -> None:
    if os.environ['WHEN'] == when:
        os.kill(os.getpid(), signal.Signals[os.environ['SIGNAL']])
        # rclpy ends the context in a thread of its own.
        time.sleep(0.3)


class Interrupted(Node):
    """Makes a publisher when the context may be gone."""

    def __init__(self) -> None:
        super().__init__('interrupted', start_parameter_services=False)
        interrupt('while it is made')
        self.create_publisher(Float64, 'late', 1)


def fail() -> None:
    """Fail as a context that has gone makes it, and get the signal while that is looked at."""
    ok = rclpy.ok

    def late() -> bool:
        interrupt('while its failure is looked at')
        return bool(ok())

    rclpy.ok = late
    raise RuntimeError('the context is invalid')


def make() -> Node:
    interrupt('before it is made')
    if os.environ['WHEN'] == 'while its failure is looked at':
        fail()
    node = Interrupted()
    interrupt('before it spins')
    return node


if __name__ == '__main__':
    sys.exit(run(make, sys.argv))
