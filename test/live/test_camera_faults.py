# SPDX-License-Identifier: Apache-2.0
"""A camera of 30 Hz that something happens to every 20 s: what diagnostics say, what it costs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from support.live import Process, free_domain, running
from support.models import write_tiny_model
from support.shared_memory import dead_segments_removed

from magadepth_ros.nodes.condition_table import CONDITIONS
from magadepth_ros.stamps import serialised_stamp_ns
from magadepth_ros.tables import align

NODE = 'magadepth_ros.nodes.completion_node'
CAMERA = 'magadepth_ros.nodes.simulated_camera'
BASE = '/camera/camera'
REMAPS = (
    *('-r', f'rgb/image:={BASE}/color/image_raw'),
    *('-r', f'rgb/camera_info:={BASE}/color/camera_info'),
    *('-r', f'depth/image:={BASE}/aligned_depth_to_color/image_raw'),
)
SECONDS = float(os.environ.get('CAMERA_FAULTS_SECONDS', '600'))
SLOT, FAULTY = 20.0, 7.0
"""Seconds from one event to the next, and how long of them the camera is faulty."""

pytestmark = pytest.mark.slow


@dataclass
class Row:
    """What happened in one slot; memory is the node's own [MiB]."""

    event: str
    codes: set[str] = field(default_factory=set)
    shot: int = 0
    completed: int = 0
    back: float = float('nan')
    memory: float = float('nan')


class Run:
    """The node, its camera that may be another process each time, and what came."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._domain = free_domain()
        model = write_tiny_model(folder / 'tiny.onnx', 48, 64)
        given = ('-p', f'model:={model}', '-p', 'diagnostics_period:=0.2', *REMAPS)
        self.node, self.graph = stack.enter_context(
            running(NODE, folder, *given, domain=self._domain)
        )
        self.shot: list[float] = []
        self.came: list[tuple[float, int]] = []
        self.codes: set[str] = set()
        self.completed = 0
        create, qos = self.graph.node.create_subscription, QoSProfile(depth=5)
        info = f'{BASE}/color/camera_info'
        create(CameraInfo, info, lambda _: self.shot.append(time.monotonic()), qos, raw=True)
        create(Image, '/depth/completed', self._on_depth, qos, raw=True)
        create(DiagnosticArray, '/diagnostics', self._on_diagnostics, qos)
        self.start()

    def start(self) -> None:
        """Start a camera process."""
        small = (*('-p', 'width:=160'), *('-p', 'height:=120'), *('-p', 'frames:=30'))
        log = self._folder / f'camera{time.monotonic():.0f}.log'
        self.camera = Process(CAMERA, self._domain, log, *small)
        self._stack.callback(self.camera.close)

    def set_faults(self, names: str) -> None:
        """Set the camera's faults while it runs."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=names)
        request = SetParameters.Request(parameters=[Parameter(name='faults', value=value)])
        answer = self.graph.call(SetParameters, '/simulated_camera/set_parameters', request)
        assert answer.results[0].successful

    def spin(self, until: Callable[[], bool], seconds: float) -> bool:
        """Take messages until a condition holds, for so long at most."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.graph.executor.spin_once(timeout_sec=0.02)
            if until():
                return True
        return False

    def memory(self) -> float:
        """Memory of the node that is its own [MiB]."""
        status = Path(f'/proc/{self.node.process.pid}/status').read_text()
        values = dict(line.split(':', 1) for line in status.splitlines())
        return float(values['RssAnon'].split()[0]) / 1024

    def _on_depth(self, data: bytes) -> None:
        self.came.append((time.monotonic(), serialised_stamp_ns(data)))

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if 'completion_node' in status.name:
                values = {value.key: value.value for value in status.values}
                self.codes |= values.keys() & CONDITIONS.keys()
                # The node's own count: this process may miss messages where a machine is busy.
                self.completed = int(values.get('frames', self.completed))


def stop(run: Run) -> Callable[[], None]:
    run.camera.process.send_signal(signal.SIGSTOP)
    return lambda: run.camera.process.send_signal(signal.SIGCONT)


def kill(run: Run) -> Callable[[], None]:
    run.camera.process.kill()
    run.camera.process.wait()
    return run.start


def restart(run: Run) -> Callable[[], None]:
    assert run.camera.end() == 0
    run.start()
    return lambda: None


def faulty(names: str) -> Callable[[Run], Callable[[], None]]:
    def begin(run: Run) -> Callable[[], None]:
        run.set_faults(names)
        return lambda: run.set_faults('')

    return begin


EVENTS = {
    'stopped': (stop, 'CAMERA_STOPPED'),
    'killed': (kill, 'CAMERA_STOPPED'),
    'restarted': (restart, ''),
    'swapped': (faulty('swap'), 'SWAPPED_TOPICS'),
    'replayed': (faulty('replay'), 'FOREIGN_CLOCK'),
    're-timed': (faulty('jitter'), ''),
}
"""What is done to the camera, and the code that must be seen then."""


def slot(run: Run, event: str) -> Row:
    """Let one thing happen to the camera, and mend it."""
    begin, expected = EVENTS[event]
    row, start = Row(event), time.monotonic()
    shot, completed = len(run.shot), run.completed
    run.codes.clear()
    mend = begin(run)
    seen = run.spin(lambda: expected in run.codes, 90.0) if expected else True
    run.spin(lambda: False, start + FAULTY - time.monotonic())
    mend()
    mended, after = time.monotonic(), time.time_ns()
    fresh = run.spin(lambda: bool(run.came) and run.came[-1][1] > after, 90.0)
    row.codes, row.back = set(run.codes), time.monotonic() - mended
    run.spin(lambda: False, start + SLOT - time.monotonic())
    row.shot, row.completed = len(run.shot) - shot, run.completed - completed
    row.memory = run.memory()
    assert seen, f'{event}: {expected} was not in /diagnostics: {row.codes}'
    assert fresh, f'{event}: no frame came back'
    return row


def test_whatever_happens_to_the_camera_is_named_and_over_when_it_is_over(tmp_path):
    with dead_segments_removed(), ExitStack() as stack:
        run = Run(stack, tmp_path)
        assert run.spin(lambda: len(run.came) > 30, 90.0), run.node.log
        begin, rows = time.monotonic(), []
        while time.monotonic() - begin < SECONDS:
            rows.append(slot(run, list(EVENTS)[len(rows) % len(EVENTS)]))
        run.codes.clear()
        run.spin(lambda: False, 6.0)
        assert run.node.alive()
        log = run.node.log
        ended = run.node.end()
    head = ('event', 'codes in /diagnostics', 'shot', 'completed', 'lost', 'back [s]', 'MiB')
    table = [
        (
            row.event,
            ', '.join(sorted(row.codes)) or 'OK',
            str(row.shot),
            str(row.completed),
            str(row.shot - row.completed),
            f'{row.back:.2f}',
            f'{row.memory:.1f}',
        )
        for row in rows
    ]
    print('\n' + align([head, *table], left=2))
    assert ended == 0 and 'Traceback' not in log
    # Once for each time it stopped, not once for each look at it.
    stops = sum('CAMERA_STOPPED' in row.codes for row in rows)
    assert log.count('CAMERA_STOPPED: no message') <= stops
    if len(rows) > 2 * len(EVENTS):
        assert rows[-1].memory < 1.05 * rows[len(EVENTS) - 1].memory + 2
