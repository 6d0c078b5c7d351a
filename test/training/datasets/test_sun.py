# SPDX-License-Identifier: Apache-2.0
"""SUN RGB-D from small files in its own layout, with rotated bits and both split files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from magadepth_ros.errors import DataError
from magadepth_training.datasets.opening import open_source
from magadepth_training.datasets.sun import SunSource, read_sun_depth

FRAMES = ('kv1/NYUdata/NYU0001', 'kv2/kinect2data/000002_2014', 'xtion/sun3ddata/hotel/h1')


def rotated(millimetres: np.ndarray) -> np.ndarray:
    """Store as the data set does: 16 bits rotated left by three."""
    wide = millimetres.astype(np.uint32)
    return (((wide << 3) | (wide >> 13)) & 0xFFFF).astype(np.uint16)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / 'SUNRGBD'
    for i, name in enumerate(FRAMES):
        folder = root / name
        truth = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30) * 10 + 500 + i
        raw = truth.copy()
        raw[3:6] = 0
        rgb = np.zeros((20, 30, 3), np.uint8)
        rgb[..., 2] = 250  # OpenCV writes BGR
        for kind, file, image in (
            ('image', f'{i}.jpg', rgb),
            ('depth', f'{i}_abs.png', rotated(raw)),
            ('depth_bfx', f'{i}_abs.png', rotated(truth)),
        ):
            (folder / kind).mkdir(parents=True)
            assert cv2.imwrite(str(folder / kind / file), image)
        (folder / 'scene.txt').write_text('office\n')
    (root / 'train.txt').write_text(f'{FRAMES[0]}\n/n/fs/sun3d/data/SUNRGBD/{FRAMES[2]}/\n')
    (root / 'test.txt').write_text(f'SUNRGBD/{FRAMES[1]}/image/1.jpg\n')
    return root


def test_frames_in_metres(root: Path) -> None:
    source = open_source(root, 'train')
    assert [s.name for s in source] == [FRAMES[0].replace('/', '_'), FRAMES[2].replace('/', '_')]
    sample = source[1]
    truth = (np.arange(20 * 30).reshape(20, 30) * 10 + 502) / 1000
    assert sample.target is not None
    np.testing.assert_allclose(sample.target, truth, atol=1e-6)
    assert (sample.depth[3:6] == 0).all()
    np.testing.assert_array_equal(sample.depth[6:], sample.target[6:])
    assert sample.scene == 'office'
    assert sample.sensor.startswith('Xtion') and sample.rgb[0, 0, 0] > 200
    assert [s.sensor for s in SunSource(root.parent, 'test')] == ['Kinect v2 (ToF)']
    assert len(SunSource(root, 'all')) == 3


def test_rotation_takes_all_bits_and_far_depth_is_missing(tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    millimetres = np.array([[1, 4097, 7999, 8000, 8001, 65535, 0]], np.uint16)
    cv2.imwrite(str(path), rotated(millimetres))
    expected = [[0.001, 4.097, 7.999, 8.0, 0, 0, 0]]
    np.testing.assert_allclose(read_sun_depth(path), expected, atol=1e-6)


def test_split_of_the_toolbox(root: Path) -> None:
    (root / 'train.txt').unlink()
    (root / 'test.txt').unlink()
    with pytest.raises(DataError, match=r'no split file; put test\.txt.*allsplit\.mat'):
        SunSource(root, 'test')
    cells = {
        f'all{split}': np.array([[f'/n/fs/sun3d/data/SUNRGBD/{n}' for n in names]], object)
        for split, names in (('train', FRAMES[:2]), ('test', FRAMES[2:]))
    }
    savemat(root / 'allsplit.mat', cells)
    assert [s.name[:3] for s in SunSource(root, 'train')] == ['kv1', 'kv2']
    assert len(SunSource(root, 'test')) == 1
    whole = (root / 'allsplit.mat').read_bytes()
    (root / 'allsplit.mat').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r'allsplit\.mat: cannot be read'):
        SunSource(root, 'test')


def test_missing_and_cut_files_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'unpack SUNRGBD\.zip'):
        SunSource(tmp_path / 'elsewhere')
    (root / 'test.txt').write_text('kv1/NYUdata/NYU0009\n')
    with pytest.raises(DataError, match='names 1 of 1 frames that are not there'):
        SunSource(root, 'test')
    source = SunSource(root, 'train')
    depth = next((root / FRAMES[0] / 'depth').iterdir())
    depth.write_bytes(depth.read_bytes()[:-30])
    with pytest.raises(DataError, match=r'_abs\.png: not a whole picture'):
        source[0]
    depth.unlink()
    with pytest.raises(DataError, match='expected one picture, found none'):
        source[0]
