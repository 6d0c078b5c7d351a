# SPDX-License-Identifier: Apache-2.0
"""``magadepth view``: recordings that rerun reads, of bags and of running nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.models import write_tiny_model

from magadepth_ros.commands.main import main

ROOT = Path(__file__).parents[2]
SHOWN = ('/rgb', '/depth/measured', '/depth/completed', '/confidence', '/camera/cloud')


pytest.importorskip('rerun', reason='rerun-sdk is not installed')
pytest.importorskip('rosbags', reason='reads bags')

from support.bags import START, camera_info, image, write_bag

from magadepth_ros.completion import Completer
from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.simulation import simulated_frames, simulated_intrinsics
from magadepth_ros.viewer import ViewedFrame, Viewer

WIDTH, HEIGHT = 64, 48
FRAMES = simulated_frames(WIDTH, HEIGHT, 3)


@pytest.fixture
def bag(tmp_path) -> Path:
    camera = CameraModel(WIDTH, HEIGHT, *simulated_intrinsics(WIDTH, HEIGHT))
    messages = []
    for index, (rgb, depth) in enumerate(FRAMES):
        stamp = START + index * 33_000_000
        messages += [
            ('/c/color/camera_info', camera_info(stamp, 'optical', camera)),
            ('/c/color/image_raw', image(stamp, 'optical', rgb, 'rgb8')),
            ('/c/aligned_depth/image_raw', image(stamp, 'optical', depth, '32FC1')),
        ]
    return write_bag(tmp_path / 'bag', messages)


@pytest.fixture
def model(tmp_path) -> str:
    return str(write_tiny_model(tmp_path / 'tiny.onnx', HEIGHT, WIDTH))


def printed(recording: Path) -> str:
    """What rerun's own reader says of a recording, chunk by chunk."""
    command = [sys.executable, '-m', 'rerun', 'rrd', 'print', str(recording)]
    # One that was killed lacks its last chunk, which it says and shows the rest.
    return subprocess.run(command, capture_output=True, text=True).stdout


def test_a_bag_is_completed_and_recorded(bag, model, tmp_path, capsys):
    out = tmp_path / 'folder/view.rrd'
    assert main(['view', str(bag), '--model', model, '--save', str(out)]) == 0
    assert '3 frames' in capsys.readouterr().out
    said = printed(out)
    assert all(name in said for name in SHOWN), said


def test_a_completed_bag_is_shown_as_it_was_recorded(bag, model, tmp_path, capsys, monkeypatch):
    done = tmp_path / 'done'
    assert main(['complete', str(bag), str(done), '--model', model]) == 0
    out = tmp_path / 'view.rrd'
    monkeypatch.setattr(Completer, 'open', lambda *_: pytest.fail('a model was opened'))
    call = ['view', str(done), '--save', str(out), '--frames', '2']
    assert main(call) == 0
    assert '2 frames' in capsys.readouterr().out
    assert '/depth/completed' in printed(out)


def test_what_is_shown_has_the_colours_and_the_metres_of_the_frame(tmp_path):
    viewer = Viewer(tmp_path / 'view.rrd')
    logged = {}

    class Keeper:
        def set_time(self, name, timestamp):
            logged['time'] = name, timestamp

        def log(self, name, what):
            logged[name] = what

    stream, viewer._stream = viewer._stream, Keeper()
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:] = (200, 100, 50)
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[:10] = np.nan
    camera = CameraModel(WIDTH, HEIGHT, 60.0, 60.0, 31.5, 23.5)
    frame = RgbdFrame(rgb, depth, camera, stamp_ns=START)
    viewer.show(ViewedFrame(frame, depth, depth * 0 + 1))
    stream.disconnect()
    assert logged['time'] == ('stamp', np.datetime64(START, 'ns'))
    cloud = logged['camera/cloud']
    positions = np.array(cloud.positions.as_arrow_array().to_pylist())
    assert len(positions) == (HEIGHT - 10) // 2 * WIDTH // 2
    assert positions[0] == pytest.approx([-31.5 / 30, (10 - 23.5) / 30, 2.0])
    assert set(cloud.colors.as_arrow_array().to_pylist()) == {0xC86432FF}
    assert set(logged) >= {name.strip('/') for name in SHOWN}


