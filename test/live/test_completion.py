# SPDX-License-Identifier: Apache-2.0
"""One completion_node over DDS: what it publishes and what it survives."""

from __future__ import annotations

import array
import itertools
import time

import numpy as np
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Float64, Header
from support.live import NANO, ManualCamera, depth_of, header_at, newest_common, running
from support.messages import depth_image, rgb_image
from support.models import write_tiny_model


def test_subscribers_of_either_qos_get_the_rgbs_header(live, monkeypatch):
    _, graph, camera = live
    # Another depth on the right, so that it matters what was measured or predicted where; and one
    # measurement in the hole, so that the tiny model finds a neighbour for each of its pixels.
    metres = np.where(np.arange(64) < 32, camera.metres, 1.5 * camera.metres)
    metres[15, 15] = 2.0
    monkeypatch.setattr(camera, 'metres', metres.astype(np.float32))
    camera.settle()
    graph.listen(Image, '/depth/completed', qos_profile_sensor_data, key='sensor')
    topics = [graph.got[key] for key in ('/depth/completed', 'sensor')]
    for msg in camera.shoot_until(lambda: newest_common(topics), 'a frame with either QoS'):
        assert msg.header.frame_id == 'camera_color_optical_frame'
        assert (msg.encoding, msg.width, msg.height) == ('32FC1', 64, 48)
        metres = depth_of(msg)
        assert np.isfinite(metres).all()
        measured = camera.metres > 0
        np.testing.assert_allclose(metres[measured], camera.metres[measured], atol=1e-3)
        np.testing.assert_allclose(metres[~measured], 2.0, atol=0.05)


def test_everything_goes_out_with_one_header(live, monkeypatch):
    _, graph, camera = live
    # In columns, as the picture moves down from frame to frame.
    picture = camera.picture.copy()
    picture[:, 60] = (200, 100, 20)
    monkeypatch.setattr(camera, 'picture', picture)
    camera.settle()
    kinds = {
        '/depth/camera_info': CameraInfo,
        '/depth/confidence': Image,
        '/depth/colorized': Image,
        '/depth/points': PointCloud2,
        '/completion_node/debug/latency_ms': Float64,
        '/completion_node/debug/processing_time_ms': Float64,
    }
    got = {topic: graph.listen(kind, topic, 1) for topic, kind in kinds.items()}
    camera.shoot_until(lambda: all(got.values()), 'a message on every topic')
    stamped = [messages for topic, messages in got.items() if 'debug' not in topic]
    info, confidence, colours, cloud = camera.shoot_until(
        lambda: newest_common(stamped), 'the same stamp on all'
    )
    assert (info.width, info.height, info.k[0]) == (64, 48, 60.0)
    shares = np.frombuffer(confidence.data, '<f4')
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert colours.encoding == 'rgb8'
    assert (cloud.width, cloud.height, cloud.is_dense) == (64, 48, False)
    points = np.frombuffer(cloud.data, '<f4').reshape(48, 64, -1)
    np.testing.assert_allclose(points[40, 60, 2], 2.0, atol=1e-3)
    np.testing.assert_allclose(points[40, 60, 0], (60 - 31.5) / 60 * 2, atol=1e-3)
    packed = int(points[40, 60, 3:].view('<u4')[0])
    assert [packed >> shift & 255 for shift in (16, 8, 0)] == [200, 100, 20]
    assert 0 < got['/completion_node/debug/processing_time_ms'][-1].data < 10_000


def test_what_marks_is_measured_or_confident_and_the_rest_only_clears(live):
    _, graph, camera = live
    camera.settle()
    clouds = [
        graph.listen(PointCloud2, f'/depth/{name}', 1) for name in ('points', 'points_marking')
    ]
    measured = int(np.count_nonzero(camera.metres))
    assert 0 < measured < camera.metres.size
    try:
        assert graph.set_parameter('cloud_confidence', True).successful
        for least, expected in ((1.0, measured), (0.0, camera.metres.size)):
            assert graph.set_parameter('marking_confidence', least).successful
            for messages in clouds:
                messages.clear()

            def both() -> list:
                pair = newest_common(clouds)
                return pair if pair and pair[1].width == expected else []

            cloud, marking = camera.shoot_until(both, f'{expected} points of confidence {least}')
            points = np.frombuffer(cloud.data, '<f4').reshape(-1, 5)
            assert [f.name for f in cloud.fields] == ['x', 'y', 'z', 'rgb', 'confidence']
            wanted = points[points[:, 4] >= least, :3]
            marks = np.frombuffer(marking.data, '<f4').reshape(-1, 3)
            np.testing.assert_array_equal(marks, wanted)
            assert marking.header == cloud.header and marking.is_dense
    finally:
        graph.set_parameter('cloud_confidence', False)


