# SPDX-License-Identifier: Apache-2.0
"""Manifest folders as a data set: raw frames, and frames with a target."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from magadepth_training.datasets.opening import open_source


def write(folder: Path, frames: list[dict[str, str]]) -> None:
    content = {'name': 'raw', 'depth_scale': 0.001, 'frames': frames}
    (folder / 'manifest.json').write_text(json.dumps(content))


def test_a_folder_has_a_target_when_each_of_its_frames_has_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = []
    for i in range(2):
        depth = rng.integers(500, 4000, (60, 80)).astype(np.uint16)
        depth[:10] = 0
        cv2.imwrite(str(tmp_path / f'{i}.png'), rng.integers(0, 255, (60, 80, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'{i}.depth.png'), depth)
        cv2.imwrite(str(tmp_path / f'{i}.target.png'), np.where(depth > 0, depth, 2000))
        frames.append({'rgb': f'{i}.png', 'depth': f'{i}.depth.png', 'sensor': 'ToF'})
    write(tmp_path, frames)
    source = open_source(tmp_path)
    assert (len(source), source.name) == (2, 'raw')
    assert source[1].target is None
    frames[1]['target'] = '1.target.png'
    write(tmp_path, frames)
    source = open_source(tmp_path)
    assert source[0].target is None
    sample = source[1]
    assert (sample.name, sample.sensor) == ('1', 'ToF')
    assert (sample.depth[:10] == 0).all()
    assert (sample.target[:10] == 2).all()
    np.testing.assert_array_equal(sample.depth[10:], sample.target[10:])
