# SPDX-License-Identifier: Apache-2.0
"""Measure completion_node live: simulated cameras, the node and a subscriber over DDS."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from magadepth_ros.commands.children import Child, Children
from magadepth_ros.commands.ros_processes import node_command, prepare_environment
from magadepth_ros.errors import EngineError
from magadepth_ros.subscribers.topic_statistics import TopicStatistics
from magadepth_ros.topics import realsense_topics

PATIENCE = 60.0
"""Seconds that the first completed frame may take."""
WARM_UP = 2.0
TICK = 0.2


@dataclass(frozen=True)
class NodeRun:
    """
    Settings of a run: ``threads`` 0 = all cores, ``rate`` [Hz] of each camera.

    ``topics`` below ``depth/`` of each camera are subscribed to; the first one is timed. A
    speedscope file of one second is written to ``profile``.
    """

    model: str
    backend: str = 'auto'
    precision: str = 'auto'
    threads: int = 0
    rate: float = 30.0
    seconds: float = 6.0
    topics: tuple[str, ...] = ('completed', 'confidence', 'points')
    profile: Path | None = None


def measure_node(
    run: NodeRun,
    sizes: Sequence[tuple[int, int]],
    cameras: Sequence[int],
    advance: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """
    Run the node for every size and number of cameras, and subscribe to its topics.

    Call it while this process has no threads yet, as it forks other processes.

    Returns
    -------
    list of dict
        size [px], cameras, topics, ``mib`` (a frame of all cameras and topics), runtime,
        ``camera_hz`` (set), ``rate_hz`` (completed depth of each camera), ``latency_ms_p50`` and
        ``latency_ms_p95`` (from the stamp to the arrival in this process), ``busy_cores`` and
        ``memory_mib`` of the node, ``stages`` with the median of each [ms].

    Raises
    ------
    ChildError
        the camera or the node has ended.
    EngineError
        no completed frame came.

    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        prepare_environment(Path(folder))
        for width, height in sizes:
            for count in cameras:
                rows.append(_measure(run, width, height, count, Path(folder)))
                advance()
    return rows


def _measure(run: NodeRun, width: int, height: int, count: int, logs: Path) -> dict[str, Any]:
    names = [f'camera{i + 1}' for i in range(count)]
    with Children() as children:
        for name in names:
            parameters = {
                'camera_name': name,
                'camera_namespace': '',
                'width': width,
                'height': height,
                'rate': run.rate,
            }
            command = node_command('simulated_camera', parameters)
            children.start(name, command, logs / f'{name}.log')
        node = children.start(
            'completion_node', _completion(run, names), logs / 'completion_node.log'
        )
        # Imported here: it needs ROS, which the rest of the benchmark does without.
        from magadepth_ros.subscribers.node_subscriber import NodeSubscriber

        watcher = NodeSubscriber(names, run.topics)

        def wait(what: str, came: Callable[[], bool]) -> None:
            start = monotonic()
            while not came():
                watcher.spin(TICK)
                children.check()
                if monotonic() - start > PATIENCE:
                    raise EngineError(
                        f'no {what} came within {PATIENCE:g} s; the end of the log:\n{node.tail()}'
                    )

        try:
            wait(
                'completed frame',
                lambda: all(stream.stamps for stream in watcher.depth.values()),
            )
            watcher.spin(WARM_UP)
            watcher.forget()
            busy, began = _busy_seconds(node), monotonic()
            watcher.spin(run.seconds)
            elapsed = monotonic() - began
            busy = _busy_seconds(node) - busy
            children.check()
            if run.profile:
                node.process.send_signal(signal.SIGUSR1)
                wait('profile', run.profile.is_file)
            streams = list(watcher.depth.values())
            every = TopicStatistics(
                latencies=[ms for stream in streams for ms in stream.latencies]
            )
            return {
                'size': [width, height],
                'cameras': count,
                'topics': list(run.topics),
                'mib': watcher.frame_size_mib(),
                'runtime': watcher.engine(),
                'camera_hz': run.rate,
                'rate_hz': round(sum(stream.rate for stream in streams) / count, 2),
                'latency_ms_p50': every.percentile(50),
                'latency_ms_p95': every.percentile(95),
                'busy_cores': round(busy / elapsed, 2),
                'memory_mib': _memory_mib(node),
                'stages': watcher.stages(),
            }
        finally:
            children.stop()
            watcher.close()


def _completion(run: NodeRun, names: Sequence[str]) -> list[str]:
    remappings: dict[str, str] = {}
    for name in names:
        remappings |= realsense_topics(name, namespace='').as_inputs(f'{name}/')
    parameters = {
        'model': run.model,
        'backend': run.backend,
        'precision': run.precision,
        'threads': run.threads,
        'cameras': list(names),
    }
    command = node_command('completion_node', parameters, remappings)
    if run.profile:
        # The sampler's module instead of the node's module; the sampler starts the node.
        sampler = 'magadepth_ros.commands.profiled_node'
        return [sys.executable, '-m', sampler, str(run.profile), *command[3:]]
    return command


def _busy_seconds(child: Child) -> float:
    """Return the processor time of all threads of a process so far [s]; Linux."""
    text = Path(f'/proc/{child.process.pid}/stat').read_text(encoding='utf-8')
    user, system = text.rpartition(')')[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')


def _memory_mib(child: Child) -> int:
    """Return the resident memory of a process [MiB]; Linux."""
    pages = Path(f'/proc/{child.process.pid}/statm').read_text(encoding='utf-8').split()[1]
    return round(int(pages) * os.sysconf('SC_PAGE_SIZE') / 2**20)