def malformed(number: int, stamp_ns: int, camera: ManualCamera) -> tuple[Image, Image]:
    """Two messages with one stamp, of which at least one is broken in one of twelve ways."""
    header = header_at(stamp_ns)
    rgb, depth = rgb_image(header, camera.picture), depth_image(header, camera.metres, '16UC1')
    kind = number % 12
    if kind == 0:
        rgb.encoding = 'no_such_encoding'
    elif kind == 1:
        rgb.data = rgb.data[: number * 7]
    elif kind == 2:
        rgb.width = rgb.height = 0
    elif kind == 3:
        rgb = rgb_image(header, camera.picture[:20, :20].copy())
    elif kind == 4:
        depth = depth_image(header, np.full((48, 64), np.nan, np.float32))
    elif kind == 5:
        depth = depth_image(header, np.full((48, 64), np.inf, np.float32))
    elif kind == 6:
        depth.data = array.array('B', b'\xff' * len(depth.data))
    elif kind == 7:
        depth.is_bigendian = 1
    elif kind == 8:
        depth.step += 3
    elif kind == 9:
        depth.encoding = 'rgb8'
    elif kind == 10:
        depth.width = 2**32 - 1
    else:
        depth.data = array.array('B')
    return rgb, depth


def received(graph, stream: str) -> int:
    """Messages of a stream that the node counted by the newest diagnostics."""
    statuses = graph.got['/diagnostics'][-1].status if graph.got['/diagnostics'] else ()
    return sum(int(v.value) for s in statuses for v in s.values if v.key == f'received_{stream}')


def test_200_malformed_messages_cost_nothing_but_themselves(live):
    process, graph, camera = live
    camera.settle()
    before = int(graph.status('camera')[2]['received_rgb'])
    numbers = itertools.count()

    def send() -> None:
        camera.stamp_ns += 1
        number = next(numbers)
        rgb, depth = malformed(number % 200, camera.stamp_ns, camera)
        camera.rgb.publish(rgb)
        camera.depth.publish(depth)

    # Paced, as best-effort input keeps only the newest two of a burst.
    graph.repeat(
        send, lambda: received(graph, 'rgb') - before >= 200, '200 malformed messages', rate=100
    )
    metres = depth_of(camera.settle()[-1])
    assert np.isfinite(metres).all()
    assert process.alive()
    graph.until(
        lambda: int(graph.status('camera')[2]['refused']) > 20, 'their number in the counters'
    )


def test_one_malformed_message_of_each_kind_is_followed_by_a_good_frame(live):
    process, graph, camera = live
    for number in range(12):
        camera.stamp_ns += 1
        rgb, depth = malformed(number, camera.stamp_ns, camera)
        camera.rgb.publish(rgb)
        camera.depth.publish(depth)
        camera.settle()

    def told() -> bool:
        camera.stamp_ns += 1
        rgb, depth = malformed(0, camera.stamp_ns, camera)
        camera.rgb.publish(rgb)
        camera.depth.publish(depth)
        return 'no_such_encoding' in graph.status('camera')[2]['last error']

    graph.until(told, 'the reason')
    assert process.alive()


def test_big_endian_and_padded_depth_is_the_same_depth(live):
    _, _, camera = live

    def send() -> Header:
        header = camera.header()
        good = depth_image(header, camera.metres, '16UC1')
        raw = np.frombuffer(good.data, '<u2').reshape(48, 64)
        odd = Image(header=header, width=64, height=48, encoding='16UC1', is_bigendian=1, step=131)
        padded = np.pad(raw.astype('>u2').view(np.uint8), ((0, 0), (0, 3)))
        odd.data = array.array('B', padded.tobytes())
        camera.depth.publish(odd)
        camera.rgb.publish(rgb_image(header, camera.picture))
        return header

    depth = camera.settle(send)
    np.testing.assert_allclose(depth_of(depth[-1])[camera.metres > 0], 2.0, atol=1e-3)


