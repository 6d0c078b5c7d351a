# SPDX-License-Identifier: Apache-2.0
"""Live tests: real processes over DDS in a domain of their own, waited for by conditions."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue, SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from support.messages import depth_image, rgb_image

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.messages.camera_info import info_of

ROOT = Path(__file__).resolve().parents[2]
NANO = 1_000_000_000
DEADLINE = 90.0
"""Seconds after which a condition has failed; generous, as machines are busy."""

_held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


@functools.cache
def _domains() -> Iterator[int]:
    """Take eight of the domains 20 to 99 for this process, told from others by a bound name."""
    # Nodes inherit the socket: domains of a killed run stay taken while one of its nodes lives.
    for first in range(20, 100, 8):
        with contextlib.suppress(OSError):
            _held.bind(f'\0magadepth live tests {first}')
            return itertools.cycle(range(first, first + 8))
    return map(lambda number: 20 + number % 80, itertools.count(os.getpid()))


def free_domain() -> int:
    """Return a ROS domain for a live test, whatever other test runs there are on the machine."""
    return next(_domains())


class Process:
    """One node as a process of its own, with its log; ended whatever happened."""

    def __init__(self, module: str, domain: int, log: Path, *args: str, **env: str) -> None:
        """Start ``python -m module --ros-args args``; ``env`` is added to the environment."""
        self.log_path = log
        self._log = log.open('wb')
        paths = [str(ROOT), str(ROOT / 'test'), os.environ.get('PYTHONPATH', '')]
        self.process = subprocess.Popen(
            [sys.executable, '-m', module, '--ros-args', *args],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            pass_fds=(_held.fileno(),),
            env={
                **os.environ,
                'PYTHONPATH': os.pathsep.join(p for p in paths if p),
                'ROS_DOMAIN_ID': str(domain),
                'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                'ROS_LOG_DIR': str(log.parent),
                'OMP_NUM_THREADS': '1',
                **env,
            },
        )

    @property
    def log(self) -> str:
        """What it has written so far."""
        # A device in its place, /dev/full, would never end.
        return self.log_path.read_text(errors='replace') if self.log_path.is_file() else ''

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def wait(self) -> int:
        """Return the exit code; a process that does not end fails the test."""
        return self.process.wait(DEADLINE)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code; a process that does not end fails the test."""
        if self.alive():
            self.process.send_signal(number)
        return self.wait()

    def close(self) -> None:
        """Make sure that nothing stays behind; by SIGINT, as a killed one leaves its memory."""
        if self.alive():
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._log.close()


