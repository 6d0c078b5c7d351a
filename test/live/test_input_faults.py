# SPDX-License-Identifier: Apache-2.0
"""Faults around the node: cameras that die, lost messages, jumping clocks, full disks."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from support.faults import Episode, note, ready, recover
from support.live import NANO, ManualCamera, free_domain, header_at, nanoseconds, running

NODE = 'magadepth_ros.nodes.completion_node'
CAMERA = 'magadepth_ros.nodes.simulated_camera'


def even_stamps(start_ns: int) -> Iterator[Header]:
    """Headers of a camera of 30 Hz whose first frame is one period after ``start_ns``."""
    return (header_at(start_ns + number * NANO // 30) for number in itertools.count(1))


@pytest.mark.usefixtures('kills')
def test_a_camera_that_dies_and_returns_is_taken_up_again(tmp_path, options):
    domain = free_domain()
    remaps = [
        *('-r', 'rgb/image:=/camera/camera/color/image_raw'),
        *('-r', 'rgb/camera_info:=/camera/camera/color/camera_info'),
        *('-r', 'depth/image:=/camera/camera/aligned_depth_to_color/image_raw'),
    ]
    small = ['-p', 'width:=96', '-p', 'height:=72', '-p', 'frames:=4']
    with running(NODE, tmp_path, *options, *remaps, domain=domain) as (process, graph):
        depth = graph.listen(Image, '/depth/completed')
        shot: list[int] = []
        graph.node.create_subscription(
            CameraInfo,
            '/camera/camera/color/camera_info',
            lambda msg: shot.append(nanoseconds(msg.header)),
            10,
        )
        with running(CAMERA, tmp_path, *small, domain=domain) as (camera, _):
            graph.until(lambda: len(depth) > 5, 'frames of the camera')
            assert (depth[-1].width, depth[-1].height) == (96, 72)
            camera.end(signal.SIGKILL)
        for ended in ('SIGKILL', 'SIGINT'):
            with running(CAMERA, tmp_path, *small, domain=domain) as (camera, _):
                with Episode(
                    f'camera process ended by {ended}, started anew', shot, depth
                ) as episode:
                    # Timed from its first frame on, not from its start.
                    begun = len(shot)
                    graph.until(lambda n=begun: len(shot) > n, 'the camera')
                    episode.mended()
                    graph.until(episode.over, 'completed frames')
                camera.end(signal.SIGINT)
        graph.until(lambda: 'CAMERA_STOPPED' in process.log, 'the warning')
        assert 'aligned_depth_to_color/image_raw' in process.log
        assert process.end() == 0


def test_publishers_that_go_and_come_back_are_heard_again(tmp_path, options):
    with running(NODE, tmp_path, *options) as (process, graph):
        camera, depth = ready(graph)
        with Episode('publishers destroyed and made anew', camera.shot, depth) as episode:
            for publisher in (camera.rgb, camera.depth, camera.info):
                graph.node.destroy_publisher(publisher)
            shot, camera = camera.shot, ManualCamera(graph)
            camera.shot = shot
            recover(episode, camera)
        assert process.alive()


@pytest.mark.parametrize('seconds', [-3600, 3600])
def test_a_clock_that_jumps_costs_no_restart(tmp_path, options, seconds):
    with running(NODE, tmp_path, *options) as (process, graph):
        camera, depth = ready(graph)
        with Episode(f'stamps jump by {seconds} s', camera.shot, depth) as episode:
            stamps = even_stamps(camera.stamp_ns + seconds * NANO)
            episode.mended()
            graph.repeat(
                lambda: camera.shoot(next(stamps)), episode.over, 'the other time', rate=30.0
            )
        assert process.alive()


@pytest.mark.slow
def test_sixty_hertz_keeps_coming(tmp_path, options):
    with running(NODE, tmp_path, *options) as (process, graph):
        camera, depth = ready(graph)
        with Episode('camera 60 Hz', camera.shot, depth) as episode:
            seen = len(depth)
            camera.shoot_until(lambda: len(depth) >= seen + 200, '200 frames', rate=60)
            recover(episode, camera)
        assert process.alive()


@pytest.mark.slow
@pytest.mark.parametrize('share', [0.05, 0.5])
def test_lost_messages_cost_their_pairs_only(tmp_path, options, share):
    rng = np.random.default_rng(0)
    with running(NODE, tmp_path, *options) as (_, graph):
        camera, depth = ready(graph)
        publishers = [camera.rgb, camera.depth]
        publish = [publisher.publish for publisher in publishers]
        lost = [False, False]

        def lossy(index: int, message: Image) -> None:
            lost[index] = rng.random() < share
            if not lost[index]:
                publish[index](message)

        whole, came = [], 0
        camera.settle()
        first = camera.stamp_ns
        # Even, as a camera's: half a frame keeps a message without partner from the next frame's.
        stamps = even_stamps(first)
        with Episode(f'{share:.0%} of images dropped', camera.shot, depth) as episode:
            camera.rgb = _Lossy(publishers[0], lambda m: lossy(0, m))
            camera.depth = _Lossy(publishers[1], lambda m: lossy(1, m))
            for _ in range(150):
                header = camera.shoot(next(stamps))
                if any(lost):
                    graph.executor.spin_once(timeout_sec=0.02)
                    continue
                whole.append(header.stamp)
                # Awaited, so that a slow machine drops none as stale.
                end = time.monotonic() + 1.0
                while time.monotonic() < end and depth[-1].header.stamp != whole[-1]:
                    graph.executor.spin_once(timeout_sec=0.02)
                came += depth[-1].header.stamp == whole[-1]
            camera.rgb, camera.depth = publishers
            late = [msg for msg in depth if nanoseconds(msg.header) > first]
            episode.mended()
            graph.repeat(
                lambda: camera.shoot(next(stamps)), episode.over, 'frames again', rate=30.0
            )
        assert all(msg.header.stamp in whole for msg in late)
        assert came >= 0.9 * len(whole)


class _Lossy:
    def __init__(self, publisher, publish) -> None:
        self.topic, self.publish = publisher.topic, publish


@pytest.mark.slow
def test_subscribers_come_and_go(tmp_path, options):
    with running(NODE, tmp_path, *options) as (process, graph):
        camera = ManualCamera(graph)
        camera.wait_until_heard()
        waited = []
        for _ in range(8):
            for kind, topic in ((Image, '/depth/completed'), (PointCloud2, '/depth/points')):
                messages: list = []
                begin = time.monotonic()
                subscription = graph.node.create_subscription(kind, topic, messages.append, 1)
                camera.shoot_until(lambda m=messages: m, f'a message on {topic}')
                waited.append(time.monotonic() - begin)
                graph.node.destroy_subscription(subscription)
        note('subscriber comes and goes 16 times (worst)', max(waited))
        assert process.alive()


@pytest.mark.slow
def test_a_full_disk_for_logs_costs_no_frame(tmp_path, options):
    if not Path('/dev/full').exists():
        pytest.skip('/dev/full is not there')
    (tmp_path / 'completion_node.log').symlink_to('/dev/full')
    with running(NODE, tmp_path, *options) as (process, graph):
        camera, depth = ready(graph)
        with Episode('disk full for logs', camera.shot, depth) as episode:
            for _ in range(20):
                header = camera.header()
                camera.rgb.publish(Image(header=header, encoding='nonsense'))
                camera.depth.publish(Image(header=header))
                graph.executor.spin_once(timeout_sec=0.02)
            seen = len(depth)
            camera.shoot_until(lambda: len(depth) > seen + 20, 'frames')
            recover(episode, camera)
        assert process.end() == 0
