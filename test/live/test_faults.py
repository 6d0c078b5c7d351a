# SPDX-License-Identifier: Apache-2.0
"""Faults while the node runs: engines that fail, vanish or are slow, cameras that die."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from support.live import NANO, Camera, Graph, depth_of, free_domain, running
from support.models import write_tiny_model

FAULTY = 'support.faulty_node'


@pytest.fixture
def options(tmp_path):
    """Give the parameters of every node here."""
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    return ['-p', f'model:={model}', '-p', 'max_age:=0.0', '-p', 'diagnostics_period:=0.2']


def ready(graph: Graph) -> tuple[Camera, list]:
    """Wait for the node; return a camera that it hears and the list of its frames."""
    depth = graph.listen(Image, '/depth/completed')
    camera = Camera(graph)
    camera.wait_until_heard()
    return camera, depth


def engine_says(graph: Graph, level: bytes, start: str = '') -> bool:
    """Whether the newest status of the engine has this level and beginning."""
    arrays = graph.got['/diagnostics']
    statuses = [s for s in arrays[-1].status if s.name.endswith(': engine')] if arrays else []
    return any(s.level == level and s.message.startswith(start) for s in statuses)


def stamp_ns(msg: Image) -> int:
    return msg.header.stamp.sec * NANO + msg.header.stamp.nanosec


def is_passthrough(depth: list) -> bool:
    return bool(depth) and np.isnan(depth_of(depth[-1])[15, 15])


def is_complete(depth: list) -> bool:
    return bool(depth) and bool(np.isfinite(depth_of(depth[-1])).all())


@pytest.mark.parametrize('fault', ['broken', pytest.param('nan', marks=pytest.mark.slow)])
def test_without_an_engine_the_measured_depth_goes_on_until_it_recovers(tmp_path, options, fault):
    switch = tmp_path / 'break'
    env = {'FAULT': fault, 'BREAK': str(switch)}
    with running(FAULTY, tmp_path, *options, **env) as (process, graph):
        camera, depth = ready(graph)
        graph.listen(DiagnosticArray, '/diagnostics')
        camera.shoot_until(lambda: is_complete(depth), 'a completed frame')
        switch.touch()
        camera.shoot_until(lambda: is_passthrough(depth), 'the measured depth alone')
        np.testing.assert_allclose(depth_of(depth[-1])[camera.metres > 0], 2.0, atol=1e-3)
        failed = 'engine failed, passthrough'
        camera.shoot_until(lambda: engine_says(graph, b'\x02', failed), 'diagnostics ERROR')
        # Long enough for it to be closed and reopened in vain.
        camera.shoot_until(lambda: 'next try in' in process.log, 'a try to reopen')
        switch.unlink()
        depth.clear()
        camera.shoot_until(lambda: is_complete(depth), 'completed frames again', rate=10)
        camera.shoot_until(lambda: engine_says(graph, b'\x00', 'active'), 'diagnostics OK')
        assert process.end() == 0


def test_silent_on_failure_means_nothing_goes_out(tmp_path, options):
    switch = tmp_path / 'break'
    env = {'FAULT': 'broken', 'BREAK': str(switch)}
    silent = [*options, '-p', 'on_failure:=silent']
    with running(FAULTY, tmp_path, *silent, **env) as (process, graph):
        camera, depth = ready(graph)
        camera.shoot_until(lambda: depth, 'a frame')
        switch.touch()
        camera.shoot_until(lambda: 'engine failed (silent)' in process.log, 'the failure')
        seen = [m.header.stamp for m in depth]
        camera.shoot_until(lambda: 'next try in' in process.log, 'a try to reopen')
        assert [m.header.stamp for m in depth] == seen
        switch.unlink()
        camera.shoot_until(lambda: len(depth) > len(seen), 'frames again')


def test_an_engine_that_fails_now_and_then_costs_those_frames_only(tmp_path, options):
    with running(FAULTY, tmp_path, *options, FAULT='every:5') as (process, graph):
        camera, depth = ready(graph)
        camera.shoot_until(lambda: len(depth) >= 25, 'frames', rate=30)
        whole = sum(bool(np.isfinite(depth_of(m)).all()) for m in depth)
        assert whole >= 0.7 * len(depth)
        assert process.alive()


def test_a_slow_engine_drops_the_old_and_shows_the_new(tmp_path, options):
    with running(FAULTY, tmp_path, *options, FAULT='slow:0.2') as (_, graph):
        camera, depth = ready(graph)
        graph.listen(DiagnosticArray, '/diagnostics')
        # Of 60 frames a second 5 are completed. A queue of the others would be 4 s long by now,
        # and grow: what comes then would never again be of the last 2 s.
        camera.shoot_until(lambda: len(depth) >= 25, 'frames', rate=60)
        stamps = [stamp_ns(msg) for msg in depth]
        assert stamps == sorted(stamps)
        camera.shoot_until(
            lambda: camera.stamp_ns - stamp_ns(depth[-1]) < 2 * NANO, 'a new frame', rate=60
        )

        def stale() -> int:
            values = {
                v.key: v.value
                for status in graph.got['/diagnostics'][-1].status
                for v in status.values
            }
            return int(values['stale'])

        assert camera.shoot_until(stale, 'dropped pairs in the counters', rate=60)


@pytest.mark.usefixtures('kills')
def test_a_camera_that_dies_and_returns_is_taken_up_again(tmp_path, options):
    domain = free_domain()
    remaps = [
        *('-r', 'rgb/image:=/camera/camera/color/image_raw'),
        *('-r', 'rgb/camera_info:=/camera/camera/color/camera_info'),
        *('-r', 'depth/image:=/camera/camera/aligned_depth_to_color/image_raw'),
    ]
    small = ['-p', 'width:=96', '-p', 'height:=72', '-p', 'frames:=4']
    camera_module = 'magadepth_ros.nodes.simulated_camera'
    with running(FAULTY, tmp_path, *options, *remaps, domain=domain) as (process, graph):
        depth = graph.listen(Image, '/depth/completed')
        for _ in range(2):
            with running(camera_module, tmp_path, *small, domain=domain) as (camera, _):
                seen = len(depth)
                graph.until(lambda s=seen: len(depth) > s + 5, 'frames of the camera')
                assert (depth[-1].width, depth[-1].height) == (96, 72)
                camera.process.kill()
                camera.process.wait()
        graph.until(lambda: 'nothing paired for' in process.log, 'the warning')
        assert 'aligned_depth_to_color/image_raw' in process.log
        assert process.end() == 0
