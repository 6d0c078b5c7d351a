# SPDX-License-Identifier: Apache-2.0
"""One node, whose every input and parameter is broken in turn: /diagnostics says what is wrong."""

from __future__ import annotations

import array
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger
from support.live import NANO, ManualCamera, header_at, nanoseconds, running
from support.messages import depth_image, rgb_image
from support.models import write_tiny_model

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.messages.camera_info import info_of
from magadepth_ros.nodes.condition_table import CONDITIONS
from magadepth_ros.nodes.parameters import NodeParameters

NODE = 'magadepth_ros.nodes.completion_node'
WARN, ERROR = b'\x01', b'\x02'
LENS = CameraModel(64, 48, 60.0, 60.0, 31.5, 23.5)


class Patient:
    """The node under test with its camera, and what its diagnostics say."""

    def __init__(self, process, graph) -> None:
        self.process, self.graph = process, graph
        self.camera = ManualCamera(graph)
        self.said = graph.listen(DiagnosticArray, '/diagnostics')
        self.depth = graph.listen(Image, '/depth/completed', 1)
        graph.listen(PointCloud2, '/depth/points', 1)

    def values(self, name: str) -> dict[str, str]:
        return {v.key: v.value for v in self.status(name).values}

    def status(self, name: str) -> DiagnosticStatus:
        """Return the latest status of a name; an empty one of level STALE before the first."""
        statuses = self.said[-1].status if self.said else ()
        stale = DiagnosticStatus(level=DiagnosticStatus.STALE)
        return next((s for s in statuses if s.name.endswith(f': {name}')), stale)

    def expect(
        self, send: Callable[[], object], code: str, word: str = '', name: str = 'camera'
    ) -> None:
        """Call ``send`` at 15 Hz until the code is there, with this word in its text."""

        def told() -> bool:
            text = self.values(name).get(code)
            return text is not None and word in text

        self.graph.repeat(send, told, f'{code} with {word!r}: {self.values(name)}')
        status, values = self.status(name), self.values(name)
        assert status.level in (WARN, ERROR)
        assert CONDITIONS[values['code']].level <= status.level and status.message
        assert values['last error'] != 'none'

    def send(
        self,
        rgb: Callable[[Image], object] = lambda msg: None,
        depth: Callable[[Image], object] = lambda msg: None,
        info: Callable[[CameraInfo], object] = lambda msg: None,
    ) -> None:
        """Send a frame whose messages were changed; a change that returns False holds it back."""
        camera = self.camera
        header = camera.header()
        camera.picture = np.roll(camera.picture, 1, axis=0)
        made = (
            (camera.info, info_of(header, LENS), info),
            (camera.depth, depth_image(_copy(header), camera.metres, '16UC1'), depth),
            (camera.rgb, rgb_image(_copy(header), camera.picture), rgb),
        )
        for publisher, message, change in made:
            if change(message) is not False:
                publisher.publish(message)

    def recover(self) -> None:
        """Send good frames until one has come back."""
        sent = self.camera.stamp_ns

        def back() -> bool:
            return bool(self.depth) and nanoseconds(self.depth[-1].header) > sent

        self.graph.repeat(self.send, back, 'a good frame', rate=10.0)


def _copy(header: Header) -> Header:
    return Header(stamp=header.stamp, frame_id=header.frame_id)


@contextmanager
def started(folder: Path) -> Iterator[Patient]:
    model = write_tiny_model(folder / 'tiny.onnx', 48, 64)
    # Late is 5 s, as machines are busy; what is older than 10 s is of another clock.
    values = (f'model:={model}', 'max_age:=5.0', 'slop:=0.02', 'diagnostics_period:=0.1')
    given = [text for value in values for text in ('-p', value)]
    with running(NODE, folder, *given) as (process, graph):
        yield Patient(process, graph)


@pytest.fixture(scope='module')
def patient(tmp_path_factory):
    """Start one node for all tests that leave it as it was."""
    with started(tmp_path_factory.mktemp('patient')) as patient:
        patient.recover()
        yield patient


