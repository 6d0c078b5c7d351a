# SPDX-License-Identifier: Apache-2.0
"""Manifest folders: what is read is what lies there, and every fault is named."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from magadepth_ros.errors import DataError
from magadepth_ros.manifest import read_manifest
from magadepth_ros.pictures import read_depth, read_rgb, to_millimetres, write_depth_png

DEPTH = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16) * 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rgb = np.zeros((12, 16, 3), np.uint8)
    rgb[..., 0] = 200
    cv2.imwrite(str(tmp_path / '0007.rgb.png'), rgb[..., ::-1])
    cv2.imwrite(str(tmp_path / '0007.depth.png'), DEPTH)
    cv2.imwrite(str(tmp_path / '0007.target.png'), DEPTH + 1)
    cv2.imwrite(str(tmp_path / '0007.score.png'), np.full((12, 16), 2, np.uint8))
    write(tmp_path, {'rgb': '0007.rgb.png', 'depth': '0007.depth.png'})
    return tmp_path


def write(folder: Path, *frames: dict, **fields: object) -> None:
    content = {'name': 'set', 'depth_scale': 0.001, 'frames': list(frames), **fields}
    (folder / 'manifest.json').write_text(
        json.dumps({k: v for k, v in content.items() if v is not None})
    )


def test_frame_gives_rgb_order_and_metres(folder: Path) -> None:
    (frame,) = read_manifest(folder).frames
    data = frame.load()
    assert frame.stem == '0007'
    assert data.rgb.dtype == np.uint8 and tuple(data.rgb[0, 0]) == (200, 0, 0)
    assert data.depth.dtype == np.float32 and data.depth[0, 0] == 0
    np.testing.assert_allclose(data.depth, DEPTH / 1000, atol=1e-6)
    assert data.target is None and data.score is None and frame.K is None


def test_optional_fields_and_depth_scale(folder: Path) -> None:
    entry: dict[str, object] = {'rgb': '0007.rgb.png', 'depth': '0007.depth.png'}
    entry |= {'target': '0007.target.png', 'score': '0007.score.png'}
    entry |= {'K': [525, 526, 319.5, 239.5], 'sensor': 'ToF'}
    write(folder, entry, depth_scale=0.0002)
    (frame,) = read_manifest(folder / 'manifest.json').frames
    data = frame.load()
    np.testing.assert_allclose(data.target, (DEPTH + 1) * 0.0002, atol=1e-6)
    assert data.score is not None and data.score.max() == 2
    assert frame.K == (525, 526, 319.5, 239.5) and frame.sensor == 'ToF'


def test_stem_keeps_sub_folder_and_stays_inside(folder: Path) -> None:
    (folder / 'rgb').mkdir()
    (folder / 'rgb' / '1.5.png').write_bytes((folder / '0007.rgb.png').read_bytes())
    write(
        folder,
        {'rgb': 'rgb/1.5.png', 'depth': '0007.depth.png'},
        {'rgb': 'rgb/../0007.rgb.png', 'depth': '0007.depth.png'},
        {'rgb': 'rgb/1.5.png', 'depth': '0007.depth.png'},
    )
    manifest = read_manifest(folder)
    assert [frame.stem for frame in manifest.frames] == ['rgb/1', 'rgb/0007', 'rgb/1']
    with pytest.raises(DataError, match=r'both be written as rgb/1\.png'):
        manifest.require_unique_stems()


def test_missing_folder_and_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no such folder'):
        read_manifest(tmp_path / 'absent')
    with pytest.raises(DataError, match=r'expected a manifest\.json'):
        read_manifest(tmp_path)
    (tmp_path / 'manifest.json').write_text('{"frames": [')
    with pytest.raises(DataError, match='JSON'):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ('frames', 'fields', 'message'),
    [
        ([], {}, 'empty'),
        ([{'rgb': '0007.rgb.png', 'depth': '0007.depth.png'}], {'depth_scale': None}, 'scale'),
        ([{'rgb': '0007.rgb.png', 'depth': '0007.depth.png'}], {'depth_scale': 0}, 'scale'),
        ([{'rgb': '0007.rgb.png', 'depth': 'gone.png'}], {}, r'gone\.png'),
        ([{'rgb': 'a' * 300, 'depth': '0007.depth.png'}], {}, 'which is not in'),
        ([{'rgb': '0007.rgb.png'}], {}, '"depth"'),
        ([{'rgb': '0007.rgb.png', 'depth': '0007.depth.png', 'K': [1, 2]}], {}, 'fx, fy'),
        (['0007'], {}, 'frame 0'),
    ],
)
def test_faulty_manifest_is_named(folder: Path, frames: list, fields: dict, message: str) -> None:
    write(folder, *frames, **fields)
    with pytest.raises(DataError, match=message):
        read_manifest(folder)


def test_sizes_must_agree(folder: Path) -> None:
    cv2.imwrite(str(folder / '0007.depth.png'), DEPTH[:6])
    with pytest.raises(DataError, match='16x6 differs from 16x12'):
        read_manifest(folder).frames[0].load()


def test_eight_bit_and_colour_depth_are_refused(folder: Path) -> None:
    path = folder / '0007.depth.png'
    cv2.imwrite(str(path), DEPTH.astype(np.uint8))
    with pytest.raises(DataError, match='8-bit'):
        read_depth(path)
    cv2.imwrite(str(path), np.repeat(DEPTH[..., None], 3, 2))
    with pytest.raises(DataError, match='with 3'):
        read_depth(path)


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_cut_or_damaged_picture_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'a.{suffix}'
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    cv2.imwrite(str(path), image)
    whole = path.read_bytes()
    assert read_rgb(path).shape == (64, 64, 3)
    for cut in (0, 4, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match='not a whole picture'):
            read_rgb(path)
    if suffix == 'png':
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
        with pytest.raises(DataError, match='damaged'):
            read_rgb(path)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_millimetres_round_and_do_not_wrap(dtype: type) -> None:
    depth = np.array([[0.0004, 0.0006, 65.534, 65.535, 70, np.inf, np.nan, -1]], dtype)
    assert to_millimetres(depth).tolist() == [[0, 1, 65534, 0, 0, 0, 0, 0]]
    assert np.isnan(depth[0, 6]) and depth[0, 4] == 70


def test_written_depth_comes_back_and_unknown_is_zero(tmp_path: Path) -> None:
    depth = np.array([[1.2344, 1.2346, np.nan, np.inf, -1, 70, 65.534, 0]])
    path = tmp_path / 'new' / 'a.png'
    write_depth_png(path, depth)
    expected = [[1.234, 1.235, 0, 0, 0, 0, 65.534, 0]]
    np.testing.assert_allclose(read_depth(path), expected, atol=1e-5)
    np.testing.assert_allclose(read_depth(path, 0.0001), np.divide(expected, 10), atol=1e-6)
    assert list(path.parent.iterdir()) == [path]
