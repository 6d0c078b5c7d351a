# SPDX-License-Identifier: Apache-2.0
"""A long run at 30 Hz with everything subscribed to: rate, drops, latency, memory, stages."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from support.live import NANO, Graph, Process, free_domain, running
from support.models import write_tiny_model

from magadepth_ros.stamps import serialised_stamp_ns
from magadepth_ros.tables import align

NODE = 'magadepth_ros.nodes.completion_node'
CAMERA = 'magadepth_ros.nodes.simulated_camera'
REMAPS = (
    *('-r', 'rgb/image:=/camera/camera/color/image_raw'),
    *('-r', 'rgb/camera_info:=/camera/camera/color/camera_info'),
    *('-r', 'depth/image:=/camera/camera/aligned_depth_to_color/image_raw'),
)
HZ = 30.0

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Part:
    """What happened in a tenth of the run; latency from stamp to arrival [ms], memory [MiB]."""

    rate_hz: float
    latency_p50: float
    latency_p95: float
    resident: float
    own: float


class Listener:
    """Takes everything the node publishes, serialised, so that it costs little beside it."""

    def __init__(self, graph: Graph) -> None:
        self.shot: list[int] = []
        """Stamps of the camera [ns]."""
        self.came: dict[str, list[tuple[float, int]]] = {
            'depth': [],
            'confidence': [],
            'cloud': [],
        }
        """Arrival [s since the epoch] and stamp [ns] of each message."""
        create = graph.node.create_subscription
        qos = QoSProfile(depth=2)
        for name, kind, topic in (
            ('depth', Image, '/depth/completed'),
            ('confidence', Image, '/depth/confidence'),
            ('cloud', PointCloud2, '/depth/points'),
        ):
            into = self.came[name]

            def arrive(data: bytes, into: list[tuple[float, int]] = into) -> None:
                into.append((time.time(), serialised_stamp_ns(data)))

            create(kind, topic, arrive, qos, raw=True)
        info = '/camera/camera/color/camera_info'
        create(CameraInfo, info, lambda m: self.shot.append(serialised_stamp_ns(m)), 30, raw=True)


def memory_mib(process: Process) -> tuple[float, float]:
    """Resident memory, and that part of it that is the process's own, without DDS's shared."""
    status = Path(f'/proc/{process.process.pid}/status').read_text()
    values = dict(line.split(':', 1) for line in status.splitlines())
    resident, own = (float(values[name].split()[0]) / 1024 for name in ('VmRSS', 'RssAnon'))
    return resident, own


def parts_of(
    came: Sequence[tuple[float, int]], memory: Sequence[tuple[float, float, float]], count: int
) -> list[Part]:
    """Cut the run, from the first to the last message, into ``count`` parts of equal length."""
    edges = np.linspace(came[0][0], came[-1][0], count + 1)
    parts = []
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        latency = [(at - stamp / NANO) * 1e3 for at, stamp in came if begin <= at < end]
        sizes = np.array([sizes for at, *sizes in memory if begin <= at < end])
        parts.append(
            Part(
                len(latency) / (end - begin),
                *np.percentile(latency, (50, 95)).tolist(),
                *np.median(sizes, axis=0).tolist(),
            )
        )
    return parts


def test_long_runs_stay_as_they_begin(tmp_path):
    """
    SOAK_SECONDS=600 SOAK_MODEL=guided_fill is the acceptance run, with its limits of rate and
    drops; without them a minute with a toy network shows the leak of a frame. Options of pytest:
    -m slow, and -s for the figures.
    """
    seconds = float(os.environ.get('SOAK_SECONDS', '60'))
    model = os.environ.get('SOAK_MODEL') or write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    options = ('-p', f'model:={model}', '-p', 'diagnostics_period:=0.5')
    domain = free_domain()
    with running(NODE, tmp_path, *options, *REMAPS, domain=domain) as (process, graph):
        listener = Listener(graph)
        arrays = graph.listen(DiagnosticArray, '/diagnostics')
        with running(CAMERA, tmp_path, '-p', f'rate:={HZ}', domain=domain) as (_, _):
            graph.until(lambda: all(listener.came.values()), 'frames of each kind')
            memory: list[tuple[float, float, float]] = []
            end = time.monotonic() + seconds

            def sample() -> None:
                memory.append((time.time(), *memory_mib(process)))
                del arrays[:-1]

            graph.repeat(sample, lambda: time.monotonic() > end, 'the end', 2.0, 2 * seconds)
        values = {v.key: v.value for status in arrays[-1].status for v in status.values}
    report(listener, memory, values)
    parts = parts_of(listener.came['depth'], memory, 10)
    # The first part is that of warming up; of 600 s it is the first minute.
    first, *later = parts[1:]
    assert max(part.resident for part in later) <= 1.05 * first.resident
    assert later[-1].latency_p50 <= 2 * first.latency_p50 + 50
    if 'SOAK_SECONDS' in os.environ:
        assert lost_share(listener) < 0.01
        assert np.mean([part.rate_hz for part in parts]) > 0.99 * HZ


def lost_share(listener: Listener) -> float:
    """Frames of the camera without completed depth, between the first and the last one."""
    came = {stamp for _, stamp in listener.came['depth']}
    shot = [stamp for stamp in listener.shot if min(came) <= stamp <= max(came)]
    return 1.0 - sum(stamp in came for stamp in shot) / len(shot)


def report(
    listener: Listener, memory: Sequence[tuple[float, float, float]], values: dict[str, str]
) -> None:
    """Print what the run was like."""
    rows = [('part', 'Hz', 'latency p50 [ms]', 'p95', 'resident [MiB]', 'own')]
    for number, part in enumerate(parts_of(listener.came['depth'], memory, 10), 1):
        figures = (part.rate_hz, part.latency_p50, part.latency_p95, part.resident, part.own)
        rows.append((str(number), *(f'{figure:.1f}' for figure in figures)))
    print(f'\n{values["model"]}, {values["engine"]}, camera of 640x480 at {HZ:g} Hz')
    counts = ', '.join(f'{len(came)} of {name}' for name, came in listener.came.items())
    print(f'{len(listener.shot)} frames shot, {counts}; {lost_share(listener):.2%} lost')
    names = ('matched', 'aged', 'stale', 'refused', 'unmatched_rgb', 'unmatched_depth')
    print(', '.join(f'{name} {values[name]}' for name in names))
    print(align(rows))
    stages = [
        (k.removesuffix(' p50 [ms]'), v) for k, v in values.items() if k.endswith('p50 [ms]')
    ]
    print(align([('stage', 'p50 [ms]'), *stages]))
