# SPDX-License-Identifier: Apache-2.0
"""CameraInfo: what is refused, and cameras that follow the image to another size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.errors import DataError
from magadepth_ros.messages.camera_info import camera_info, camera_model, info_of

CAMERA = CameraModel(640, 480, 600.0, 610.0, 321.5, 238.25, 'plumb_bob')
SMALL = CameraModel(64, 48, 60.0, 60.0, 31.5, 23.5)


@pytest.mark.parametrize(
    'camera',
    [
        CAMERA,
        replace(CAMERA, distortion=(-0.3, 0.1, 0.001, 0.0, 0.02)),
        replace(CAMERA, distortion_model='equidistant', distortion=(0.02, -0.01, 0.004, -0.001)),
    ],
)
def test_a_camera_goes_out_and_comes_back(camera):
    message = info_of(Header(frame_id='f'), camera)

    assert camera_model(message) == camera
    assert list(message.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_a_fisheye_without_coefficients_stays_one():
    message = info_of(Header(), replace(CAMERA, distortion_model='equidistant'))
    message.d = [0.0] * 4

    assert camera_model(message).distorted


@settings(max_examples=100, deadline=None)
@given(
    factor=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    x=st.floats(-2, 2),
    y=st.floats(-2, 2),
    z=st.floats(0.2, 8),
)
def test_a_point_stays_on_its_pixel_when_the_image_is_scaled(factor, x, y, z):
    small = CAMERA.scaled(round(640 * factor), round(480 * factor))
    u, v, _ = CAMERA.matrix @ [x / z, y / z, 1]
    us, vs, _ = small.matrix @ [x / z, y / z, 1]
    # The edge of the image, not the centre of its first pixel, is where sizes scale from.
    assert us + 0.5 == pytest.approx((u + 0.5) * factor)
    assert vs + 0.5 == pytest.approx((v + 0.5) * factor)


def test_the_outgoing_message_keeps_distortion_and_scales_both_matrices():
    source = info_of(Header(), CAMERA)
    source.d = [0.1, -0.2, 0.0, 0.0, 0.0]
    header = Header(frame_id='camera_color_optical_frame')
    same = camera_info(header, source, 640, 480)
    assert (same.header.frame_id, list(same.k)) == ('camera_color_optical_frame', list(source.k))
    assert source.header.frame_id == ''
    half = camera_info(header, source, 320, 240)
    assert (half.width, half.height) == (320, 240)
    assert list(half.d) == list(source.d)
    np.testing.assert_allclose(np.reshape(half.p, (3, 4))[:, :3], np.reshape(half.k, (3, 3)))
    assert (source.width, source.k[0]) == (640, 600.0)


def test_what_is_in_k_and_p_is_not_said_again():
    source = info_of(Header(), CAMERA)
    source.binning_x = source.binning_y = 2
    source.roi = RegionOfInterest(x_offset=100, y_offset=60, width=400, height=300)

    part = camera_info(Header(), source, 200, 150)
    squeezed = camera_info(Header(), source, 200, 100)
    whole = camera_info(Header(), source, 640, 480)

    assert (whole.binning_x, whole.binning_y, whole.roi) == (2, 2, source.roi)
    k = [300.0, 0, 222 / 2 - 0.5, 0, 610 / 3, 178.75 / 3 - 0.5, 0, 0, 1]
    assert squeezed.k == pytest.approx(k)
    assert np.reshape(squeezed.p, (3, 4))[:, :3].ravel() == pytest.approx(k)
    assert (part.width, part.height, part.binning_x, part.roi.width) == (200, 150, 0, 0)
    assert part.k[0] == part.p[0] == 300.0
    u, _, _ = np.reshape(part.k, (3, 3)) @ [0.1, 0.0, 1.0]
    assert u + 0.5 == pytest.approx((600 * 0.1 + 321.5 - 100 + 0.5) / 2)
    assert (source.binning_x, source.roi.width) == (2, 400)


def test_messages_of_bags_follow_the_image_as_those_of_ros_do():
    bags = pytest.importorskip('support.bags', reason='makes messages as bags have them')
    source, ours = bags.camera_info(0, 'a', CAMERA), info_of(Header(), CAMERA)
    for msg in (source, ours):
        msg.binning_x, msg.roi.width, msg.roi.height, msg.roi.do_rectify = 2, 400, 300, True

    header = bags.header(5, 'b')
    half, expected = camera_info(header, source, 200, 150), camera_info(Header(), ours, 200, 150)

    assert half.header is header and source.header.frame_id == 'a'
    np.testing.assert_array_equal(half.k, expected.k)
    np.testing.assert_array_equal(half.p, expected.p)
    for msg in (half, expected):
        assert (msg.width, msg.height, msg.binning_x, msg.binning_y) == (200, 150, 0, 0)
        assert (msg.roi.width, msg.roi.height, msg.roi.do_rectify) == (0, 0, True)
    assert bags.STORE.serialize_cdr(half, half.__msgtype__)
    assert (source.width, source.binning_x, source.roi.width) == (640, 2, 400)
    source.width = 0
    assert camera_info(header, source, 200, 150).width == 0


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ({'width': 0}, 'the image size is 0x480'),
        ({'k': np.zeros(9)}, 'not calibrated'),
        ({'k': np.full(9, np.nan)}, 'not calibrated'),
        ({'distortion_model': 'spherical'}, 'spherical'),
    ],
)
def test_what_cannot_be_used_is_named(change, says):
    msg = info_of(Header(), CAMERA)
    for name, value in change.items():
        setattr(msg, name, value)
    with pytest.raises(DataError, match=says):
        camera_model(msg)


def test_another_shape_of_image_is_refused():
    with pytest.raises(DataError, match=r'640x480.*1280x720'):
        CAMERA.scaled(1280, 720)
    assert CAMERA.scaled(320, 241).size == (320, 241)
    with pytest.raises(DataError, match='64x48, the image is 64x24'):
        camera_model(info_of(Header(), SMALL), '/c/image_raw', (64, 24))


def test_rectified_images_are_described_by_p_without_distortion():
    message = info_of(Header(), SMALL)
    message.distortion_model, message.d = 'fov', [0.9]
    message.p = [50.0, 0, 31.0, 0, 0, 51.0, 23.0, 0, 0, 0, 1, 0]
    for topic in (
        '/d/image_rect_raw',
        '/zed/rgb/color/rect/image',
        '/k/image_color_rect',
        '/k/image_rect/compressed',
        '/k/image_rectified',
        '/left/rectified/image',
        '/left_rect',
    ):
        camera = camera_model(message, topic)
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50.0, 51.0, 31.0, 23.0)
        assert not camera.distorted
    with pytest.raises(DataError, match='fov'):
        camera_model(message, '/d/image_raw')
    message.p = np.zeros(12)
    with pytest.raises(DataError, match='fov'):
        camera_model(message, '/d/image_rect')
    assert not np.any(camera_info(Header(), message, 32, 24).p)


@pytest.mark.parametrize(
    ('part', 'size', 'expected'),
    [
        ((0, 0, 0, 0), (32, 24), (30.0, 15.5, 11.5)),
        ((16, 12, 32, 24), (32, 24), (60.0, 15.5, 11.5)),
        ((20, 4, 32, 24), (16, 12), (30.0, 5.5, 9.5)),
        ((16, 12, 32, 0), (32, 24), (30.0, 15.5, 11.5)),
        # A driver that names a part and sends the whole.
        ((20, 4, 32, 24), (64, 48), (60.0, 31.5, 23.5)),
    ],
)
def test_binning_and_a_region_of_interest_move_the_rays(part, size, expected):
    message = info_of(Header(), SMALL)
    left, top, width, height = part
    message.roi = RegionOfInterest(x_offset=left, y_offset=top, width=width, height=height)

    camera = camera_model(message, '/c/image_raw', size)

    assert (camera.fx, camera.cx, camera.cy) == expected and camera.size == size


@settings(max_examples=100, deadline=None)
@given(
    width=st.integers(0, 2**32 - 1),
    height=st.integers(0, 2**32 - 1),
    k=st.just(CAMERA.matrix.ravel()) | st.lists(st.floats(), min_size=9, max_size=9),
    d=st.lists(st.floats(), max_size=12),
)
def test_any_message_is_read_or_refused(width, height, k, d):
    msg = CameraInfo(width=width, height=height, k=k, d=d)
    try:
        camera = camera_model(msg)
    except DataError:
        return
    assert np.isfinite([*camera.matrix.ravel(), *camera.distortion]).all()
