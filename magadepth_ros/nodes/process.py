# SPDX-License-Identifier: Apache-2.0
"""Run one node as a process: start, spin, and leave cleanly on a signal in every state."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from magadepth_ros.engines.keeper import THREAD
from magadepth_ros.errors import MagadepthError, describe
from magadepth_ros.nodes.dds import use_shipped_profile

_STUCK = (THREAD, 'worker')


def run(make_node: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """
    Make a node and spin it until SIGINT, SIGTERM or its own end.

    A node ends itself by an attribute ``finished`` that is true, with its ``exit_code``, and
    releases what it holds in a method ``release``; all are optional.

    Returns
    -------
    int
        exit code: 0 after a signal, the node's own after its end, 2 when it could not be made.

    """
    use_shipped_profile()
    rclpy.init(args=None if args is None else list(args))
    node: Node | None = None
    executor: SingleThreadedExecutor | None = None
    code = 0
    try:
        node = make_node()
        if rclpy.ok():
            executor = SingleThreadedExecutor()
            executor.add_node(node)
        while executor and rclpy.ok() and not getattr(node, 'finished', False):
            _spin_once(executor, node)
        code = getattr(node, 'exit_code', 0)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except MagadepthError as error:
        print(f'{type(error).__name__}: {error}', file=sys.stderr)
        code = 2
    except Exception:
        # A signal while the node is made ends the context under it: whatever that raises, it is
        # the end that was asked for.
        if rclpy.ok():
            raise
    finally:
        # Ctrl-C under `ros2 launch` comes twice: from the terminal and from launch.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None and hasattr(node, 'release'):
            node.release()
        # A process that exits while rclpy's executor still waits aborts (exit code 134).
        if executor is not None:
            executor.shutdown(timeout_sec=1.0)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    if any(thread.name.startswith(_STUCK) for thread in threading.enumerate()):
        # A runtime that builds an engine, or hangs, cannot be interrupted: leave without it, but
        # not without DDS giving back its shared memory, 68 MB.
        executor = None
        rclpy.get_default_context().destroy()
        sys.stderr.flush()
        os._exit(code)
    return code


def _spin_once(executor: SingleThreadedExecutor, node: Node) -> None:
    try:
        executor.spin_once(timeout_sec=1.0)
    except ExternalShutdownException:
        raise
    # A callback that fails costs its message, not the robot its depth.
    except Exception as error:
        if not rclpy.ok():
            return
        node.get_logger().error(f'callback failed: {describe(error)}', throttle_duration_sec=5.0)
        # Should it fail at once again and again, the other processes still get their share.
        time.sleep(0.01)
