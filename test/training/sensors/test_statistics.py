# SPDX-License-Identifier: Apache-2.0
"""The statistics count what is in pictures with known holes, edges and noise."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from magadepth_training.sensors import compare
from magadepth_training.sensors.statistics import (
    DEPTH_BINS,
    DISTANCE_BINS,
    SIZE_BINS,
    hole_statistics,
)

H, W = 120, 160


def wall_and_post() -> np.ndarray:
    depth = np.full((H, W), 3.0, np.float32)
    depth[:, 80:100] = 1.0
    return depth


def test_shares_sizes_and_sides_of_known_holes():
    depth = wall_and_post()
    depth[20:100, 74:80] = 0.0  # the post's shadow, to its left: 480 px
    depth[:, :8] = 0.0  # a band at the border is not an inner hole
    s = hole_statistics([depth])
    assert s.share[0] == pytest.approx((480 + 8 * H) / (H * W))
    assert s.inner_share[0] == pytest.approx(480 / (H * W))
    assert s.sizes[np.digitize(480, SIZE_BINS) - 1] == 1.0
    assert s.left_share == 1.0
    assert s.step_share == pytest.approx(480 / (H * W))


def test_distance_to_edges():
    depth = wall_and_post()
    depth[50:60, 20:30] = 0.0  # 50 px or more from the post
    s = hole_statistics([depth])
    assert s.distances[np.digitize(55, DISTANCE_BINS) - 1] == pytest.approx(1.0)


def test_noise_is_what_was_added():
    rng = np.random.default_rng(0)
    clean = np.linspace(0.9, 2.9, W, dtype=np.float32)[None].repeat(H, 0)
    noisy = clean + 0.004 * rng.standard_normal((H, W)).astype(np.float32)
    s = hole_statistics([noisy] * 4)
    inside = (DEPTH_BINS[:-1] >= 1.5) & (DEPTH_BINS[1:] <= 2.5)
    assert np.allclose(s.noise[inside], 0.004, rtol=0.15)
    assert np.isnan(s.noise[-1])


def test_comparison_runs_on_a_folder(tmp_path, capsys):
    frames = []
    for i in range(2):
        cv2.imwrite(str(tmp_path / f'{i}.rgb.png'), np.full((240, 320, 3), 90, np.uint8))
        depth = (cv2.resize(wall_and_post(), (320, 240)) * 1000).astype(np.uint16)
        depth[40:60, 40:60] = 0
        cv2.imwrite(str(tmp_path / f'{i}.depth.png'), depth)
        names = {'rgb': f'{i}.rgb.png', 'depth': f'{i}.depth.png'}
        frames.append({**names, 'sensor': 'a', 'scene': 'b'})
    (tmp_path / 'manifest.json').write_text(
        json.dumps({'name': 'x', 'depth_scale': 0.001, 'frames': frames})
    )
    compare.main([str(tmp_path), str(tmp_path / 'out'), '--scenes', '1', '--every', '1'])
    assert 'real: b: 2 frames' in capsys.readouterr().out
    for name in ('statistics', 'pictures', 'beside_real'):
        assert cv2.imread(str(tmp_path / 'out' / f'sensors_{name}.png')) is not None
