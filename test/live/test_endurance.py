# SPDX-License-Identifier: Apache-2.0
"""Slow faults: high rates, lost messages, subscribers that come and go, full disks, long runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2
from support.live import free_domain, running
from support.models import write_tiny_model

NODE = 'magadepth_ros.nodes.completion_node'
CAMERA = 'magadepth_ros.nodes.simulated_camera'
REMAPS = (
    *('-r', 'rgb/image:=/camera/camera/color/image_raw'),
    *('-r', 'rgb/camera_info:=/camera/camera/color/camera_info'),
    *('-r', 'depth/image:=/camera/camera/aligned_depth_to_color/image_raw'),
)

pytestmark = pytest.mark.slow


@pytest.fixture
def options(tmp_path):
    """Give the parameters of every node here."""
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    return ['-p', f'model:={model}', '-p', 'diagnostics_period:=0.2']


def resident_mib(process) -> float:
    """Resident memory that is the process's own [MiB]; shared memory of DDS is not."""
    values = {}
    for line in Path(f'/proc/{process.process.pid}/status').read_text().splitlines():
        name, _, value = line.partition(':')
        values[name] = value.split()
    return float(values['RssAnon'][0]) / 1024


def test_latency_and_memory_stay_flat(tmp_path, options):
    """SOAK_SECONDS=600 is the acceptance run; without it a minute shows a leak of a frame."""
    seconds = float(os.environ.get('SOAK_SECONDS', '60'))
    domain = free_domain()
    with running(NODE, tmp_path, *options, *REMAPS, domain=domain) as (process, graph):
        depth = graph.listen(Image, '/depth/completed', 1)
        graph.listen(PointCloud2, '/depth/points', 1)
        with running(CAMERA, tmp_path, domain=domain) as (_, _):
            graph.until(lambda: len(depth) > 30, 'frames')
            memory, latency = [], []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                depth.clear()
                graph.until(lambda: depth, 'the next frame')
                stamp = depth[-1].header.stamp
                latency.append(time.time() - stamp.sec - stamp.nanosec / 1e9)
                memory.append(resident_mib(process))
                graph.got['/depth/points'].clear()
    third = len(memory) // 3
    before, after = np.median(memory[third : 2 * third]), np.median(memory[2 * third :])
    print(f'{len(memory)} frames, memory {before:.0f} to {after:.0f} MiB')
    assert after <= 1.05 * before
    assert np.median(latency[2 * third :]) <= 2 * np.median(latency[third : 2 * third]) + 0.05
