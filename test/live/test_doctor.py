# SPDX-License-Identifier: Apache-2.0
"""``magadepth doctor`` sees the cameras and nodes of its domain."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from support.live import Process, free_domain

# Looks until the camera has been discovered: its topics, and its node, which can come later.
LOOK = """
import json
from dataclasses import asdict
from magadepth_ros.commands.doctor_checks import graph
found, said = [], ''
while 'compressed' not in said or ' 0 other nodes' in said:
    found = list(graph(1.0))
    said = ' '.join(f'{finding.name} {finding.said}' for finding in found)
print(json.dumps([asdict(finding) for finding in found]))
"""


def test_a_camera_is_seen_with_its_topics(tmp_path):
    domain = free_domain()
    size = ('-p', 'width:=64', '-p', 'height:=48')
    camera = Process('magadepth_ros.nodes.simulated_camera', domain, tmp_path / 'log', *size)
    environment = {
        **os.environ,
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    command = [sys.executable, '-c', LOOK]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120
        )
    finally:
        camera.close()
    found = {item['name']: item['said'] for item in json.loads(done.stdout)}
    assert found['/camera/camera/color/image_raw'] == 'Image, 1 publishers'
    assert found['/camera/camera/color/image_raw/compressed'].startswith('CompressedImage')
    assert f'ROS_DOMAIN_ID {domain}, 1 other nodes' in found['middleware']
