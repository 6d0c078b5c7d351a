# SPDX-License-Identifier: Apache-2.0
"""DIML indoor from small files in the layouts of the whole set and of its sample set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from magadepth_ros.errors import DataError
from magadepth_training.datasets.diml import DimlSource
from magadepth_training.datasets.opening import open_source

FILLED = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16) + 900
RAW = np.where(FILLED % 7 == 0, 0, FILLED + 3).astype(np.uint16)


def put(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def whole_set(root: Path) -> Path:
    scene = root / '03_classroom_1' / '1' / '16.01.20' / '1'
    for i in (1, 2):
        name = f'in_k_00_160120_00000{i}'
        put(scene / 'col' / f'{name}_c.png', np.full((12, 16, 3), 9, np.uint8))
        put(scene / 'warp_png' / f'{name}_wd.png', RAW)
        put(scene / 'up_png' / f'{name}_ud.png', FILLED)
        put(scene / 'raw_png' / f'{name}_rd.png', RAW[:6, :8])
    return scene


def sample_set(root: Path, split: str) -> Path:
    scene = root / split / 'LR' / '02. Cafe'
    name = 'in_00_160315_165831'
    put(scene / 'color' / f'{name}_c.png', np.full((12, 16, 3), 9, np.uint8))
    put(scene / 'depth_filled' / f'{name}_depth_filled.png', FILLED)
    return scene


def test_whole_set_gives_registered_raw_depth_and_filled_target(tmp_path: Path) -> None:
    whole_set(tmp_path)
    source = open_source(tmp_path)
    assert len(source) == 2
    sample = source[1]
    assert sample.target is not None
    np.testing.assert_allclose(sample.depth, RAW / 1000, atol=1e-6)
    np.testing.assert_allclose(sample.target, FILLED / 1000, atol=1e-6)
    assert sample.scene == '03_classroom_1/1/16.01.20/1'
    assert sample.name == 'in_k_00_160120_000002'


def test_sample_set_has_splits_and_no_target(tmp_path: Path) -> None:
    sample_set(tmp_path, 'train')
    sample_set(tmp_path, 'test')
    source = open_source(tmp_path, 'train')
    assert len(source) == 1 and source[0].target is None
    np.testing.assert_allclose(source[0].depth, FILLED / 1000, atol=1e-6)
    assert len(DimlSource(tmp_path, 'all')) == 2


def test_missing_and_cut_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'expected scene folders.*dimlrgbd'):
        DimlSource(tmp_path)
    scene = whole_set(tmp_path)
    source = DimlSource(tmp_path)
    path = scene / 'up_png' / 'in_k_00_160120_000001_ud.png'
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r'_ud\.png: not a whole picture'):
        source[0]
    path.unlink()
    with pytest.raises(DataError, match='not found, but its colour is'):
        DimlSource(tmp_path)
    put(path, FILLED)
    (scene / 'warp_png' / 'in_k_00_160120_000002_wd.png').unlink()
    with pytest.raises(DataError, match='has no raw depth, while 1 of 2 frames have'):
        DimlSource(tmp_path)
    put(scene / 'warp_png' / 'in_k_00_160120_000002_wd.png', RAW[:6])
    with pytest.raises(DataError, match=r'size \(6, 16\) differs'):
        DimlSource(tmp_path)[1]
    (tmp_path / 'train').mkdir()
    with pytest.raises(DataError, match='expected a folder test'):
        DimlSource(tmp_path, 'test')
