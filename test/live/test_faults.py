# SPDX-License-Identifier: Apache-2.0
"""Faults of the engine while the node runs: it raises, gives NaN or is slow."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from support.faults import Episode, is_complete, ready, recover
from support.live import Graph, depth_of, nanoseconds, running
from support.models import write_tiny_model

FAULTY = 'support.faulty_node'


@pytest.fixture
def options(tmp_path):
    """Give the parameters of every node here."""
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    return ['-p', f'model:={model}', '-p', 'max_age:=0.0', '-p', 'diagnostics_period:=0.2']


@pytest.fixture
def switch(tmp_path):
    """Give the file that makes the engine fail as long as it is there."""
    return tmp_path / 'break'


def engine_says(graph: Graph, level: bytes, code: str, start: str = '') -> bool:
    """Whether the newest status of the engine has this level, code and beginning."""
    arrays = graph.got['/diagnostics']
    statuses = [s for s in arrays[-1].status if s.name.endswith(': engine')] if arrays else []
    return any(
        s.level == level
        and s.message.startswith(start)
        and {v.key: v.value for v in s.values}['code'] == code
        for s in statuses
    )


def is_passthrough(depth: list) -> bool:
    return bool(depth) and np.isnan(depth_of(depth[-1])[15, 15])


@pytest.mark.parametrize('fault', ['broken', pytest.param('nan', marks=pytest.mark.slow)])
def test_without_an_engine_the_measured_depth_goes_on_until_it_recovers(
    tmp_path, options, switch, fault
):
    env = {'FAULT': fault, 'BREAK': str(switch)}
    says = {'broken': 'engine raises on every frame', 'nan': 'engine gives NaN'}[fault]
    with running(FAULTY, tmp_path, *options, **env) as (process, graph):
        camera, depth = ready(graph)
        graph.listen(DiagnosticArray, '/diagnostics')
        with Episode(f'{says}, measured depth goes out', camera.shot, depth) as episode:
            switch.touch()
            camera.shoot_until(lambda: is_passthrough(depth), 'the measured depth alone')
            np.testing.assert_allclose(depth_of(depth[-1])[camera.metres > 0], 2.0, atol=1e-3)
            failed = (b'\x02', 'ENGINE_FAILED', 'the engine failed (on_failure: passthrough)')
            camera.shoot_until(lambda: engine_says(graph, *failed), 'diagnostics ERROR')
            # Long enough for it to be closed and reopened in vain.
            camera.shoot_until(lambda: 'next try in' in process.log, 'a try to reopen')
            switch.unlink()
            recover(episode, camera)
        camera.shoot_until(lambda: engine_says(graph, b'\x00', 'OK', 'active'), 'diagnostics OK')
        assert process.end() == 0


def test_silent_on_failure_means_nothing_goes_out(tmp_path, options, switch):
    env = {'FAULT': 'broken', 'BREAK': str(switch)}
    silent = [*options, '-p', 'on_failure:=silent']
    with running(FAULTY, tmp_path, *silent, **env) as (process, graph):
        camera, depth = ready(graph)
        with Episode('engine raises on every frame, silent', camera.shot, depth) as episode:
            switch.touch()
            camera.shoot_until(lambda: 'on_failure: silent' in process.log, 'the failure')
            # What went out before may still be on its way; nothing that is shot from now on.
            last = camera.stamp_ns
            camera.shoot_until(lambda: 'next try in' in process.log, 'a try to reopen')
            assert not any(nanoseconds(msg.header) > last for msg in depth)
            switch.unlink()
            recover(episode, camera)


def test_an_engine_that_fails_now_and_then_costs_those_frames_only(tmp_path, options, switch):
    env = {'FAULT': 'every:5', 'BREAK': str(switch)}
    with running(FAULTY, tmp_path, *options, **env) as (process, graph):
        camera, depth = ready(graph)
        with Episode('engine raises on every 5th frame', camera.shot, depth) as episode:
            switch.touch()
            seen = len(depth)
            camera.shoot_until(lambda: len(depth) >= seen + 50, 'frames', rate=30)
            whole = sum(is_complete(msg) for msg in depth[seen:])
            assert whole >= 0.7 * (len(depth) - seen)
            switch.unlink()
            recover(episode, camera)
        assert process.alive()


def test_a_slow_engine_drops_the_old_and_shows_the_new(tmp_path, options, switch):
    env = {'FAULT': 'slow:0.2', 'BREAK': str(switch)}
    with running(FAULTY, tmp_path, *options, **env) as (_, graph):
        camera, depth = ready(graph)
        graph.listen(DiagnosticArray, '/diagnostics')
        with Episode('engine takes 0.2 s, camera 60 Hz', camera.shot, depth) as episode:
            switch.touch()
            # Of 60 frames a second 5 are completed. Of the 275 others none is waiting.
            seen = len(depth)
            camera.shoot_until(lambda: len(depth) >= seen + 25, 'frames', rate=60)
            shot, seen = camera.stamp_ns, len(depth)
            camera.settle()
            late = [msg for msg in depth[seen:] if nanoseconds(msg.header) <= shot]
            # One in work, one that waits, and ten at most on their way to here and two to there.
            assert len(late) <= 14
            stamps = [nanoseconds(msg.header) for msg in depth]
            assert stamps == sorted(stamps)
            switch.unlink()
            recover(episode, camera)

        def stale() -> int:
            statuses = graph.got['/diagnostics'][-1].status
            values = {v.key: v.value for status in statuses for v in status.values}
            return int(values['stale'])

        assert camera.shoot_until(stale, 'dropped pairs in the counters', rate=60)