@pytest.fixture(scope='module')
def masked(tmp_path_factory):
    """Start one node for all tests with masks: it goes on to expect them."""
    with started(tmp_path_factory.mktemp('masked')) as patient:
        patient.recover()
        yield patient


@pytest.fixture
def fresh(tmp_path):
    """Start a node to which nothing has happened yet."""
    with started(tmp_path) as patient:
        yield patient


def change(**values) -> Callable[[Image], None]:
    """Give what sets fields of a message."""

    def apply(msg) -> None:
        for name, value in values.items():
            setattr(msg, name, value)

    return apply


def cut(msg: Image) -> None:
    msg.data = msg.data[:100]


def small(msg: Image) -> None:
    made = (rgb_image if msg.encoding == 'rgb8' else depth_image)(
        msg.header,
        np.ones((20, 20, 3) if msg.encoding == 'rgb8' else (20, 20), np.uint8) * 99
        if msg.encoding == 'rgb8'
        else np.ones((20, 20), np.float32),
    )
    for name in ('height', 'width', 'step', 'data', 'encoding'):
        setattr(msg, name, getattr(made, name))


def fill(value: int) -> Callable[[Image], None]:
    """Give what fills all bytes of an image with one value."""

    def apply(msg: Image) -> None:
        msg.data = array.array('B', bytes([value]) * len(msg.data))

    return apply


