# SPDX-License-Identifier: Apache-2.0
"""``magadepth benchmark --node`` as users run it: figures of a real node, and no process left."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from support.live import ROOT, free_domain
from support.models import write_tiny_model


def test_the_node_is_measured_and_is_in_the_page(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    given = ['--models', str(model), '--backends', 'openvino', '--sizes', '64x48']
    given += ['--repeats', '1', '--node', '2', '--node-seconds', '1']
    given += ['--json', 'bench.json', '--markdown', 'page.md']
    done = subprocess.run(
        [sys.executable, '-m', 'magadepth_ros.commands.main', 'benchmark', *given],
        cwd=tmp_path,
        env={
            **os.environ,
            'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]),
            'ROS_DOMAIN_ID': str(free_domain()),
        },
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / 'bench.json').read_text())['node']
    assert (row['size'], row['cameras']) == ([64, 48], 2)
    assert row['rate_hz'] > 0 and row['latency_ms_p95'] >= row['latency_ms_p50'] > 0
    assert {'wait', 'infer', 'publish', 'cloud'} <= set(row['stages'])
    assert row['busy_cores'] > 0 and row['memory_mib'] > 0
    assert '| 64x48 | 2 |' in (tmp_path / 'page.md').read_text()
