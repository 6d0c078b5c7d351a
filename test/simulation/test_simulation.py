# SPDX-License-Identifier: Apache-2.0
"""The simulated camera: exact truth, sensor-like depth, frames that loop."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_ros.simulation import (
    simulated_frames,
    simulated_intrinsics,
    simulated_views,
)
from magadepth_ros.simulation.drive import MOUNT, PITCH, BasePose
from magadepth_ros.simulation.render import render
from magadepth_ros.simulation.scene import Box, CameraPose, Material, Scene, Sphere, random_scene

GREY = Material((0.5, 0.5, 0.5), 0)


def test_frames_have_the_promised_form():
    frames = simulated_frames(160, 120, 3)
    assert len(frames) == 3
    for rgb, depth in frames:
        assert rgb.shape == (120, 160, 3) and rgb.dtype == np.uint8
        assert depth.shape == (120, 160) and depth.dtype == np.float32
        assert np.array_equal(depth, (np.rint(depth * 1000) * np.float32(0.001)))
        assert rgb.std() > 10


@pytest.mark.parametrize('seed', range(4))
def test_depth_is_the_truth_with_holes_and_noise(seed):
    for _, depth, truth, *_ in simulated_views(160, 120, 2, seed):
        assert np.isfinite(truth).all() and truth.min() > 0.3 and truth.max() < 6.0
        hidden = depth == 0
        assert 0.03 < hidden.mean() < 0.5
        relative = np.abs(depth - truth)[~hidden] / truth[~hidden]
        assert 0.0005 < np.median(relative) < 0.05


def test_same_seed_same_frames_other_seed_other_frames():
    first, again, other = (simulated_frames(80, 60, 1, seed)[0] for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_the_view_moves_smoothly_and_leads_back_to_its_start():
    truths = [view.truth for view in simulated_views(160, 120, 40)]
    steps = [
        np.median(np.abs(after - before))
        for before, after in zip(truths, truths[1:] + truths[:1], strict=True)
    ]
    assert min(steps) > 0 and max(steps) < 0.05


def test_depth_of_a_wall_and_a_ball_is_exact():
    ball = Sphere((0.0, 0.0, 2.0), 0.5, GREY)
    scene = Scene(Box((0.0, 0.0, 0.0), (9.0, 9.0, 3.0), 0.0, GREY), [ball], random_scene(0).atlas)
    intrinsics = simulated_intrinsics(81, 61)
    picture = render(scene, CameraPose(np.zeros(3), np.eye(3), intrinsics), 81, 61)
    assert picture.depth[0, 0] == pytest.approx(3.0, abs=1e-5)
    assert picture.depth[30, 40] == pytest.approx(1.5, abs=1e-5)
    assert picture.cosine[30, 40] == pytest.approx(1.0, abs=1e-5)
    # On the ball every point is a radius away from its centre.
    rows, columns = np.nonzero(picture.depth < 2.0)
    z = picture.depth[rows, columns]
    x, y = (
        (columns - intrinsics[2]) / intrinsics[0] * z,
        (rows - intrinsics[3]) / intrinsics[1] * z,
    )
    assert np.hypot(np.hypot(x, y), z - 2.0) == pytest.approx(0.5, abs=1e-4)


def test_shadow_lies_on_one_side_of_a_near_box():
    from magadepth_ros.simulation.sensor import DepthSensor

    box = Box((0.0, 0.0, 1.0), (0.2, 0.2, 0.05), 0.0, GREY)
    scene = Scene(Box((0.0, 0.0, 0.0), (9.0, 9.0, 2.0), 0.0, GREY), [box], random_scene(0).atlas)
    intrinsics = simulated_intrinsics(320, 240)
    picture = render(scene, CameraPose(np.zeros(3), np.eye(3), intrinsics), 320, 240)
    depth = DepthSensor(320, 240, intrinsics).measure(picture)
    row = (depth[110:130] == 0).mean(axis=0)
    left, right = np.nonzero(picture.depth[120] < 1.5)[0][[0, -1]]
    expected = int(intrinsics[0] * 0.075 * (1 / 0.95 - 1 / 2.0))
    shadow_left, shadow_right = row[left - expected : left].mean(), row[right + 3 :].mean()
    assert max(shadow_left, shadow_right) > 0.8
    assert min(shadow_left, row[right + 3 : right + 3 + expected].mean()) < 0.2


def in_odom(points: np.ndarray, base: BasePose) -> np.ndarray:
    """Carry (N, 3) points of the optical frame to ``odom``, by angles alone: REP 103."""
    x, y, z = points[:, 2], -points[:, 0], -points[:, 1]
    x, z = np.cos(PITCH) * x + np.sin(PITCH) * z, -np.sin(PITCH) * x + np.cos(PITCH) * z
    x, y, z = x + MOUNT[0], y + MOUNT[1], z + MOUNT[2]
    cos, sin = np.cos(base.yaw), np.sin(base.yaw)
    return np.stack([base.x + cos * x - sin * y, base.y + sin * x + cos * y, z], axis=1)


@pytest.mark.parametrize('left', [0.0, 0.05])
def test_what_a_driving_camera_sees_stands_still_in_odom(left):
    fx, fy, cx, cy = simulated_intrinsics(160, 120)
    rows, columns = np.indices((120, 160))
    bases = []
    for view in simulated_views(160, 120, 5, driving=True, depth_left=left):
        z = view.truth
        points = np.stack([(columns - cx) / fx * z, (rows - cy) / fy * z, z], axis=-1)
        seen = in_odom(points.reshape(-1, 3) - [left, 0, 0], view.base)
        # The room: its floor, its far wall, nothing beyond them.
        assert seen[:, 2].min() == pytest.approx(0.0, abs=1e-3)
        assert seen[:, 0].max() == pytest.approx(3.2, abs=1e-3)
        assert np.mean(np.abs(seen[:, 2]) < 1e-3) > 0.15
        bases.append(view.base)
    assert len(set(bases)) == 5
