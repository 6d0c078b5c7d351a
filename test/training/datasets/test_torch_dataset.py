# SPDX-License-Identifier: Apache-2.0
"""Batches for training: their form, the hiding, and the same samples after a resume."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from magadepth_training.datasets.augment import Augmentation
from magadepth_training.datasets.hiding import Hiding, keep_points
from magadepth_training.datasets.manifest import ManifestSource
from magadepth_training.datasets.memory import load_frames_to_memory
from magadepth_training.datasets.opening import open_source
from magadepth_training.datasets.torch_dataset import SampleDataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frames = []
    for i in range(4):
        depth = rng.integers(500, 4000, (60, 80)).astype(np.uint16)
        depth[:10] = 0
        target = depth.copy()
        target[:10] = 2000
        cv2.imwrite(str(tmp_path / f'{i}.png'), rng.integers(0, 255, (60, 80, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'{i}.depth.png'), depth)
        cv2.imwrite(str(tmp_path / f'{i}.target.png'), target)
        frames.append({'rgb': f'{i}.png', 'depth': f'{i}.depth.png'})
    write(tmp_path, frames)
    return tmp_path


def write(folder: Path, frames: list[dict[str, str]]) -> None:
    content = {'name': 'raw', 'depth_scale': 0.001, 'frames': frames}
    (folder / 'manifest.json').write_text(json.dumps(content))


def test_raw_frames_are_their_own_target_with_pixels_hidden(folder: Path) -> None:
    source = open_source(folder)
    assert not source.has_target
    dataset = SampleDataset(source, 48, 64, Augmentation(), seed=3)
    batch = next(iter(DataLoader(dataset, batch_size=4)))
    assert batch['rgb'].shape == (4, 3, 48, 64) and batch['rgb'].dtype == torch.float32
    assert batch['rgb'].min() >= 0 and 0.5 < batch['rgb'].max() <= 1
    depth, target = batch['depth'], batch['target']
    assert depth.shape == target.shape == (4, 1, 48, 64)
    kept = depth > 0
    assert torch.equal(depth[kept], target[kept])
    assert (kept.sum((1, 2, 3)) < (target > 0).sum((1, 2, 3))).all()
    assert kept.sum((1, 2, 3)).min() > 0


def test_a_target_is_used_and_the_raw_holes_stay(folder: Path) -> None:
    entries = json.loads((folder / 'manifest.json').read_text())['frames']
    write(folder, [{**e, 'target': e['depth'].replace('depth', 'target')} for e in entries])
    source = ManifestSource(folder)
    assert source.has_target
    sample = SampleDataset(source, 60, 80)[1]
    assert (sample['depth'][0, :10] == 0).all() and (sample['target'][0, :10] == 2).all()
    assert torch.equal(sample['depth'][0, 10:], sample['target'][0, 10:])
    hidden = SampleDataset(source, 60, 80, hide_always=True)[1]['depth']
    assert (hidden > 0).sum() < (sample['depth'] > 0).sum()


def test_choices_depend_on_seed_epoch_and_index_only(folder: Path) -> None:
    def read(seed: int, epoch: int, order: list[int]) -> dict[int, torch.Tensor]:
        dataset = SampleDataset(ManifestSource(folder), 32, 32, Augmentation(), seed=seed)
        dataset.set_epoch(epoch)
        return {i: dataset[i]['depth'] for i in order}

    first, again = read(0, 5, [0, 1, 2, 3]), read(0, 5, [3, 1])
    assert torch.equal(first[3], again[3]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], read(0, 6, [1])[1])
    assert not torch.equal(first[1], read(1, 5, [1])[1])


def test_hiding_leaves_something_and_changes_no_value() -> None:
    depth = np.full((40, 50), 2.0, np.float32)
    for seed in range(30):
        left = Hiding(max_size=2.0)(depth, np.random.default_rng(seed))
        assert set(np.unique(left)) == {0, 2}
    sparse = Hiding(sparse_rate=1.0, sparse_points=70)(depth, np.random.default_rng(0))
    assert (sparse > 0).sum() == 70
    assert (keep_points(np.zeros((4, 4)), 5, np.random.default_rng(0)) == 0).all()


def test_frames_in_memory_are_millimetres_at_one_size(folder: Path) -> None:
    frames = load_frames_to_memory(folder, 30, 40)
    assert frames.rgb.shape == (4, 30, 40, 3) and frames.rgb.dtype == torch.uint8
    assert frames.depth.shape == (4, 30, 40) and frames.depth.dtype == torch.uint16
    raw = cv2.imread(str(folder / '2.depth.png'), -1)
    picked = frames.depth[torch.tensor([2])].int().numpy()[0]
    assert (picked[:5] == 0).all() and np.isin(picked[5:], raw).all()
    square = load_frames_to_memory(folder, 60, 60)
    np.testing.assert_array_equal(square.depth[2].int().numpy(), raw[:, 10:70])
