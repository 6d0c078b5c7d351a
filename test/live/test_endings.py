# SPDX-License-Identifier: Apache-2.0
"""
Stops at random moments: whatever the node or the camera is at, a signal ends it with 0.

`STOPS=500 pytest -s -m slow test/live/test_endings.py` is the long form, within 5 s each.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from support.live import Graph, ManualCamera, Process, free_domain
from support.models import write_tiny_model

NODE = 'support.started_node'
CAMERA = 'magadepth_ros.nodes.simulated_camera'
MOMENTS = ('opening', 'serving', 'reloading', 'cleaning up', 'cleaned up', 'playing')
"""Of the node, and the last one of the simulated camera."""
AT_ONCE = 3
"""Nodes that are started, driven and stopped beside each other: they keep the machine busy."""
LONGEST = float(os.environ.get('STOP_SECONDS', '5'))
"""Seconds that a stop may take in the long form."""


@dataclass
class Stop:
    """One node from its start to its end."""

    moment: str
    signal: signal.Signals
    process: Process
    code: int | None = None
    seconds: float = 0.0
    trouble: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        what = f'{self.signal.name} while {self.moment}'
        return f'{what}: exit {self.code} after {self.seconds:.1f} s\n{self.process.log[-3000:]}'


def listens(process: Process) -> bool:
    """Whether the program has begun to: Python itself, before it, dies of a signal."""
    status = Path(f'/proc/{process.process.pid}/status').read_text(encoding='utf-8')
    caught = int(re.search(r'SigCgt:\s*([0-9a-f]+)', status)[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def live(stop: Stop, graph: Graph, name: str, rng: random.Random) -> Iterator[None]:
    """Bring a node to its moment, send the signal and wait for its end; yields while waiting."""

    def pause(longest: float) -> Iterator[None]:
        end = time.monotonic() + rng.uniform(0.0, longest)
        while time.monotonic() < end:
            yield

    if stop.moment == 'opening':
        while not listens(stop.process):
            yield
        yield from pause(3.0)
    elif stop.moment == 'playing':
        heard = graph.listen(Image, f'/{name}/camera/color/image_raw', qos_profile_sensor_data)
        while not heard:
            yield
        yield from pause(0.3)
    else:
        camera = ManualCamera(graph, f'/{name}')
        while not camera.rgb.get_subscription_count():
            yield
        end = time.monotonic() + rng.uniform(0.1, 1.0)
        while time.monotonic() < end:
            camera.shoot()
            yield
        if stop.moment == 'reloading':
            client = graph.node.create_client(Trigger, f'/{name}/completion_node/reload_model')
            while not client.service_is_ready():
                yield
            client.call_async(Trigger.Request())
            yield from pause(0.6)
        if stop.moment in ('cleaning up', 'cleaned up'):
            client = graph.node.create_client(ChangeState, f'/{name}/completion_node/change_state')
            while not client.service_is_ready():
                yield
            for step in ('DEACTIVATE', 'CLEANUP'):
                number = getattr(Transition, f'TRANSITION_{step}')
                answer = client.call_async(ChangeState.Request(transition=Transition(id=number)))
                if step == 'CLEANUP' and stop.moment == 'cleaning up':
                    break
                end = time.monotonic() + 5.0  # an answer may be lost
                while not answer.done() and time.monotonic() < end:
                    yield
            yield from pause(0.2)
    stop.process.process.send_signal(stop.signal)
    begin = time.monotonic()
    while stop.process.alive() and time.monotonic() - begin < 30.0:
        yield
    stop.seconds = time.monotonic() - begin
    stop.code = stop.process.process.poll()


def stops(count: int, folder: Path, seed: int) -> list[Stop]:
    """Start and stop so many nodes, several at a time."""
    model = write_tiny_model(folder / 'tiny.onnx', 48, 64)
    rng, domain = random.Random(seed), free_domain()
    graph = Graph(domain)
    running: list[tuple[Stop, Iterator[None]]] = []
    ended: list[Stop] = []
    try:
        while len(ended) < count:
            if len(running) < AT_ONCE and len(running) + len(ended) < count:
                number = len(running) + len(ended)
                name = f'n{seed}_{number}'
                moment = MOMENTS[number % len(MOMENTS)]
                program, values = NODE, (f'model:={model}', 'max_age:=0.0')
                if moment == 'playing':
                    program, values = CAMERA, (f'camera_namespace:={name}', 'frames:=2')
                given = ['-r', f'__ns:=/{name}', *(x for v in values for x in ('-p', v))]
                log = folder / f'{name}.log'
                env = {'PYTHONFAULTHANDLER': '1', 'XDG_CACHE_HOME': str(folder / 'cache')}
                process = Process(program, domain, log, *given, **env)
                stop = Stop(moment, rng.choice([signal.SIGINT, signal.SIGTERM]), process)
                running.append((stop, live(stop, graph, name, rng)))
            for entry in list(running):
                stop, life = entry
                if next(life, 'over') == 'over' or not stop.process.alive():
                    for _ in life:
                        pass
                    stop.code = stop.process.process.poll()
                    running.remove(entry)
                    ended.append(stop)
                    stop.process.close()
            graph.executor.spin_once(timeout_sec=0.01)
    finally:
        for stop, _ in running:
            stop.process.close()
        graph.close()
    return ended


def check(ended: list[Stop]) -> None:
    """Fail with all stops that were not clean."""
    bad = []
    for stop in ended:
        # Ctrl-C before anything is made is 130, as of any program.
        clean = (0, 130) if stop.signal is signal.SIGINT and stop.moment == 'opening' else (0,)
        # A camera that rests while its node is asked for something is rightly told.
        lines = [line for line in stop.process.log.splitlines() if 'CAMERA_STOPPED' not in line]
        wrong = ('Traceback', 'Fatal', 'terminate', 'ERROR')
        said = [line for line in lines if any(word in line for word in wrong)]
        if stop.code not in clean or said:
            bad.append(str(stop))
    assert not bad, f'{len(bad)} of {len(ended)}:\n' + '\n'.join(bad)


def test_stops_at_random_moments_are_clean(tmp_path):
    check(stops(10, tmp_path, seed=1))


@pytest.mark.slow
def test_many_stops_at_random_moments_are_clean(tmp_path):
    count = int(os.environ.get('STOPS', '100'))
    ended = stops(count, tmp_path, seed=int(time.time()))
    for moment in MOMENTS:
        seconds = sorted(stop.seconds for stop in ended if stop.moment == moment)
        print(f'{moment}: {len(seconds)}, median {median(seconds):.1f} s, most {seconds[-1]:.1f}')
    check(ended)
    assert all(stop.seconds <= LONGEST for stop in ended)
