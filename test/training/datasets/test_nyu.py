# SPDX-License-Identifier: Apache-2.0
"""NYU-Depth V2 from small files in its own format: MATLAB 7.3 (HDF5) and a MATLAB 5 split."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from magadepth_ros.errors import DataError
from magadepth_training.datasets.nyu import NyuSource
from magadepth_training.datasets.opening import open_source

COUNT, HEIGHT, WIDTH = 6, 24, 32


def matlab(frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One frame as MATLAB sees it: image (H, W, 3), raw depth and filled depth (H, W)."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([v * 3, u * 3, np.full_like(u, frame)], axis=2).astype(np.uint8)
    depths = (1 + 0.01 * u + 0.1 * v + frame).astype(np.float32)
    raw = depths + np.float32(0.003)
    raw[5:9, 10:20] = 0
    return image, raw, depths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = [matlab(i) for i in range(COUNT)]
    with h5py.File(tmp_path / 'nyu_depth_v2_labeled.mat', 'w', userblock_size=512) as file:
        # MATLAB writes an array's axes in reverse: (H, W, 3, N) lies as (N, 3, W, H).
        for i, key in enumerate(('images', 'rawDepths', 'depths')):
            stack = np.stack([frame[i] for frame in frames], axis=-1)
            file.create_dataset(key, data=stack.T, chunks=(1, *stack.T.shape[1:]))
    splits = {'trainNdxs': np.array([[1], [2], [5], [6]]), 'testNdxs': np.array([[3], [4]])}
    savemat(tmp_path / 'splits.mat', {k: v.astype(np.uint16) for k, v in splits.items()})
    return tmp_path


def test_axes_split_and_raw_input(folder: Path) -> None:
    source = open_source(folder, 'test')
    assert len(source) == 2 and source.target_made_by == 'levin'
    for at, frame in enumerate((2, 3)):
        image, raw, depths = matlab(frame)
        sample = source[at]
        np.testing.assert_array_equal(sample.rgb, image)
        np.testing.assert_array_equal(sample.depth, raw)
        np.testing.assert_array_equal(sample.target, depths)
        assert sample.name == f'{frame + 1:04}' and sample.depth.flags['C_CONTIGUOUS']
    assert [s.name for s in NyuSource(folder, 'train')] == ['0001', '0002', '0005', '0006']
    assert len(NyuSource(folder / 'nyu_depth_v2_labeled.mat', 'all')) == COUNT


def test_missing_cut_and_foreign_files_are_named(folder: Path) -> None:
    labeled, splits = folder / 'nyu_depth_v2_labeled.mat', folder / 'splits.mat'
    whole = labeled.read_bytes()
    splits.rename(folder / 'away.mat')
    with pytest.raises(DataError, match=r'splits\.mat: not found.*nyu\.edu'):
        NyuSource(folder)
    NyuSource(folder, 'all')
    splits.write_bytes((folder / 'away.mat').read_bytes()[:100])
    with pytest.raises(DataError, match=r'splits\.mat: cannot be read'):
        NyuSource(folder)
    savemat(splits, {'trainNdxs': [[99]], 'testNdxs': [[1]]})
    with pytest.raises(DataError, match='frame numbers 1 to 6'):
        NyuSource(folder, 'train')
    for cut in (len(whole) // 2, 100, 0):
        labeled.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r'labeled\.mat: cannot be read, probably cut short'):
            NyuSource(folder)
    with h5py.File(labeled, 'w') as file:
        file['other'] = np.zeros(3)
    with pytest.raises(
        DataError, match=r"expected images, depths and rawDepths, found \['other'\]"
    ):
        NyuSource(folder)
    labeled.unlink()
    with pytest.raises(DataError, match='download'):
        NyuSource(folder)


def test_unknown_split(folder: Path) -> None:
    with pytest.raises(DataError, match='train, test or all'):
        NyuSource(folder, 'val')