class Graph:
    """This test's own node: plays the camera, listens, calls services."""

    def __init__(self, domain: int, log: Callable[[], str] = str) -> None:
        """Join ``domain``; ``log`` gives what the node under test says, for failures."""
        self._log = log
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node('tester', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.got: dict[str, list[Any]] = {}
        self._clients: dict[str, Client] = {}

    def close(self) -> None:
        """Leave the domain."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def until(
        self,
        condition: Callable[[], Any],
        what: str,
        timeout: float = DEADLINE,
        every: float = 0.02,
    ) -> Any:
        """Spin until ``condition`` is true and return it; fail with ``what`` at the deadline."""
        end = time.monotonic() + timeout
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                said = f'; the end of the log:\n{self._log()[-3000:]}' if self._log() else ''
                raise AssertionError(f'not within {timeout:g} s: {what}{said}')
            self.executor.spin_once(timeout_sec=every)

    def repeat(
        self,
        send: Callable[[], Any],
        condition: Callable[[], Any],
        what: str,
        rate: float = 15.0,
        timeout: float = DEADLINE,
    ) -> Any:
        """
        Call ``send`` at ``rate`` [Hz] until ``condition`` is true and return that.

        As a camera does: of best-effort messages each single one may be lost.
        """
        upcoming = 0.0

        def step() -> Any:
            nonlocal upcoming
            found = condition()
            if not found and time.monotonic() >= upcoming:
                upcoming = time.monotonic() + 1.0 / rate
                send()
            return found

        return self.until(step, what, timeout)

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 10, key: str = '') -> list:
        """Subscribe and wait for the publisher; return the list that fills with messages."""
        messages = self.got.setdefault(key or topic, [])
        self.node.create_subscription(kind, topic, messages.append, qos)
        self.until(lambda: self.node.count_publishers(topic), f'a publisher on {topic}')
        return messages

    def call(self, kind: type, name: str, request: Any, timeout: float = DEADLINE) -> Any:
        """Call a service and return its response."""
        # Kept: a service that does not know a client yet does what it is asked and answers nobody,
        # so that asking again would not be the same.
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
            self.until(self._clients[name].service_is_ready, f'service {name}', timeout)
            met = time.monotonic() + 0.1
            self.until(lambda: time.monotonic() > met, f'{name} to know its client')
        client = self._clients[name]
        self.until(client.service_is_ready, f'service {name}', timeout)
        futures: list[Any] = []
        answered = self.repeat(
            lambda: futures.append(client.call_async(request)),
            lambda: [future for future in futures if future.done()],
            f'an answer of {name}',
            rate=0.05,
            timeout=timeout,
        )
        return answered[0].result()

    def set_parameter(self, name: str, value: bool | int | float | str) -> SetParametersResult:
        """Set a parameter of completion_node and return what it says to it."""
        kind = {bool: 'bool', int: 'integer', float: 'double', str: 'string'}[type(value)]
        holder = ParameterValue(type=getattr(ParameterType, f'PARAMETER_{kind.upper()}'))
        setattr(holder, f'{kind}_value', value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=holder)])
        return self.call(SetParameters, '/completion_node/set_parameters', request).results[0]

    def status(self, name: str) -> tuple[bytes, str, dict[str, str]]:
        """Wait for a status of the engine or a camera made from now on: level, message, values."""
        if '/diagnostics' not in self.got:
            self.listen(DiagnosticArray, '/diagnostics')
        arrays = self.got['/diagnostics']
        now = time.time_ns()
        array = self.until(
            lambda: arrays and nanoseconds(arrays[-1].header) > now and arrays[-1], 'diagnostics'
        )
        status = next(s for s in array.status if s.name == f'/completion_node: {name}')
        return status.level, status.message, {v.key: v.value for v in status.values}


class ManualCamera:
    """A camera of 64x48 pixels whose every message the test chooses."""

    WIDTH, HEIGHT = 64, 48

    def __init__(self, graph: Graph, prefix: str = '', compressed: bool = False) -> None:
        """Advertise ``rgb/image``, ``depth/image`` and ``rgb/camera_info`` below ``prefix``."""
        kind = CompressedImage if compressed else Image
        create = graph.node.create_publisher
        base = prefix.rstrip('/')
        suffixes = ('/compressed', '/compressedDepth') if compressed else ('', '')
        self.graph = graph
        self.rgb = create(kind, f'{base}/rgb/image{suffixes[0]}', 10)
        self.depth = create(kind, f'{base}/depth/image{suffixes[1]}', 10)
        self.info = create(CameraInfo, f'{base}/rgb/camera_info', 10)
        self.stamp_ns = time.time_ns()
        self.shot: list[int] = []
        """Stamps of the good frames [ns]."""
        rng = np.random.default_rng(1)
        self.picture = rng.integers(20, 255, (self.HEIGHT, self.WIDTH, 3)).astype(np.uint8)
        self.metres = np.full((self.HEIGHT, self.WIDTH), 2.0, np.float32)
        self.metres[10:20, 10:20] = 0.0

    def wait_until_heard(self) -> None:
        """Wait for the node's subscriptions."""
        for publisher in (self.rgb, self.depth, self.info):
            self.graph.until(publisher.get_subscription_count, f'the node on {publisher.topic}')

    def header(self) -> Header:
        """Stamp the next frame: now, and always later than the one before."""
        self.stamp_ns = max(self.stamp_ns + 1, time.time_ns())
        return header_at(self.stamp_ns)

    def shoot(self, header: Header | None = None) -> Header:
        """Publish one good frame and return its header."""
        header = header or self.header()
        self.shot.append(nanoseconds(header))
        self.picture = np.roll(self.picture, 1, axis=0)
        camera = CameraModel(self.WIDTH, self.HEIGHT, 60.0, 60.0, 31.5, 23.5)
        self.info.publish(info_of(header, camera))
        self.depth.publish(depth_image(header, self.metres, '16UC1'))
        self.rgb.publish(rgb_image(header, self.picture))
        return header

    def settle(self, send: Callable[[], Header] | None = None) -> list:
        """
        Send frames until the newest completed one is among them; return all completed.

        ``send`` publishes a frame and returns its header; without it, good ones are shot. In no
        haste, so that each is alone in the node: frames within a millisecond would be paired
        across where one of their messages is lost.
        """
        depth = self.graph.got['/depth/completed']
        send = send or self.shoot
        sent: list[Time] = []
        self.graph.repeat(
            lambda: sent.append(send().stamp),
            lambda: depth and depth[-1].header.stamp in sent,
            'a frame that was sent just now',
            rate=4.0,
        )
        return depth

    def shoot_until(self, condition: Callable[[], Any], what: str, rate: float = 15.0) -> Any:
        """Publish good frames at ``rate`` [Hz] until ``condition`` is true."""
        return self.graph.repeat(self.shoot, condition, what, rate)


def nanoseconds(header: Header) -> int:
    """Stamp of a header [ns]."""
    return header.stamp.sec * NANO + header.stamp.nanosec


def newest_common(topics: Iterable[list]) -> list:
    """Give of each list the message of the newest stamp that all have; empty without one."""
    stamped = [{nanoseconds(m.header): m for m in ms} for ms in topics]
    common = set(stamped[0]).intersection(*stamped)
    return [messages[max(common)] for messages in stamped] if common else []


def header_at(stamp_ns: int, frame: str = 'camera_color_optical_frame') -> Header:
    """Make a header of this time."""
    stamp = Time(sec=stamp_ns // NANO, nanosec=stamp_ns % NANO)
    return Header(stamp=stamp, frame_id=frame)


def depth_of(msg: Image) -> np.ndarray:
    """(H, W) of a 32FC1 message, read without the code under test."""
    assert msg.encoding == '32FC1'
    return np.frombuffer(msg.data, '<f4').reshape(msg.height, msg.width)


@contextlib.contextmanager
def running(
    module: str, folder: Path, *args: str, domain: int | None = None, **env: str
) -> Iterator[tuple[Process, Graph]]:
    """Run a node in a fresh domain, with a graph of the test's in the same domain."""
    domain = free_domain() if domain is None else domain
    log = folder / f'{module.rpartition(".")[2]}.log'
    process = Process(module, domain, log, *args, **env)
    graph = Graph(domain, lambda: process.log)
    try:
        yield process, graph
    except BaseException:
        print(process.log)
        raise
    finally:
        graph.close()
        process.close()
