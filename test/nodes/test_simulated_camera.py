# SPDX-License-Identifier: Apache-2.0
"""What the simulated camera plays: rendered frames, or those of a folder fitted to its size."""

from __future__ import annotations

import json
from itertools import islice

import cv2
import numpy as np
import pytest

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import DataError
from magadepth_ros.messages.camera_info import camera_model
from magadepth_ros.messages.compressed import compressed_to_depth, compressed_to_rgb
from magadepth_ros.messages.images import image_to_depth, image_to_rgb
from magadepth_ros.nodes.camera_playback import (
    DEPTH_ENCODINGS,
    RGB_ENCODINGS,
    PlaybackSettings,
    _fitted,
    playback,
)


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


def shots_of(source, wanted: int, *, width=40, height=30, **settings):
    endless, _ = playback(
        str(source), PlaybackSettings(width, height, frame_id='optical', **settings)
    )
    return list(islice(endless, wanted))


def test_a_manifest_becomes_messages_of_the_wanted_size_and_starts_again(folder):
    shots = shots_of(folder, 3)
    assert shots[2] is shots[0]
    shots.pop()
    for number, shot in enumerate(shots):
        assert (shot.rgb.width, shot.rgb.height, shot.rgb.header.frame_id) == (40, 30, 'optical')
        np.testing.assert_array_equal(image_to_rgb(shot.rgb)[5, 5], (10, 20, 200 + number))
        depth = image_to_depth(shot.depth)
        # Holes stay holes and metres stay metres: nothing is mixed on the way.
        np.testing.assert_allclose(np.unique(depth), [0, 1.5 + number / 1000], rtol=1e-6)
        camera = camera_model(shot.info)
        assert (camera.fx, camera.cx, camera.width) == (35.0, 19.5, 40)
    shots = shots_of(folder, 2, count=1)
    assert shots[0] is shots[1]


@pytest.mark.parametrize('rgb_encoding', RGB_ENCODINGS)
@pytest.mark.parametrize('depth_encoding', DEPTH_ENCODINGS)
def test_every_encoding_says_the_same(folder, rgb_encoding, depth_encoding):
    plain = shots_of(folder, 1)[0]
    shot = shots_of(folder, 1, rgb_encoding=rgb_encoding, depth_encoding=depth_encoding)[0]
    assert (shot.rgb.encoding, shot.depth.encoding) == (rgb_encoding, depth_encoding)
    expected = image_to_rgb(plain.rgb).astype(int)
    if rgb_encoding == 'mono8':
        expected = np.repeat(expected.mean(axis=-1, keepdims=True), 3, axis=-1)
    assert np.abs(image_to_rgb(shot.rgb) - expected).max() <= (45 if 'mono' in rgb_encoding else 0)
    depth = np.nan_to_num(image_to_depth(shot.depth))
    np.testing.assert_allclose(depth, image_to_depth(plain.depth), atol=1e-6)
    rgb, small = shot.compressed()
    np.testing.assert_allclose(np.nan_to_num(compressed_to_depth(small)), depth, rtol=0.002)
    assert np.abs(compressed_to_rgb(rgb).astype(int) - image_to_rgb(plain.rgb)).max() < 12


def test_a_bag_is_played_again_and_again(tmp_path):
    bags = pytest.importorskip('support.bags', reason='reads bags')
    camera = CameraModel(80, 60, 70.0, 70.0, 39.5, 29.5)
    messages = []
    for index in range(2):
        stamp = bags.START + index * 33_000_000
        rgb = np.full((60, 80, 3), 50 + index, np.uint8)
        depth = np.full((60, 80), 1000 + index, np.uint16)
        messages += [
            ('/c/color/image_raw', bags.image(stamp, 'optical', rgb, 'rgb8')),
            ('/c/aligned_depth/image_raw', bags.image(stamp, 'optical', depth, '16UC1')),
            ('/c/color/camera_info', bags.camera_info(stamp, 'optical', camera)),
        ]
    shots = shots_of(bags.write_bag(tmp_path / 'bag', messages), 5)
    assert [int(image_to_rgb(s.rgb)[0, 0, 0]) for s in shots] == [50, 51, 50, 51, 50]
    assert [round(float(image_to_depth(s.depth)[0, 0]), 3) for s in shots[:2]] == [1.0, 1.001]
    assert camera_model(shots[0].info).fx == 35.0


def test_another_shape_takes_the_middle_and_points_stay_on_their_rays():
    camera = CameraModel(160, 120, 100.0, 100.0, 70.0, 50.0)
    depth = np.zeros((120, 160), np.float32)
    depth[60, 100] = 2.0
    rgb = np.zeros((120, 160, 3), np.uint8)
    out = _fitted(RgbdFrame(rgb, depth, camera), PlaybackSettings(320, 180))
    fitted, out = out.camera, out.depth
    rows, columns = np.nonzero(out)
    assert len(rows) > 0
    for row, column in zip(rows, columns, strict=True):
        ray = (column - fitted.cx) / fitted.fx, (row - fitted.cy) / fitted.fy
        # Within the pixel that it was: half of one at the old size.
        assert ray[0] == pytest.approx(30 / 100, abs=0.5 / 100)
        assert ray[1] == pytest.approx(10 / 100, abs=0.5 / 100)


@pytest.mark.parametrize('lens', [(), ('plumb_bob', (-0.3, 0.1, 0.0, 0.0, 0.0))])
def test_fitting_keeps_the_lens_and_the_place_of_depth(lens):
    camera = CameraModel(640, 480, 500.0, 500.0, 319.5, 239.5, *lens)
    columns = np.tile(np.arange(640, dtype=np.float32), (480, 1))

    frame = RgbdFrame(np.zeros((480, 640, 3), np.uint8), columns, camera)
    frame = _fitted(frame, PlaybackSettings(128, 96))
    fitted, depth = frame.camera, frame.depth

    assert (fitted.distortion_model, fitted.distortion) == (
        camera.distortion_model,
        camera.distortion,
    )
    seen_at = (depth - camera.cx) / camera.fx
    expected = (np.arange(128) - fitted.cx) / fitted.fx
    assert (seen_at - expected).mean() * fitted.fx == pytest.approx(0.0, abs=0.01)


def test_the_rendered_room_has_holes_and_measured_depth():
    shots = shots_of('', 2, width=96, height=72, count=2, seed=3)
    depth = image_to_depth(shots[0].depth)
    assert 0.02 < np.mean(depth == 0) < 0.8
    assert 0.1 < depth[depth > 0].min() < depth.max() < 20


def test_a_folder_without_a_manifest_is_named(tmp_path):
    with pytest.raises(DataError, match=r'manifest\.json'):
        shots_of(tmp_path, 1)


def test_a_broken_bag_is_named(tmp_path):
    pytest.importorskip('rosbags', reason='reads bags')
    (tmp_path / 'x.mcap').write_bytes(b'no bag')
    with pytest.raises(DataError, match=r'x\.mcap'):
        shots_of(tmp_path / 'x.mcap', 1)
