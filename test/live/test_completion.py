# SPDX-License-Identifier: Apache-2.0
"""One completion_node over DDS: what it publishes, what it survives, what it answers."""

from __future__ import annotations

import array

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Float64
from std_srvs.srv import SetBool, Trigger
from support.live import NANO, Camera, Graph, depth_of, header_at, running
from support.models import write_tiny_model

from magadepth_ros.messages.images import depth_image, rgb_image


@pytest.fixture(scope='module')
def live(tmp_path_factory):
    """Start one node with the tiny model, and a camera, shared by the tests of this file."""
    folder = tmp_path_factory.mktemp('completion')
    model = write_tiny_model(folder / 'tiny.onnx', 48, 64)
    values = (f'model:={model}', 'max_age:=0.0', 'diagnostics_period:=0.2')
    given = [text for value in values for text in ('-p', value)]
    with running('magadepth_ros.nodes.completion_node', folder, *given) as (process, graph):
        depth = graph.listen(Image, '/depth/completed')
        camera = Camera(graph)
        camera.wait_until_heard()
        camera.shoot_until(lambda: depth, 'a first completed frame')
        yield process, graph, camera


def settle(graph: Graph, camera: Camera) -> list:
    """Wait until a frame that is shot now is the newest that came out; return the list."""
    depth = graph.got['/depth/completed']
    header = camera.shoot()
    graph.until(lambda: depth and depth[-1].header.stamp == header.stamp, 'the frame just shot')
    return depth


def set_parameter(graph: Graph, name: str, value):
    kinds = {bool: 'bool', float: 'double', str: 'string', int: 'integer'}
    kind = kinds[type(value)]
    holder = ParameterValue(type=getattr(ParameterType, f'PARAMETER_{kind.upper()}'))
    setattr(holder, f'{kind}_value', value)
    request = SetParameters.Request(parameters=[Parameter(name=name, value=holder)])
    return graph.call(SetParameters, '/completion_node/set_parameters', request).results[0]


def diagnostics(graph: Graph, name: str) -> tuple:
    """Give the next status of the engine or the camera: level, message and values."""
    if '/diagnostics' not in graph.got:
        graph.listen(DiagnosticArray, '/diagnostics')
    messages = graph.got['/diagnostics']
    messages.clear()
    array_ = graph.until(lambda: messages and messages[-1], 'diagnostics')
    status = next(s for s in array_.status if s.name == f'/completion_node: {name}')
    return status.level, status.message, {v.key: v.value for v in status.values}


def test_subscribers_of_either_qos_get_the_rgbs_header(live):
    _, graph, camera = live
    graph.listen(Image, '/depth/completed', qos_profile_sensor_data, key='sensor')
    camera.shoot_until(lambda: graph.got['sensor'], 'a frame with sensor-data QoS')
    depth = settle(graph, camera)
    header = camera.shoot()
    for key in ('/depth/completed', 'sensor'):
        graph.until(lambda k=key: graph.got[k][-1].header.stamp == header.stamp, f'frame: {key}')
        msg = graph.got[key][-1]
        assert msg.header.frame_id == 'camera_color_optical_frame'
        assert (msg.encoding, msg.width, msg.height) == ('32FC1', 64, 48)
        metres = depth_of(msg)
        assert np.isfinite(metres).all()
        measured = camera.metres > 0
        np.testing.assert_allclose(metres[measured], 2.0, atol=1e-3)
        np.testing.assert_allclose(metres[~measured], 2.0, atol=0.05)
    assert depth


def test_everything_goes_out_with_one_header(live):
    _, graph, camera = live
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
    header = camera.shoot()
    stamped = [messages for topic, messages in got.items() if 'debug' not in topic]
    graph.until(
        lambda: all(m[-1].header.stamp == header.stamp for m in stamped), 'the same stamp on all'
    )
    info, confidence, colours, cloud = (m[-1] for m in stamped)
    assert (info.width, info.height, info.k[0]) == (64, 48, 60.0)
    shares = np.frombuffer(confidence.data, '<f4')
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert colours.encoding == 'rgb8'
    assert (cloud.width, cloud.height, cloud.is_dense) == (64, 48, False)
    points = np.frombuffer(cloud.data, '<f4').reshape(48, 64, -1)
    np.testing.assert_allclose(points[40, 60, 2], 2.0, atol=1e-3)
    np.testing.assert_allclose(points[40, 60, 0], (60 - 31.5) / 60 * 2, atol=1e-3)
    assert 0 < got['/completion_node/debug/processing_time_ms'][-1].data < 10_000


def malformed(number: int, stamp_ns: int, camera: Camera) -> tuple[Image, Image]:
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


