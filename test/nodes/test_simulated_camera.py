# SPDX-License-Identifier: Apache-2.0
"""The simulated camera's film: rendered, or from a manifest folder fitted to the wanted size."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from magadepth_ros.errors import DataError
from magadepth_ros.messages.camera_info import Intrinsics, intrinsics
from magadepth_ros.messages.images import image_to_depth, image_to_rgb
from magadepth_ros.nodes.simulated_camera import _fitted, film


@pytest.fixture
def folder(tmp_path):
    """Write a manifest of two frames of 80x60 with known pixels."""
    frames = []
    for number in range(2):
        rgb = np.full((60, 80, 3), (10, 20, 200 + number), np.uint8)
        depth = np.full((60, 80), 1500 + number, np.uint16)
        depth[:30] = 0
        names = {'rgb': f'{number}.rgb.png', 'depth': f'{number}.depth.png'}
        cv2.imwrite(str(tmp_path / names['rgb']), rgb[..., ::-1])
        cv2.imwrite(str(tmp_path / names['depth']), depth)
        frames.append({**names, 'K': [70.0, 70.0, 39.5, 29.5], 'sensor': 'test', 'scene': 'test'})
    manifest = {
        'name': 'test',
        'depth_scale': 0.001,
        'protocol': 'none',
        'licence': 'none',
        'frames': frames,
    }
    (tmp_path / 'manifest.json').write_text(json.dumps(manifest))
    return tmp_path


def test_a_manifest_becomes_messages_of_the_wanted_size(folder):
    shots = film(str(folder), 40, 30, 0, 0, 'optical')
    assert len(shots) == 2
    for number, shot in enumerate(shots):
        assert (shot.rgb.width, shot.rgb.height, shot.rgb.header.frame_id) == (40, 30, 'optical')
        np.testing.assert_array_equal(image_to_rgb(shot.rgb)[5, 5], (10, 20, 200 + number))
        depth = image_to_depth(shot.depth)
        # Holes stay holes and metres stay metres: nothing is mixed on the way.
        np.testing.assert_allclose(np.unique(depth), [0, 1.5 + number / 1000], rtol=1e-6)
        camera = intrinsics(shot.info)
        assert (camera.fx, camera.cx, camera.width) == (35.0, 19.5, 40)
    assert len(film(str(folder), 40, 30, 1, 0, 'optical')) == 1


def test_another_shape_takes_the_middle_and_points_stay_on_their_rays():
    camera = Intrinsics(100.0, 100.0, 70.0, 50.0, 160, 120)
    depth = np.zeros((120, 160), np.float32)
    depth[60, 100] = 2.0
    rgb = np.zeros((120, 160, 3), np.uint8)
    _, out, fitted = _fitted(rgb, depth, camera, 320, 180)
    rows, columns = np.nonzero(out)
    assert len(rows) > 0
    for row, column in zip(rows, columns, strict=True):
        ray = (column - fitted.cx) / fitted.fx, (row - fitted.cy) / fitted.fy
        # Within the pixel that it was: half of one at the old size.
        assert ray[0] == pytest.approx(30 / 100, abs=0.5 / 100)
        assert ray[1] == pytest.approx(10 / 100, abs=0.5 / 100)


def test_the_rendered_room_has_holes_and_measured_depth():
    shots = film('', 96, 72, 2, 3, 'optical')
    assert len(shots) == 2
    depth = image_to_depth(shots[0].depth)
    assert 0.02 < np.mean(depth == 0) < 0.8
    assert 0.1 < depth[depth > 0].min() < depth.max() < 20


def test_a_folder_without_a_manifest_is_named(tmp_path):
    with pytest.raises(DataError, match=r'manifest\.json'):
        film(str(tmp_path), 40, 30, 0, 0, 'optical')