def millimetres(value: int) -> Callable[[Image], None]:
    """Give what makes a depth image of one value."""

    def apply(msg: Image) -> None:
        msg.data = array.array('B', np.full(len(msg.data) // 2, value, '<u2').tobytes())

    return apply


def held(msg: Image) -> bool:
    return False


def unstamped(msg: Image) -> None:
    msg.header = Header(frame_id=msg.header.frame_id)


def apart(msg: Image) -> None:
    # Farther than the queues reach, else it pairs with a frame before or after.
    msg.header = header_at(nanoseconds(msg.header) + 3 * NANO, msg.header.frame_id)


IMAGES = {
    'unknown encoding': (change(encoding='no_such_one'), 'WRONG_ENCODING', 'no_such_one'),
    'step below a row': (change(step=10), 'BAD_IMAGE', 'step of'),
    'data cut': (cut, 'BAD_IMAGE', 'got 100'),
    'no data': (change(data=array.array('B')), 'BAD_IMAGE', 'got 0'),
    'no size': (change(width=0, height=0), 'BAD_IMAGE', 'got 0x0'),
    'absurd size': (change(width=2**32 - 1), 'BAD_IMAGE', 'got 4294967295x'),
    'another shape': (small, 'SIZE_MISMATCH', '20x20'),
    'zero stamps': (unstamped, 'ZERO_STAMPS', '/rgb/image'),
    'stamps apart': (apart, 'UNSYNCHRONISED_STREAMS', '.000 s apart'),
}
RGB_ALONE = {
    'depth in it': (change(encoding='16UC1'), 'WRONG_ENCODING', '16UC1'),
    'odd width of YUV': (
        change(encoding='yuv422', width=63, step=192), 'BAD_IMAGE', 'even width'
    ),
    'black': (fill(0), 'BLACK_RGB', '/rgb/image'),
    'frozen': (fill(99), 'FROZEN_RGB', '/rgb/image'),
    'stopped': (held, 'RGB_STOPPED', '/rgb/image'),
}  # fmt: skip
DEPTH_ALONE = {
    'colour in it': (change(encoding='rgb8', step=192), 'WRONG_ENCODING', 'rgb8'),
    'empty': (fill(0), 'EMPTY_DEPTH', '/depth/image'),
    'too near': (millimetres(70), 'OUT_OF_RANGE', '100% nearer'),
    'too far': (millimetres(20_000), 'OUT_OF_RANGE', '% farther'),
    'another frame': (
        lambda msg: setattr(msg, 'header', header_at(nanoseconds(msg.header), 'other')),
        'UNREGISTERED_DEPTH',
        'no camera_info on /depth/image/camera_info',
    ),
    'stopped': (held, 'DEPTH_STOPPED', '/depth/image'),
}
INFOS = {
    'another shape': (change(width=1280, height=720), 'the image is 64x48'),
    'no size': (change(width=0, height=0), '0x0'),
    'not calibrated': (change(k=np.zeros(9)), 'not calibrated'),
    'negative focal length': (change(k=-np.eye(3).ravel()), 'not calibrated'),
    'focal length NaN': (change(k=np.full(9, np.nan)), 'not calibrated'),
    'unknown lens': (change(distortion_model='thin_prism'), 'thin_prism'),
    'three coefficients': (change(d=[0.1, 0.2, 0.3]), '3 coefficients'),
    'fisheye of five': (
        change(distortion_model='equidistant', d=[0.1] * 5), '5 coefficients'
    ),
    'coefficient NaN': (change(d=[float('nan')] * 5), 'not calibrated'),
    'centre NaN': (change(k=[60.0, 0, float('nan'), 0, 60.0, 23.5, 0, 0, 1.0]), 'calibrated'),
}  # fmt: skip


def test_a_camera_info_that_never_comes(fresh):
    fresh.camera.wait_until_heard()
    fresh.expect(lambda: fresh.send(info=held), 'NO_CAMERA_INFO', '/rgb/camera_info')
    assert fresh.values('camera')['camera_info'] == 'missing'


@pytest.mark.parametrize('fault', [*IMAGES, *RGB_ALONE])
def test_rgb_that_is_broken(patient, fault):
    broken, code, word = {**IMAGES, **RGB_ALONE}[fault]
    patient.expect(lambda: patient.send(rgb=broken), code, word)
    patient.recover()


@pytest.mark.parametrize('fault', [*IMAGES, *DEPTH_ALONE])
def test_depth_that_is_broken(patient, fault):
    broken, code, word = {**IMAGES, **DEPTH_ALONE}[fault]
    patient.expect(lambda: patient.send(depth=broken), code, word)
    patient.recover()


@pytest.mark.parametrize('fault', INFOS)
def test_a_camera_info_that_is_broken(patient, fault):
    broken, word = INFOS[fault]
    patient.expect(lambda: patient.send(info=broken), 'BAD_CAMERA_INFO', word)
    assert patient.values('camera')['camera_info'] == 'refused'
    patient.recover()
    patient.graph.until(lambda: 'BAD_CAMERA_INFO' not in patient.values('camera'), 'its end')


def test_both_streams_that_stop_and_return(fresh):
    fresh.recover()
    fresh.expect(lambda: None, 'CAMERA_STOPPED', 'or /depth/image')
    assert fresh.status('camera').level == ERROR
    fresh.recover()
    log = fresh.process.log
    fresh.graph.until(lambda: 'CAMERA_STOPPED is over' in fresh.process.log, 'its end')
    # Said once, and by one stream at most before that.
    assert log.count('CAMERA_STOPPED: no message') == 1


def test_swapped_topics_are_named_as_such_and_are_an_error_when_nothing_else_comes(patient):
    camera = patient.camera

    def send() -> None:
        header = camera.header()
        camera.depth.publish(rgb_image(header, camera.picture))
        camera.rgb.publish(depth_image(header, camera.metres, '16UC1'))

    patient.expect(send, 'SWAPPED_TOPICS', 'swap the remappings')

    def worst() -> bool:
        status = patient.status('camera')
        return status.level == ERROR and 'swapped' in status.message

    patient.graph.repeat(send, worst, 'an error')
    patient.recover()


@pytest.mark.parametrize(('age', 'code'), [(7, 'LATE_PAIRS'), (3600, 'FOREIGN_CLOCK')])
def test_stamps_of_another_time(patient, age, code):
    camera = patient.camera
    patient.expect(lambda: camera.shoot(header_at(time.time_ns() - age * NANO)), code)
    patient.recover()


def value_out_of_range(item) -> object:
    """Give a value that the parameter must refuse."""
    if item.metadata['limits']:
        return type(item.default)(item.metadata['limits'][1] + 1)
    return 'nonsense' if item.metadata['choices'] else 7


@pytest.mark.parametrize('item', fields(NodeParameters), ids=lambda item: item.name)
def test_a_parameter_out_of_range(patient, item):
    graph = patient.graph
    result = graph.set_parameter(item.name, value_out_of_range(item))
    assert not result.successful and result.reason
    patient.expect(lambda: None, 'REFUSED_PARAMETER', f'{item.name}: ', name='engine')


def test_a_reload_that_fails(patient):
    graph = patient.graph
    before = patient.values('engine')['model']
    assert graph.set_parameter('model', '/no/such/model.onnx').successful
    assert not graph.call(Trigger, '/completion_node/reload_model', Trigger.Request()).success
    patient.expect(lambda: None, 'RELOAD_FAILED', '/no/such/model.onnx', name='engine')
    assert patient.status('engine').level == WARN
    assert graph.set_parameter('model', before).successful
    assert graph.call(Trigger, '/completion_node/reload_model', Trigger.Request()).success
    graph.until(lambda: 'RELOAD_FAILED' not in patient.values('engine'), 'its end')
    patient.recover()


def test_neighbours_of_the_same_name_and_on_the_same_topics(patient):
    graph = patient.graph
    twin = rclpy.create_node('completion_node', context=graph.context)
    patient.expect(lambda: None, 'DUPLICATE_NODE', '/completion_node', name='engine')
    twin.destroy_node()
    other = graph.node.create_publisher(Image, '/depth/confidence', 1)
    patient.expect(lambda: None, 'DUPLICATE_OUTPUT', '/tester')
    graph.node.destroy_publisher(other)
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    deaf = graph.node.create_subscription(Image, '/depth/confidence', lambda _: None, latched)
    patient.expect(lambda: None, 'OUTPUT_QOS', '/depth/confidence')
    graph.node.destroy_subscription(deaf)
    wrong = graph.node.create_publisher(Image, '/depth/image/camera_info', 1)
    patient.expect(patient.send, 'WRONG_TYPE', 'expected sensor_msgs/msg/CameraInfo')
    graph.node.destroy_publisher(wrong)
    gone = {'DUPLICATE_OUTPUT', 'OUTPUT_QOS', 'WRONG_TYPE'}
    graph.until(lambda: not gone & patient.values('camera').keys(), 'their end')
    graph.until(lambda: 'DUPLICATE_NODE' not in patient.values('engine'), 'its end')


def test_a_compressed_topic_under_the_name_of_a_raw_one(patient):
    graph, camera = patient.graph, patient.camera
    graph.node.destroy_publisher(camera.rgb)
    packed = graph.node.create_publisher(CompressedImage, '/rgb/image', 10)
    patient.expect(lambda: None, 'WRONG_TRANSPORT', 'transport:=compressed')
    graph.node.destroy_publisher(packed)
    camera.rgb = graph.node.create_publisher(Image, '/rgb/image', 10)
    patient.recover()


def test_a_node_that_is_not_wanted_or_not_listening_is_in_order(fresh):
    graph = fresh.graph
    request = SetBool.Request(data=False)
    assert graph.call(SetBool, '/completion_node/enable', request).success
    graph.until(lambda: fresh.status('camera').message == 'not listening', 'silence')
    assert fresh.status('camera').level == b'\x00'
    assert graph.call(SetBool, '/completion_node/enable', SetBool.Request(data=True)).success
    fresh.recover()

    def fine() -> bool:
        names = ('engine', 'camera')
        return all(fresh.values(name)['code'] == 'OK' for name in names)

    graph.repeat(fresh.send, fine, 'no condition any more')
    for subscription in list(graph.node.subscriptions):
        if subscription.topic_name.startswith('/depth/'):
            graph.node.destroy_subscription(subscription)
    idle = 'idle: nobody subscribes'
    graph.repeat(fresh.send, lambda: fresh.status('camera').message == idle, idle)
    graph.listen(PointCloud2, '/depth/points', 1)
    graph.listen(Image, '/depth/completed', 1)
    graph.repeat(fresh.send, lambda: 'Hz' in fresh.status('camera').message, 'a rate')


MASKS = {
    'colour in it': (change(encoding='rgb8', step=192), 'BAD_MASK', 'rgb8'),
    'depth in it': (change(encoding='16UC1'), 'BAD_MASK', '16UC1'),
    'step below a row': (change(step=10), 'BAD_MASK', 'step of'),
    'data cut': (cut, 'BAD_MASK', 'got 100'),
    'no data': (change(data=array.array('B')), 'BAD_MASK', 'got 0'),
    'no size': (change(width=0, height=0), 'BAD_MASK', 'got 0x0'),
    'absurd size': (change(width=2**32 - 1), 'BAD_MASK', 'got 4294967295x'),
    'another shape': (change(width=20, height=20, step=64), 'BAD_MASK', '20x20'),
    'zero stamps': (unstamped, 'NO_MASK', '/mask/image'),
    'stamps apart': (apart, 'NO_MASK', '/mask/image'),
}


@pytest.mark.parametrize('fault', MASKS)
def test_a_mask_that_is_broken(masked, fault):
    broken, code, word = MASKS[fault]
    graph = masked.graph
    masks = graph.node.create_publisher(Image, '/mask/image', 10)
    graph.until(masks.get_subscription_count, 'the node to listen to masks')

    def send() -> None:
        mask = Image(header=masked.camera.header(), width=64, height=48, step=64, encoding='mono8')
        mask.data = array.array('B', bytes(64 * 48))
        broken(mask)
        masks.publish(mask)
        masked.send()

    masked.expect(send, code, word)
    graph.node.destroy_publisher(masks)
    masked.recover()


def test_a_start_without_clock_camera_and_with_a_misspelt_parameter(tmp_path):
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    values = (f'model:={model}', 'use_sim_time:=true', 'min_dpth:=0.3', 'diagnostics_period:=0.1')
    given = [text for value in values for text in ('-p', value)]
    with running(NODE, tmp_path, *given) as (process, graph):
        patient = Patient(process, graph)
        patient.expect(lambda: None, 'UNKNOWN_PARAMETER', 'is it min_depth?', name='engine')
        patient.expect(lambda: None, 'NO_CLOCK', 'has arrived on /clock', name='engine')
        patient.expect(lambda: None, 'NO_IMAGES', '/rgb/image')
        patient.expect(lambda: patient.send(rgb=held), 'NO_RGB', '/rgb/image')
        # The stamps are not compared with a time that there is not.
        graph.repeat(patient.send, lambda: patient.depth, 'depth without a clock')
        assert patient.values('camera')['latency p50 [ms]'] == 'unknown'
        assert 'FOREIGN_CLOCK' not in process.log and process.end() == 0


def test_every_condition_of_inputs_and_requests_is_expected_here():
    elsewhere = {
        # test_faults.py, test_lifecycle.py, engines/test_keeper.py
        *('ENGINE_FAILED', 'ENGINE_DEGRADED', 'TRANSITION_FAILED', 'FRAME_LOST'),
        # nodes/test_input_monitor.py, nodes/test_inputs.py
        *('NO_DEPTH', 'UNALIGNED_DEPTH', 'NO_TRANSFORMS', 'INPUT_QOS'),
    }
    named = set(re.findall("'([A-Z_]+)'", Path(__file__).read_text(encoding='utf-8')))
    assert CONDITIONS.keys() - elsewhere <= named