def test_wrong_sources_are_one_line(tmp_path, capsys):
    (tmp_path / 'bad.mcap').write_bytes(b'no')
    colour = image(START, 'optical', FRAMES[0][0], 'rgb8')
    alone = write_bag(tmp_path / 'alone', [('/c/color/image_raw', colour)])
    for source, says in (
        (tmp_path / 'bad.mcap', 'bad.mcap'),
        (tmp_path, 'expected a bag'),
        (alone, 'found none of: /c/color/image_raw; record one alone, or name it with --depth-'),
    ):
        assert main(['view', str(source), '--save', str(tmp_path / 'v.rrd')]) == 2
        error = capsys.readouterr().err
        assert error.count('\n') == 1 and says in error
    assert not (tmp_path / 'v.rrd').exists()


def command(*arguments: str, domain: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, '-m', 'magadepth_ros.commands.main', *arguments],
        env={
            **os.environ,
            'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]),
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def grows(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size >= size


def until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    """Wait while the process runs."""
    end = time.monotonic() + 90
    while not condition():
        assert process.poll() is None and time.monotonic() < end, 'nothing came'
        time.sleep(0.05)


def test_the_demo_is_recorded_while_it_runs(model, tmp_path):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    from support.live import free_domain

    out = tmp_path / 'out'
    size = ('--width', str(WIDTH), '--height', str(HEIGHT), '--duration', '80')
    places = ('--output', str(out), '--save', str(out / 'demo.rrd'), '--model', model)
    process = command('demo', *size, *places, domain=free_domain())
    try:
        until(lambda: grows(out / 'demo.rrd', 100_000), process)
    finally:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert all(name in printed(out / 'demo.rrd') for name in SHOWN)


def test_a_running_node_is_found_by_its_topic_and_ctrl_c_ends_the_recording(model, tmp_path):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    from support.live import Process, free_domain

    domain = free_domain()
    nodes = 'magadepth_ros.nodes'
    given = ('-p', f'model:={model}')
    for old, new in (
        ('rgb/image', 'color/image_raw'),
        ('rgb/camera_info', 'color/camera_info'),
        ('depth/image', 'aligned_depth_to_color/image_raw'),
    ):
        given += ('-r', f'{old}:=/camera/camera/{new}')
    small = ('-p', f'width:={WIDTH}', '-p', f'height:={HEIGHT}')
    camera = Process(f'{nodes}.simulated_camera', domain, tmp_path / 'camera.log', *small)
    node = Process(f'{nodes}.completion_node', domain, tmp_path / 'node.log', *given)
    out = tmp_path / 'live.rrd'
    try:
        viewer = command('view', '--save', str(out), '--frames', '5', domain=domain)
        said, _ = viewer.communicate(timeout=90)
        assert viewer.returncode == 0 and '5 frames' in said, said
        assert all(name in printed(out) for name in SHOWN)
        before = out.stat().st_mtime_ns
        packed = ('view', '/depth/completed/compressedDepth', '--rate', '5')
        viewer = command(*packed, '--save', str(out), domain=domain)
        until(lambda: grows(out, 1) and out.stat().st_mtime_ns > before, viewer)
        viewer.send_signal(signal.SIGINT)
        said, _ = viewer.communicate(timeout=30)
        assert viewer.returncode == 0 and 'live.rrd: ' in said, said
        assert '/camera/cloud' in printed(out) and '/confidence' not in printed(out)
    finally:
        node.close()
        camera.close()


def test_silence_is_explained(tmp_path):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    from support.live import free_domain

    process = command(
        'view', '/no/completed', '--save', str(tmp_path / 'x.rrd'), '--patience', '1',
        domain=free_domain(),
    )  # fmt: skip
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert 'completed depth on /no/completed' in said and 'ROS_DOMAIN_ID' in said
    assert not (tmp_path / 'x.rrd').exists()
