# SPDX-License-Identifier: Apache-2.0
"""``magadepth benchmark --node`` as users run it: figures of a real node, and no process left."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from support.live import ROOT, free_domain
from support.models import write_tiny_model


def benchmark(tmp_path, *more):
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    given = ['--models', str(model), '--backends', 'openvino', '--sizes', '64x48']
    done = subprocess.run(
        [sys.executable, '-m', 'magadepth_ros.commands.main', 'benchmark', *given, *more],
        cwd=tmp_path,
        env={
            **os.environ,
            'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]),
            'ROS_DOMAIN_ID': str(free_domain()),
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_node_is_measured_and_is_in_the_page(tmp_path):
    given = ['--repeats', '1', '--node', '2', '--node-seconds', '1', '--growth']
    benchmark(tmp_path, *given, '--json', 'bench.json', '--markdown', 'page.md')

    report = json.loads((tmp_path / 'bench.json').read_text())
    (row,) = report['node']
    assert (row['size'], row['cameras']) == ([64, 48], 2)
    assert row['rate_hz'] > 0 and row['latency_ms_p95'] >= row['latency_ms_p50'] > 0
    assert {'wait', 'infer', 'publish', 'cloud'} <= set(row['stages'])
    assert row['busy_cores'] > 0 and row['memory_mib'] > 0
    assert '| 64x48 | 2 |' in (tmp_path / 'page.md').read_text()
    sizes = [run['mib'] for run in report['topics']]
    assert sizes == sorted(sizes) and 0 < sizes[0] < sizes[-1]
    assert all(run['rate_hz'] > 0 for run in report['topics'])


def test_the_profile_has_the_threads_of_the_node_and_its_stages(tmp_path):
    # Large enough that publishing takes a while.
    given = ['--sizes', '640x480', '--node-seconds', '1']
    benchmark(tmp_path, *given, '--profile', 'node.json')

    made = json.loads((tmp_path / 'node.json').read_text())
    frames = [frame['name'].rpartition('.')[2] for frame in made['shared']['frames']]
    # Shorter stages may lie between the samples of a busy machine.
    assert {'_run', '_work', 'complete_batch', 'infer', 'spin_once'} <= set(frames)
    profiles = {profile['name']: profile for profile in made['profiles']}
    assert {'MainThread (Python)', 'worker (Python)'} <= set(profiles)
    assert any('(native' in name for name in profiles)
    for profile in profiles.values():
        assert profile['type'] == 'sampled' and profile['unit'] == 'seconds'
        assert len(profile['samples']) == len(profile['weights']) > 0
        assert abs(sum(profile['weights']) - profile['endValue']) < 1e-6
        assert all(0 <= i < len(frames) for stack in profile['samples'] for i in stack)
    assert profiles['worker (Python)']['endValue'] > 0.5
