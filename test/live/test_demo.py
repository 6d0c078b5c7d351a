# SPDX-License-Identifier: Apache-2.0
"""``magadepth demo`` as users run it: a result, and no process left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.live import ROOT, free_domain
from support.models import write_tiny_model

SIZE = ('--width', '64', '--height', '48')


@pytest.fixture
def demo(tmp_path):
    """Start the demo with the tiny model; what is still there at the end is ended."""
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    started = []

    def start(*args: str) -> subprocess.Popen:
        command = [sys.executable, '-m', 'magadepth_ros.commands.main', 'demo', *SIZE]
        process = subprocess.Popen(
            [*command, '--model', str(model), '--output', str(tmp_path / 'out'), *args],
            cwd=tmp_path,
            env={
                **os.environ,
                'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]),
                'ROS_DOMAIN_ID': str(free_domain()),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def nodes_of(folder: Path) -> list[int]:
    """Processes that write to the logs of this demo."""
    found = []
    for link in Path('/proc').glob('[0-9]*/fd/1'):
        try:
            if os.readlink(link).startswith(str(folder / 'out')):
                found.append(int(link.parts[2]))
        except OSError:
            continue
    return found


def until(condition, what: str, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f'not within {seconds:g} s: {what}'
        time.sleep(0.05)
    return found


def test_result_is_written_and_nothing_stays(demo, tmp_path):
    process = demo('--duration', '1.5')
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert summary['frames'] > 0 and summary['cloud_frames'] > 0
    assert summary['unfilled_share'] == 0.0
    assert (summary['width'], summary['height']) == (64, 48)
    assert (summary['model'], summary['backend']) == ('tiny', 'openvino')
    assert 'infer' in summary['stages_ms_p50']
    assert cv2.imread(str(tmp_path / 'out/preview.png')).shape[1] == 4 * 64
    assert 'unfilled share  0.00%' in said
    assert nodes_of(tmp_path) == []


@pytest.mark.usefixtures('kills')
def test_a_bag_is_played_in_a_loop(demo, tmp_path):
    bags = pytest.importorskip('support.bags', reason='writes bags')
    messages = []
    for index in range(3):
        stamp = bags.START + index * 33_000_000
        rgb = np.random.default_rng(index).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        depth = np.full((48, 64), 1500 + index, np.uint16)
        depth[:20] = 0
        messages += [
            ('/k/color/image_raw', bags.image(stamp, 'optical', rgb, 'rgb8')),
            ('/k/aligned_depth_to_color/image_raw', bags.image(stamp, 'optical', depth, '16UC1')),
        ]
    bag = bags.write_bag(tmp_path / 'three_frames', messages)
    process = demo('--duration', '1.5', '--input', str(bag))
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert summary['input'] == str(bag)
    assert summary['frames'] > 3 and summary['unfilled_share'] == 0.0


@pytest.mark.parametrize(
    'number',
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_no_signal_leaves_a_process_behind(demo, tmp_path, number):
    process = demo('--duration', '600')
    until(lambda: len(nodes_of(tmp_path)) == 2, 'both nodes')
    process.send_signal(number)
    process.wait(30)
    assert process.returncode == (130 if number != signal.SIGKILL else -9)
    until(lambda: not nodes_of(tmp_path), 'the end of the nodes')


@pytest.mark.usefixtures('kills')
def test_a_node_that_dies_fails_the_demo_and_shows_its_log(demo, tmp_path):
    process = demo('--duration', '600')
    log = tmp_path / 'out/simulated_camera.log'
    until(lambda: log.exists() and 'frames of' in log.read_text(), 'the camera')
    for pid in nodes_of(tmp_path):
        if b'simulated_camera' in Path(f'/proc/{pid}/cmdline').read_bytes():
            os.kill(pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert 'simulated_camera ended with exit code -9' in said and '30 frames of 64x48' in said
    assert nodes_of(tmp_path) == []


def test_a_node_that_cannot_start_fails_the_demo_at_once(demo, tmp_path):
    (tmp_path / 'broken.onnx').write_bytes(b'no model')
    process = demo('--model', str(tmp_path / 'broken.onnx'), '--duration', '600')
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    assert 'could not start' in said and 'broken.onnx' in said


@pytest.mark.parametrize(
    'args, expected',
    [
        (['--input', 'nowhere'], 'nowhere'),
        (['--input', 'nowhere.mcap'], 'nowhere.mcap'),
        (['--duration', '0'], 'duration'),
        (['--model', 'none'], 'neither a file nor installed'),
    ],
)
def test_wrong_arguments_are_one_line_and_start_nothing(demo, tmp_path, args, expected):
    process = demo(*args)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    assert expected in said and said.count('\n') == 1
    assert not (tmp_path / 'out').exists()
