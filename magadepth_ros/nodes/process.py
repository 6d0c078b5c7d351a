# SPDX-License-Identifier: Apache-2.0
"""Run one node as a process: start, spin, and end cleanly on a signal in every state."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import uninstall_signal_handlers

from magadepth_ros.errors import MagadepthError, describe
from magadepth_ros.nodes.dds import use_shipped_profile
from magadepth_ros.nodes.heap import keep_freed_memory

ANSWERED_WITHIN = 1.0
"""Seconds that a message needs to reach a process that is busy."""


def run(make_node: Callable[[], Node], args: Sequence[str] | None = None) -> NoReturn:
    """
    Make a node, spin it until SIGINT, SIGTERM or its own end, and end the process.

    A node may have three attributes. The process ends when ``finished`` is true, with the node's
    ``exit_code``; the method ``release`` releases its resources.

    The exit code is 0 after a signal, ``exit_code`` after ``finished``, 2 where making the node
    failed.
    """
    life = _Life()
    # rclpy passes Ctrl-C on to Python too, which may raise KeyboardInterrupt late: even while
    # an exception is handled that the end of the context caused.
    with suppress(KeyboardInterrupt):
        _live(life, make_node, args)
    with suppress(KeyboardInterrupt):
        _ignore_signals()
    _leave(life)


@dataclass
class _Life:
    node: Node | None = None
    executor: SingleThreadedExecutor | None = None
    code: int = 0


def _live(life: _Life, make_node: Callable[[], Node], args: Sequence[str] | None) -> None:
    try:
        with _noting_sigterm() as sigterm:
            use_shipped_profile()
            keep_freed_memory()
            rclpy.init(args=None if args is None else list(args))
        if not sigterm:
            life.node = node = make_node()
            if rclpy.ok():
                life.executor = SingleThreadedExecutor()
                life.executor.add_node(node)
            while life.executor and rclpy.ok() and not getattr(node, 'finished', False):
                _spin_once(life.executor, node)
            life.code = getattr(node, 'exit_code', 0)
            # A client that requested the end over ROS needs a moment to receive the answer.
            until = time.monotonic() + ANSWERED_WITHIN
            while life.executor and rclpy.ok() and time.monotonic() < until:
                _spin_once(life.executor, node, 0.1)
    except ExternalShutdownException:
        pass
    except MagadepthError as error:
        print(f'{type(error).__name__}: {error}', file=sys.stderr)
        life.code = 2
    except Exception:
        # A signal ends the context while the node is made. Any exception is then a consequence of
        # the requested end, and not reported.
        if rclpy.ok():
            traceback.print_exc()
            life.code = 1


@contextmanager
def _noting_sigterm() -> Iterator[list[int]]:
    """Append each SIGTERM to the yielded list, until rclpy installs its own handler."""
    noted: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: noted.append(number))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield noted


def _leave(life: _Life) -> NoReturn:
    """
    Shut down in a fixed order, from the threads to the middleware, and end the process.

    First the node ends its threads and waits for them. A thread inside a runtime cannot be
    interrupted, such as a build of an engine; but it uses nothing of ROS. So ROS is shut down
    while that thread runs, and the process ends without Python's own finalisation, in which such a
    thread would crash.
    """
    _ignore_signals()
    node, executor = life.node, life.executor
    context = rclpy.get_default_context()
    # The first step waits for the thread in which rclpy handles signals. That thread ends the
    # context, then wakes all executors, so none may be destroyed before. It also restores the
    # earlier signal handlers.
    steps: list[Callable[[], object]] = [
        uninstall_signal_handlers,
        _ignore_signals,
        getattr(node, 'release', lambda: None),
    ]
    if executor is not None:
        # An executor that still waits when the context is destroyed would abort the process.
        steps.append(partial(executor.shutdown, timeout_sec=1.0))
    if node is not None:
        steps.append(node.destroy_node)
    # DDS gives back its 68 MB of shared memory with the last reference to the context.
    steps += [rclpy.try_shutdown, context.destroy]
    for step in steps:
        try:
            step()
        except Exception as error:
            print(f'while ending: {describe(error)}', file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(life.code)


def _ignore_signals() -> None:
    # Under `ros2 launch` Ctrl-C arrives twice: from the terminal and from launch.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _spin_once(executor: SingleThreadedExecutor, node: Node, seconds: float = 1.0) -> None:
    try:
        executor.spin_once(timeout_sec=seconds)
    except ExternalShutdownException:
        raise
    # A callback that fails loses its message, and the node goes on.
    except Exception as error:
        if not rclpy.ok():
            return
        node.get_logger().error(f'callback failed: {describe(error)}', throttle_duration_sec=5.0)
        # A pause, so that a callback that always fails does not use up the processor.
        time.sleep(0.01)