def test_200_malformed_messages_cost_nothing_but_themselves(live):
    process, graph, camera = live
    settle(graph, camera)
    _, _, before = diagnostics(graph, 'camera')
    for number in range(200):
        camera.stamp_ns += 1
        rgb, depth = malformed(number, camera.stamp_ns, camera)
        camera.rgb.publish(rgb)
        camera.depth.publish(depth)
        # Paced, as best-effort input keeps only the newest two of a burst.
        graph.executor.spin_once(timeout_sec=0.01)
    metres = depth_of(settle(graph, camera)[-1])
    assert np.isfinite(metres).all()
    assert process.alive()
    _, _, after = diagnostics(graph, 'camera')
    assert int(after['received_rgb']) - int(before['received_rgb']) > 100
    _, _, values = diagnostics(graph, 'engine')
    assert int(values['reported message']) > 20


def test_one_malformed_message_of_each_kind_is_followed_by_a_good_frame(live):
    process, graph, camera = live
    for number in range(12):
        camera.stamp_ns += 1
        rgb, depth = malformed(number, camera.stamp_ns, camera)
        camera.rgb.publish(rgb)
        camera.depth.publish(depth)
        settle(graph, camera)
    camera.stamp_ns += 1
    for message, publisher in zip(
        malformed(0, camera.stamp_ns, camera), (camera.rgb, camera.depth), strict=True
    ):
        publisher.publish(message)
    graph.until(
        lambda: 'no_such_encoding' in diagnostics(graph, 'engine')[2]['last error'], 'the reason'
    )
    assert process.alive()


def test_big_endian_and_padded_depth_is_the_same_depth(live):
    _, graph, camera = live
    depth = settle(graph, camera)
    header = camera.header()
    good = depth_image(header, camera.metres, '16UC1')
    raw = np.frombuffer(good.data, '<u2').reshape(48, 64)
    odd = Image(header=header, width=64, height=48, encoding='16UC1', is_bigendian=1, step=131)
    padded = np.pad(raw.astype('>u2').view(np.uint8), ((0, 0), (0, 3)))
    odd.data = array.array('B', padded.tobytes())
    camera.depth.publish(odd)
    camera.rgb.publish(rgb_image(header, camera.picture))
    graph.until(lambda: depth[-1].header.stamp == header.stamp, 'the big-endian frame')
    np.testing.assert_allclose(depth_of(depth[-1])[camera.metres > 0], 2.0, atol=1e-3)


def test_parameters_change_the_next_frame_and_refusals_say_why(live):
    _, graph, camera = live
    assert set_parameter(graph, 'max_depth', 1.5).successful
    far = depth_of(settle(graph, camera)[-1])
    assert not np.isfinite(far).any() or np.nanmax(far) <= 1.5
    assert set_parameter(graph, 'max_depth', 0.0).successful
    assert set_parameter(graph, 'output_encoding', '16UC1').successful
    msg = settle(graph, camera)[-1]
    assert msg.encoding == '16UC1'
    assert np.frombuffer(msg.data, '<u2')[0] == 2000
    assert set_parameter(graph, 'output_encoding', '32FC1').successful
    for name, value, reason in (
        ('output_encoding', '8UC1', '32FC1, 16UC1'),
        ('max_depth', 1000.0, 'range'),
        ('min_depth', 'near', 'type'),
        ('transport', 'compressed', 'deactivate'),
        ('slop', -0.5, 'slop'),
        ('cloud_stride', 0, 'range'),
    ):
        result = set_parameter(graph, name, value)
        assert not result.successful, name
        assert reason in result.reason, (name, result.reason)
    settle(graph, camera)


def test_parameters_describe_themselves(live):
    _, graph, _ = live
    request = DescribeParameters.Request(names=['confidence_threshold', 'on_failure', 'cameras'])
    threshold, failure, _ = graph.call(
        DescribeParameters, '/completion_node/describe_parameters', request
    ).descriptors
    assert threshold.description
    assert threshold.floating_point_range[0].to_value == 1.0
    assert 'passthrough' in failure.additional_constraints


def test_disabled_it_is_silent_and_comes_back(live):
    _, graph, camera = live
    answer = graph.call(SetBool, '/completion_node/enable', SetBool.Request(data=False))
    assert answer.success
    graph.until(lambda: not camera.rgb.get_subscription_count(), 'the subscription to end')
    assert graph.call(SetBool, '/completion_node/enable', SetBool.Request(data=True)).success
    camera.wait_until_heard()
    depth = graph.got['/depth/completed']
    seen = len(depth)
    camera.shoot_until(lambda: len(depth) > seen, 'frames after enabling')


