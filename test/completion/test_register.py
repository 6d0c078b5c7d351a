# SPDX-License-Identifier: Apache-2.0
"""Registration against a rendered scene whose depth is known from both viewpoints."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.views import transform, two_views

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.project import CloudProjector
from magadepth_ros.completion.register import Registrar
from magadepth_ros.errors import DataError

RADIAL = {
    '': (),
    'plumb_bob': (0.12, -0.21, 0.001, -0.0007, 0.08),
    'rational_polynomial': (0.5, -2.6, 0.0004, -0.0003, 1.5, 0.38, -2.4, 1.4),
    'equidistant': (0.02, -0.01, 0.004, -0.001),
}
THIN_PRISM = (*RADIAL['rational_polynomial'], 0.02, -0.01, -0.015, 0.03)


@pytest.mark.parametrize('size', [(320, 240), (640, 480), (400, 225)])
@pytest.mark.parametrize('move', [(0.0, (0.0, 0.0, 0.0)), (2.0, (0.05, -0.01, 0.004))])
def test_registered_depth_is_what_the_colour_camera_would_measure(size, move):
    extrinsics = transform(*move)
    depth_camera, colour_camera, depth, truth = two_views(size, extrinsics)
    registered = Registrar(depth_camera, colour_camera, extrinsics).register(depth)
    known = registered > 0
    # Every truth within half a pixel counts as right: what a depth edge moves by is a pixel error.
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(truth, kernel), cv2.dilate(truth, kernel)
    error = np.maximum(np.maximum(low - registered, registered - high), 0)[known]
    assert known.mean() > 0.75
    assert np.quantile(error, 0.97) < 0.005
    flat = known & (high - low < 0.004)
    off = np.abs(registered - truth)
    print(
        f'{size} {move}: {known.mean():.1%} covered; error {np.median(off[flat]) * 1e3:.2f} mm '
        f'median, {np.quantile(off[flat], 0.99) * 1e3:.2f} mm p99 on flat parts; '
        f'{(error < 0.005).mean():.2%} within 5 mm of the truth less than a pixel away'
    )
    assert np.median(np.abs(registered - truth)[flat]) < 0.002
    assert np.quantile(np.abs(registered - truth)[flat], 0.99) < 0.005


def test_nearest_surface_wins_and_hides_what_is_behind():
    camera = CameraModel(64, 48, 60.0, 60.0, 31.5, 23.5)
    depth = np.full((48, 64), 3.0, np.float32)
    depth[16:32, 24:40] = 1.0
    registered = Registrar(camera, camera, transform(0.0, (0.1, 0.0, 0.0))).register(depth)
    # At 1 m the shift is 6 px, at 3 m it is 2 px.
    assert (registered[17:31, 31:45] == 1.0).all()
    assert (registered[17:31, 27:29] == 0.0).all()
    assert registered[5, 30] == 3.0


def test_the_nearest_of_many_points_wins_wherever_it_lies():
    wide = CameraModel(64, 48, 60.0, 60.0, 31.5, 23.5)
    coarse = CameraModel(16, 12, 15.0, 15.0, 7.5, 5.5)
    depth = np.random.default_rng(0).permutation(np.linspace(1, 3, 48 * 64, dtype=np.float32))
    depth = depth.reshape(48, 64)

    registered = Registrar(wide, coarse, np.eye(4)).register(depth)

    assert np.array_equal(registered, depth.reshape(12, 4, 16, 4).min((1, 3)))


def test_what_lies_behind_the_colour_camera_is_not_seen():
    camera = CameraModel(64, 48, 60.0, 60.0, 31.5, 23.5)
    depth = np.full((48, 64), 2.0, np.float32)

    assert not Registrar(camera, camera, transform(0.0, (0.0, 0.0, -3.0))).register(depth).any()


def test_pixels_that_are_not_square_leave_no_gaps():
    depth_camera = CameraModel(32, 48, 30.0, 60.0, 15.5, 23.5)
    colour_camera = CameraModel(96, 192, 90.0, 240.0, 47.5, 95.5)
    depth = np.full((48, 32), 2.0, np.float32)

    registered = Registrar(depth_camera, colour_camera, np.eye(4)).register(depth)

    assert (registered[2:-2, 1:-1] == 2.0).all()


@pytest.mark.parametrize('scale', [1, 2, 3])
@pytest.mark.parametrize('axis', [(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize(('turn', 'ahead'), [(0, 0.04), (1, 0.0), (6, 0.0), (10, 0.04)])
def test_a_coarse_turned_or_farther_depth_camera_leaves_no_gaps(turn, axis, ahead, scale):
    depth_camera = CameraModel(160, 120, 110.0, 110.0, 79.5, 59.5)
    colour_camera = depth_camera.scaled(160 * scale, 120 * scale)
    extrinsics = np.eye(4)
    extrinsics[:3, :3] = cv2.Rodrigues(np.deg2rad(turn) * np.array(axis))[0]
    extrinsics[:3, 3] = (-0.03, 0.0, -ahead)
    # A wall 0.6 m in front of the colour camera.
    x, y = depth_camera.rays()
    plane = extrinsics[2, :3]
    depth = ((0.6 + ahead) / (plane[0] * x + plane[1] * y + plane[2])).astype(np.float32)

    registered = Registrar(depth_camera, colour_camera, extrinsics).register(depth)

    # Near the middle every turn shows the wall.
    rows, columns = np.mgrid[: 120 * scale, : 160 * scale]
    seen = np.hypot(rows / scale - 60, columns / scale - 80) < 35
    assert (registered[seen] > 0).mean() > 0.999
    assert registered[seen & (registered > 0)] == pytest.approx(0.6, abs=1e-4)


@pytest.mark.parametrize('coefficients', [(), (0.0,) * 4])
def test_a_fisheye_without_coefficients_is_one(coefficients):
    camera = CameraModel(640, 480, 286.0, 286.0, 319.5, 239.5, 'equidistant', coefficients)

    x, y = camera.rays()

    angle = (619 - 319.5) / 286.0
    assert x[239, 619] / np.hypot(1, y[239, 619]) == pytest.approx(np.tan(angle), rel=1e-3)
    u, v = camera.project(x, y)
    rows, columns = np.mgrid[:480, :640]
    seen = np.isfinite(x)
    assert seen.mean() > 0.9
    assert np.abs(np.hypot(u - columns, v - rows))[seen].max() < 0.05


@pytest.mark.parametrize('model', list(RADIAL))
def test_projection_undoes_the_rays_for_each_distortion(model):
    camera = CameraModel(160, 120, 130.0, 131.0, 80.2, 58.9, model, RADIAL[model])
    u, v = camera.project(*camera.rays())
    columns, rows = np.meshgrid(np.arange(160), np.arange(120))
    assert np.abs(u - columns).max() < 0.02 and np.abs(v - rows).max() < 0.02


@pytest.mark.parametrize(
    ('model', 'coefficients'),
    [
        *list(RADIAL.items())[1:],
        ('plumb_bob', (0.0, -0.2, 0.0, 0.0)),
        ('rational_polynomial', THIN_PRISM),
        ('rational_polynomial', (*THIN_PRISM, 0.0, 0.0)),
    ],
)
def test_projection_agrees_with_opencv(model, coefficients):
    camera = CameraModel(640, 480, 500.0, 505.0, 320.0, 240.0, model, coefficients)
    points = np.random.default_rng(0).uniform([-0.5, -0.4, 1], [0.5, 0.4, 1], (50, 3))
    project = cv2.fisheye.projectPoints if model == 'equidistant' else cv2.projectPoints
    zero = np.zeros(3)
    if model == 'equidistant':
        expected = project(points[None], zero, zero, camera.matrix, np.array(camera.distortion))[0]
    else:
        expected = project(points, zero, zero, camera.matrix, np.array(camera.distortion))[0]
    u, v = camera.project(points[:, 0], points[:, 1])
    assert np.stack([u, v], axis=1) == pytest.approx(expected.reshape(-1, 2), abs=0.01)


@pytest.mark.parametrize('size', [(160, 120), (320, 240)])
@pytest.mark.parametrize('model', list(RADIAL))
def test_a_point_lands_within_half_a_pixel_of_where_opencv_projects_it(model, size):
    scale = size[0] / 160
    depth_camera = CameraModel(160, 120, 130.0, 130.0, 79.5, 59.5, model, RADIAL[model])
    width, height = size
    focal = 140.0 * scale
    cx, cy = (width - 1) / 2, (height - 1) / 2
    colour_camera = CameraModel(width, height, focal, focal, cx, cy, model, RADIAL[model])
    extrinsics = transform(1.5, (0.05, -0.01, 0.004))
    registrar = Registrar(depth_camera, colour_camera, extrinsics)
    zero, rng = np.zeros(3), np.random.default_rng(1)
    project = cv2.fisheye.projectPoints if model == 'equidistant' else cv2.projectPoints
    coefficients = np.array(RADIAL[model] or (0.0,) * 4)
    rays = depth_camera.rays()
    errors = []
    for row, column, z in zip(
        rng.integers(30, 90, 40), rng.integers(40, 120, 40), rng.uniform(0.8, 5, 40), strict=True
    ):
        depth = np.zeros((120, 160), np.float32)
        depth[row, column] = z
        point = np.array([rays[0][row, column], rays[1][row, column], 1.0, 1 / z]) * z
        seen = (extrinsics @ point)[None, None, :3]
        expected = project(seen, zero, zero, colour_camera.matrix, coefficients)[0].ravel()
        registered = registrar.register(depth)
        rows, columns = np.nonzero(registered)
        errors.append(np.abs([columns.mean() - expected[0], rows.mean() - expected[1]]).max())
        assert registered.max() == pytest.approx(seen[0, 0, 2], abs=1e-4)
    print(f'{model or "pinhole"} {size}: {np.median(errors):.2f} px median, {max(errors):.2f} max')
    assert max(errors) < 0.5


@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial', 'equidistant'])
def test_a_wall_stays_a_wall_through_distortion(model):
    depth_camera = CameraModel(160, 120, 130.0, 130.0, 79.5, 59.5, model, RADIAL[model])
    colour_camera = CameraModel(160, 120, 140.0, 140.0, 79.5, 59.5)
    depth = np.full((120, 160), 2.0, np.float32)
    shift = transform(0.0, (0.02, 0.0, 0.1))
    registered = Registrar(depth_camera, colour_camera, shift).register(depth)
    assert (registered > 0).mean() > 0.9
    assert registered[registered > 0] == pytest.approx(2.1, abs=1e-4)


@pytest.mark.parametrize('coefficients', [(-0.35, 0.15, 0.001, -0.0007, -0.03), (0.3, 0.2, 0, 0)])
def test_the_rays_of_a_strong_lens_are_right_in_its_corners(coefficients):
    camera = CameraModel(160, 120, 110.0, 110.0, 79.5, 59.5, 'plumb_bob', coefficients)

    u, v = camera.project(*camera.rays())

    rows, columns = np.mgrid[:120, :160]
    assert np.hypot(u - columns, v - rows).max() < 0.001


def test_a_tilted_sensor_is_refused():
    tilt = (0.0,) * 12 + (0.01, 0.0)
    camera = CameraModel(64, 48, 60.0, 60.0, 31.5, 23.5, 'rational_polynomial', tilt)

    with pytest.raises(DataError, match='tilted'):
        camera.project(*np.zeros((2, 3), np.float32))


def test_a_line_of_sight_is_seen_up_to_the_reach():
    camera = CameraModel(160, 120, 150.0, 150.0, 79.5, 59.5, 'plumb_bob', (0.12, -0.25, 0.0, 0.0))
    tangent = np.linspace(0, 2, 201, dtype=np.float32)

    for line in ((tangent, 0 * tangent), (0 * tangent, -tangent)):
        seen = np.isfinite(camera.project(*line)[0])
        assert np.array_equal(seen, tangent < camera.reach)


@pytest.mark.parametrize(
    'coefficients', [(0.12, -0.25, 0.0, 0.0), (-0.373, 0.204, 0.002, 0.001, -0.072)]
)
def test_what_a_lens_does_not_see_is_not_bent_back_into_its_picture(coefficients):
    wide = CameraModel(160, 120, 46.0, 46.0, 79.5, 59.5)
    narrow = CameraModel(160, 120, 150.0, 150.0, 79.5, 59.5, 'plumb_bob', coefficients)
    depth = np.full((120, 160), 4.0, np.float32)
    depth[:, 140:] = 1.2

    registered = Registrar(wide, narrow, np.eye(4)).register(depth)

    assert 0.5 < narrow.reach < 1.4
    assert (registered > 0).mean() > 0.5
    assert not (registered == np.float32(1.2)).any()


def test_a_fisheye_has_no_rays_behind_the_camera():
    camera = CameraModel(640, 480, 200.0, 200.0, 319.5, 239.5, 'equidistant', (1e-4, 0, 0, 0))

    x, y = camera.rays()

    v, u = np.mgrid[:480, :640]
    angle = np.hypot(u - 319.5, v - 239.5) / 200.0
    assert np.isnan(x[angle > np.pi / 2 + 0.02]).all()
    assert np.isfinite(x[angle < np.pi / 2 - 0.02]).all()
    assert (np.isnan(x) == np.isnan(y)).all()
    rgb = np.zeros((480, 640, 3), np.uint8)
    cloud = CloudProjector().project(np.full((480, 640), 2, np.float32), rgb, camera)
    assert (np.isnan(cloud[..., 2]) == np.isnan(x)).all()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 40),
    st.integers(2, 40),
    st.integers(2, 90),
    st.integers(2, 90),
    st.lists(st.sampled_from([0.0, float('nan'), float('inf'), -1.0, 0.5, 4.0]), min_size=4),
)
def test_any_depth_gives_a_depth_from_the_input_or_nothing(h, w, out_h, out_w, values):
    depth = np.resize(np.array(values, np.float32), (h, w))
    registrar = Registrar(
        CameraModel(w, h, 20.0, 20.0, w / 2, h / 2),
        CameraModel(out_w, out_h, 30.0, 30.0, out_w / 2, out_h / 2),
        np.eye(4),
    )
    registered = registrar.register(depth)
    assert registered.shape == (out_h, out_w)
    assert np.isin(registered, np.array([0.0, 0.5, 4.0], np.float32)).all()


@pytest.mark.parametrize(
    ('wrong', 'word'),
    [
        (dict(distortion_model='fov', distortion=(0.9,)), 'fov'),
        (dict(distortion_model='plumb_bob', distortion=(0.1, 0.2, 0.3)), '3 coefficients'),
        (dict(fx=0.0), 'not calibrated'),
        (dict(distortion=(0.0, 0.0, float('nan'), 0.0)), 'not calibrated'),
    ],
)
def test_what_cannot_be_handled_is_refused_by_name(wrong, word):
    values = dict(width=8, height=8, fx=5.0, fy=5.0, cx=4.0, cy=4.0) | wrong
    with pytest.raises(DataError, match=word):
        CameraModel(**values)


def test_wrong_extrinsics_and_sizes_are_refused():
    camera = CameraModel(8, 8, 5.0, 5.0, 4.0, 4.0)
    with pytest.raises(DataError, match='rigid'):
        Registrar(camera, camera, np.diag([2.0, 1.0, 1.0, 1.0]))
    with pytest.raises(DataError, match='rigid'):
        Registrar(camera, camera, np.diag([-1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(DataError, match='different streams'):
        Registrar(camera, camera, np.eye(4)).register(np.zeros((4, 4), np.float32))
