# SPDX-License-Identifier: Apache-2.0
"""Run one node as a process: start, spin, and leave cleanly on a signal in every state."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from magadepth_ros.errors import MagadepthError
from magadepth_ros.nodes.dds import use_shipped_profile


def run(make_node: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """
    Make a node and spin it until SIGINT, SIGTERM or its own end.

    A node ends itself by an attribute ``finished`` that is true, and releases what it holds in a
    method ``release``; both are optional.

    Returns
    -------
    int
        exit code: 0 after a signal, 2 when the node could not be made.

    """
    use_shipped_profile()
    rclpy.init(args=None if args is None else list(args))
    node: Node | None = None
    executor = None
    code = 0
    try:
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while rclpy.ok() and not getattr(node, 'finished', False):
            executor.spin_once(timeout_sec=1.0)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except MagadepthError as error:
        print(f'{type(error).__name__}: {error}', file=sys.stderr)
        code = 2
    finally:
        if node is not None and hasattr(node, 'release'):
            node.release()
        # A process that exits while rclpy's executor still waits aborts (exit code 134).
        if executor is not None:
            executor.shutdown(timeout_sec=1.0)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    if any(thread.name.startswith('open-engine') for thread in threading.enumerate()):
        # A runtime that builds an engine cannot be interrupted: leave without it.
        sys.stderr.flush()
        os._exit(code)
    return code