def test_reload_keeps_the_old_model_when_the_new_one_is_bad(live):
    process, graph, camera = live
    model = next(
        arg.partition(':=')[2] for arg in process.process.args if arg.startswith('model:=')
    )
    assert graph.call(Trigger, '/completion_node/reload_model', Trigger.Request()).success
    settle(graph, camera)
    assert set_parameter(graph, 'model', '/no/such/model.onnx').successful
    answer = graph.call(Trigger, '/completion_node/reload_model', Trigger.Request())
    assert not answer.success
    assert '/no/such/model.onnx' in answer.message
    settle(graph, camera)
    assert set_parameter(graph, 'model', model).successful


def test_a_clock_that_jumps_back_costs_no_restart(live):
    _, graph, camera = live
    settle(graph, camera)
    present = camera.stamp_ns
    depth = graph.got['/depth/completed']
    hour_ago = present - 3600 * NANO
    stamps = (hour_ago + number * NANO // 30 for number in range(10_000))

    def went_back() -> bool:
        camera.shoot(header_at(next(stamps)))
        return depth[-1].header.stamp.sec < present // NANO - 60

    graph.until(went_back, 'a frame of the earlier time', every=0.1)
    _, _, values = diagnostics(graph, 'camera')
    assert int(values['jumps']) >= 1
    settle(graph, camera)


def test_diagnostics_tell_rates_drops_and_engine(live):
    _, graph, camera = live
    settle(graph, camera)
    level, _, values = diagnostics(graph, 'engine')
    assert level == b'\x00'
    assert values['state'] == 'active'
    assert 'openvino' in values['engine']
    _, _, values = diagnostics(graph, 'camera')
    for key in ('latency p50 [ms]', 'infer p50 [ms]', 'wait p50 [ms]', 'unfilled share'):
        assert float(values[key]) >= 0, key
    ends = ('frames', 'aged', 'stale', 'refused', 'unwanted', 'failed')
    assert int(values['matched']) == sum(int(values[key]) for key in ends)
    for stream in ('rgb', 'depth'):
        received, unmatched = (int(values[f'{key}_{stream}']) for key in ('received', 'unmatched'))
        assert received >= int(values['matched']) + unmatched


def test_a_black_picture_and_depth_without_measurement_are_reported(live):
    _, graph, camera = live
    header = camera.header()
    camera.rgb.publish(rgb_image(header, np.zeros_like(camera.picture)))
    camera.depth.publish(depth_image(header, np.zeros_like(camera.metres)))
    depth = graph.got['/depth/completed']
    graph.until(lambda: depth[-1].header.stamp == header.stamp, 'the dark frame')
    level, message, _ = diagnostics(graph, 'camera')
    assert level == b'\x01'
    assert 'black_rgb' in message
    assert 'no_depth' in message
    settle(graph, camera)


def test_depth_in_another_frame_is_reported_with_the_remedy(live):
    process, graph, camera = live
    header = camera.header()
    camera.rgb.publish(rgb_image(header, camera.picture))
    stamp_ns = header.stamp.sec * NANO + header.stamp.nanosec
    camera.depth.publish(
        depth_image(header_at(stamp_ns, 'camera_depth_optical_frame'), camera.metres)
    )
    graph.until(lambda: 'not aligned' in process.log, 'the warning')
    assert 'align_depth' in process.log
    settle(graph, camera)


def test_camera_info_of_another_image_is_reported_and_depth_goes_on(live):
    process, graph, camera = live
    graph.listen(CameraInfo, '/depth/camera_info', 1, key='info')
    header = camera.header()
    camera.info.publish(CameraInfo(header=header, width=1280, height=720, k=[1.0] * 9))

    def warned() -> bool:
        header = camera.header()
        camera.rgb.publish(rgb_image(header, camera.picture))
        camera.depth.publish(depth_image(header, camera.metres))
        return '1280x720' in process.log

    graph.until(warned, 'the warning', every=0.1)
    settle(graph, camera)


def test_nothing_is_computed_without_subscribers(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    given = ('-p', f'model:={model}', '-p', 'diagnostics_period:=0.2')
    with running('magadepth_ros.nodes.completion_node', tmp_path, *given) as (_, graph):
        camera = Camera(graph)
        camera.wait_until_heard()
        values: dict[str, str] = {'matched': '0'}
        while int(values['matched']) < 5:
            camera.shoot()
            _, _, values = diagnostics(graph, 'camera')
        assert int(values['frames']) == 0
        depth = graph.listen(Image, '/depth/completed')
        camera.shoot_until(lambda: depth, 'a frame once somebody subscribes')
