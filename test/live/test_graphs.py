# SPDX-License-Identifier: Apache-2.0
"""The node in other graphs: simulated camera, compressed, several cameras, QoS, sim time."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from support.live import NANO, ManualCamera, depth_of, header_at, newest_common, running

from magadepth_ros.messages.compressed import (
    compressed_to_depth,
    depth_to_compressed,
    rgb_to_compressed,
)

NODE = 'magadepth_ros.nodes.completion_node'
CAMERA = 'magadepth_ros.nodes.simulated_camera'


@pytest.mark.parametrize('reliability', ['reliable', 'best_effort'])
def test_the_simulated_camera_speaks_as_a_realsense(tmp_path, reliability):
    # Full size, so that best effort shows whether the shared-memory profile is in force.
    given = ('-p', 'frames:=2', '-p', f'reliability:={reliability}')
    policy = getattr(QoSReliabilityPolicy, reliability.upper())
    qos = QoSProfile(depth=2, reliability=policy)
    with running(CAMERA, tmp_path, *given) as (process, graph):
        base = '/camera/camera'
        topics = {
            f'{base}/color/image_raw': Image,
            f'{base}/aligned_depth_to_color/image_raw': Image,
            f'{base}/color/camera_info': CameraInfo,
            f'{base}/aligned_depth_to_color/camera_info': CameraInfo,
        }
        got = [graph.listen(kind, topic, qos) for topic, kind in topics.items()]
        rgb, depth, info, _ = graph.until(lambda: newest_common(got), 'a stamp on every topic')
        assert {m.header.frame_id for m in (rgb, depth, info)} == {'camera_color_optical_frame'}
        assert (rgb.encoding, rgb.width, rgb.height) == ('rgb8', 640, 480)
        assert (depth.encoding, depth.width, depth.height) == ('16UC1', 640, 480)
        assert (info.width, info.height) == (640, 480)
        assert process.end() == 0


def test_compressed_topics_in_and_out(tmp_path, options):
    with running(NODE, tmp_path, *options, '-p', 'transport:=compressed') as (_, graph):
        small = graph.listen(CompressedImage, '/depth/completed/compressedDepth')
        camera = ManualCamera(graph, compressed=True)
        camera.wait_until_heard()
        stamps = []

        def shoot() -> None:
            header = camera.header()
            stamps.append(header.stamp)
            camera.rgb.publish(rgb_to_compressed(header, camera.picture))
            kind = 'rvl' if len(stamps) % 2 else 'png'
            camera.depth.publish(depth_to_compressed(header, camera.metres, '16UC1', kind))

        graph.repeat(shoot, lambda: len(small) >= 4, 'compressed frames')
        assert small[-1].header.stamp in stamps
        assert small[-1].format == '32FC1; compressedDepth png'
        metres = compressed_to_depth(small[-1])
        assert metres.shape == (48, 64)
        np.testing.assert_allclose(metres[camera.metres > 0], 2.0, atol=2e-3)


def test_several_cameras_share_one_node(tmp_path, options):
    given = [*options, '-p', 'cameras:=[front, rear]']
    with running(NODE, tmp_path, *given) as (process, graph):
        names = ('front', 'rear')
        depth = [graph.listen(Image, f'/{name}/depth/completed') for name in names]
        clouds = graph.listen(PointCloud2, '/rear/depth/points')
        cameras = [ManualCamera(graph, f'/{name}') for name in names]
        cameras[1].metres = cameras[1].metres * 1.5
        for camera in cameras:
            camera.wait_until_heard()

        graph.repeat(
            lambda: [camera.shoot() for camera in cameras],
            lambda: all(len(messages) >= 5 for messages in depth) and clouds,
            'frames of both cameras',
        )
        measured = cameras[0].metres > 0
        for messages, metres in zip(depth, (2.0, 3.0)):
            for made in map(depth_of, messages):
                np.testing.assert_allclose(made[measured], metres, atol=1e-3)
                np.testing.assert_allclose(made[~measured], metres, atol=0.05)
        # One falls silent: the other goes on.
        seen = len(depth[1])
        cameras[1].shoot_until(lambda: len(depth[1]) > seen + 5, 'frames of the other')
        arrays = graph.listen(DiagnosticArray, '/diagnostics')
        cameras[1].shoot_until(lambda: arrays, 'diagnostics')
        assert {s.name for s in arrays[-1].status} >= {
            f'/completion_node: {name}' for name in names
        }
        assert process.end() == 0


def test_incompatible_qos_is_told_with_the_remedy(tmp_path, options):
    with running(NODE, tmp_path, *options) as (process, graph):
        wants_history = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        graph.listen(Image, '/depth/completed', wants_history)
        graph.until(lambda: 'a subscriber of /depth/completed' in process.log, 'the error')
        assert 'qos_overrides./depth/completed.publisher' in process.log


def test_qos_overrides_are_in_force_and_a_mismatch_is_told(tmp_path, options):
    override = ('-p', 'qos_overrides./rgb/image.subscription.reliability:=reliable')
    with running(NODE, tmp_path, *options, *override) as (process, graph):
        best_effort = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        graph.node.create_publisher(Image, '/rgb/image', best_effort)
        graph.until(
            lambda: 'INPUT_QOS: no message arrives on /rgb/image' in process.log, 'the error'
        )
        assert 'RELIABILITY' in process.log


def test_simulated_time_that_starts_anew_costs_no_restart(tmp_path, options):
    given = ['-p', options[1], '-p', 'use_sim_time:=true']
    with running(NODE, tmp_path, *given) as (process, graph):
        depth = graph.listen(Image, '/depth/completed')
        clock = graph.node.create_publisher(Clock, '/clock', 10)
        camera = ManualCamera(graph)
        camera.wait_until_heard()
        graph.until(clock.get_subscription_count, 'the node on /clock')
        for start in (1000 * NANO, 5 * NANO):
            now = start
            depth.clear()

            def play() -> None:
                nonlocal now
                now += NANO // 30
                header = header_at(now)
                clock.publish(Clock(clock=header.stamp))
                camera.shoot(header)

            graph.repeat(
                play,
                lambda: depth and abs(depth[-1].header.stamp.sec - now // NANO) < 2,
                f'frames of a clock from {start // NANO} s',
                rate=30,
            )
        assert process.alive()


def test_rgb_and_depth_of_two_sizes(tmp_path, options):
    with running(NODE, tmp_path, *options) as (process, graph):
        depth = graph.listen(Image, '/depth/completed')
        info = graph.listen(CameraInfo, '/depth/camera_info')
        camera = ManualCamera(graph)
        camera.wait_until_heard()
        camera.picture = np.repeat(np.repeat(camera.picture, 2, 0), 2, 1)
        camera.WIDTH, camera.HEIGHT = 128, 96
        camera.shoot_until(lambda: depth and info, 'frames')
        assert (depth[-1].width, depth[-1].height) == (64, 48)
        assert (info[-1].width, info[-1].height, info[-1].k[0]) == (64, 48, 30.0)
        assert process.alive()


@pytest.mark.slow
def test_two_topics_that_never_meet_are_named_with_their_gap(tmp_path, options):
    with running(NODE, tmp_path, *options) as (process, graph):
        camera = ManualCamera(graph)
        camera.wait_until_heard()

        def shoot() -> None:
            header = camera.header()
            camera.rgb.publish(Image(header=header))
            camera.depth.publish(Image(header=header_at(camera.stamp_ns + 100 * NANO)))

        graph.repeat(
            shoot,
            lambda: '+100.' in process.log and 'UNSYNCHRONISED_STREAMS' in process.log,
            'the warning',
        )
        assert '/rgb/image' in process.log
        assert '/depth/image' in process.log