def test_a_clock_that_jumps_back_costs_no_restart(live):
    _, graph, camera = live
    camera.settle()
    present = camera.stamp_ns
    depth = graph.got['/depth/completed']
    hour_ago = present - 3600 * NANO
    stamps = (hour_ago + number * NANO // 30 for number in range(10_000))

    def shoot() -> None:
        camera.shoot(header_at(next(stamps)))

    def went_back() -> bool:
        return depth[-1].header.stamp.sec < present // NANO - 60

    graph.repeat(shoot, went_back, 'a frame of the earlier time', rate=10)
    graph.until(lambda: int(graph.status('camera')[2]['jumps']) >= 1, 'the jump in the counters')
    camera.settle()


def test_pairs_that_are_too_old_are_dropped_unless_another_clock_made_them(live):
    process, graph, camera = live
    camera.settle()
    assert graph.set_parameter('max_age', 1.0).successful

    def shoot(seconds: int) -> Header:
        return camera.shoot(header_at(time.time_ns() - seconds * NANO))

    # Where the machine stalls they may get older than 10 s, and those are shown: which are shown
    # and which are not, nodes/test_worker.py knows.
    graph.repeat(lambda: shoot(5), lambda: 'max_age is 1.00 s' in process.log, 'the warning')
    graph.until(lambda: int(graph.status('camera')[2]['aged']) > 0, 'the counter')
    camera.settle(lambda: shoot(3600))
    assert 'max_age is not applied' in process.log
    assert graph.set_parameter('max_age', 0.0).successful
    camera.settle()


def test_a_black_picture_and_depth_without_measurement_are_reported(live):
    _, graph, camera = live

    def send() -> Header:
        header = camera.header()
        camera.rgb.publish(rgb_image(header, np.zeros_like(camera.picture)))
        camera.depth.publish(depth_image(header, np.zeros_like(camera.metres)))
        return header

    camera.settle(send)

    def warned() -> bool:
        level, _, values = graph.status('camera')
        return level == b'\x01' and {'BLACK_RGB', 'EMPTY_DEPTH'} <= values.keys()

    graph.until(warned, 'the warning')
    camera.settle()


def test_depth_in_another_frame_that_cannot_be_registered_is_dropped_with_the_remedy(live):
    process, graph, camera = live
    unaligned = []

    def send() -> None:
        header = camera.header()
        unaligned.append(header.stamp)
        camera.rgb.publish(rgb_image(header, camera.picture))
        other = header_at(camera.stamp_ns, 'camera_depth_optical_frame')
        camera.depth.publish(depth_image(other, camera.metres))

    graph.repeat(send, lambda: 'cannot be registered' in process.log, 'the warning', rate=4)
    assert 'no camera_info on /depth/image/camera_info' in process.log
    assert 'align_depth' in process.log and 'register_depth' in process.log
    graph.until(lambda: 'UNREGISTERED_DEPTH' in graph.status('camera')[2], 'the warning')
    assert not any(msg.header.stamp in unaligned for msg in camera.settle())


def test_camera_info_of_another_image_is_reported_and_depth_goes_on(live):
    process, graph, camera = live
    graph.listen(CameraInfo, '/depth/camera_info', 1, key='info')

    def send() -> Header:
        header = camera.header()
        camera.info.publish(CameraInfo(header=header, width=1280, height=720, k=[1.0] * 9))
        camera.rgb.publish(rgb_image(header, camera.picture))
        camera.depth.publish(depth_image(header, camera.metres))
        return header

    camera.settle(send)
    graph.repeat(send, lambda: '1280x720' in process.log, 'the warning', rate=4)
    camera.settle()


def test_nothing_is_computed_without_subscribers(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    given = ('-p', f'model:={model}', '-p', 'diagnostics_period:=0.2')
    with running('magadepth_ros.nodes.completion_node', tmp_path, *given) as (_, graph):
        camera = ManualCamera(graph)
        camera.wait_until_heard()
        values: dict[str, str] = {'matched': '0'}
        while int(values['matched']) < 5:
            camera.shoot()
            _, _, values = graph.status('camera')
        assert int(values['frames']) == 0
        depth = graph.listen(Image, '/depth/completed')
        camera.shoot_until(lambda: depth, 'a frame once somebody subscribes')
