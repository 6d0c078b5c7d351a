# SPDX-License-Identifier: Apache-2.0
"""A wall before a camera: what marks, what clears, and what is left of it when it has gone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from magadepth_ros.simulation.scene import CameraPose
from magadepth_training.datasets.sample import Sample
from magadepth_training.evaluation.costmap import CELL, CONFIDENCE, Costmap, map_errors

SHAPE = (120, 160)
CAMERA = CameraPose(np.array([0.02, -0.3, -1.98]), np.eye(3), (300.0, 300.0, 79.5, 59.5))
ROOT = Path(__file__).parents[3]
NAVIGATION = ROOT / 'config' / 'presets' / 'navigation.yaml'


def sample(depth: np.ndarray, scene: str = 'a') -> Sample:
    return Sample(np.zeros((*SHAPE, 3), np.uint8), depth, scene=scene, camera=CAMERA)


def wall(distance: float, half: int = 80) -> np.ndarray:
    """Return the depth of a wall ``half`` pixels to both sides, and of the floor before it."""
    rows = (np.arange(SHAPE[0]) - 59.5) / 300
    floor = np.where(rows > 0, 0.3 / np.maximum(rows, 1e-6), np.inf)
    depth = np.broadcast_to(np.minimum(distance, floor)[:, None], SHAPE).astype(np.float32)
    return np.where(np.abs(np.arange(SHAPE[1]) - 79.5) < half, depth, 0)


def seen(*frames: np.ndarray, scene: str = 'a') -> Costmap:
    costmap = Costmap()
    for depth in frames:
        costmap.update(sample(depth, scene), depth)
    return costmap


def rows_of(costmap: Costmap) -> list[float]:
    """Return how far before the camera there are occupied cells [m], nearest first."""
    return [round(float(z - 100) * CELL + 2, 2) for z in np.flatnonzero(costmap.occupied.any(0))]


def test_a_wall_marks_a_row_of_cells_and_the_floor_before_it_none() -> None:
    costmap = seen(wall(2.2))
    assert rows_of(costmap) == [2.2]
    width = np.flatnonzero(costmap.occupied.any(axis=1))
    assert np.ptp(width) * CELL == pytest.approx(160 / 300 * 2.2, abs=0.1)
    assert len(width) == np.ptp(width) + 1


def test_far_walls_do_not_mark_and_what_lies_far_is_not_cleared() -> None:
    assert rows_of(seen(wall(2.6))) == []
    assert rows_of(seen(wall(2.2, 70), wall(4.0))) == []
    # A ray ends two cells before what it hits.
    assert rows_of(seen(wall(2.2, 70), wall(2.25))) == [2.2, 2.25]


def test_what_has_gone_stays_where_nothing_is_measured() -> None:
    gone = wall(4.0)
    gone[:, 40:120] = 0
    truth, raw = seen(wall(1.5, 70), wall(4.0)), seen(wall(1.5, 70), gone)
    assert rows_of(raw) == [1.5] and rows_of(truth) == []
    errors = map_errors(raw, truth)
    assert errors['phantom_cells'] == errors['missed'] == 0
    assert errors['ghosts'] == pytest.approx(80 / 300 * 1.5 / CELL, abs=3)
    assert map_errors(truth, truth) == {'ghosts': 0, 'phantom_cells': 0, 'missed': 0}


def test_a_wall_that_never_was_is_phantom_and_one_that_is_not_seen_is_missed() -> None:
    errors = map_errors(seen(wall(1.5)), seen(wall(2.0)))
    assert errors['ghosts'] == 0 and errors['phantom_cells'] > 10 and errors['missed'] == 100
    near = map_errors(seen(wall(1.5)), seen(wall(1.54)))
    assert near == {'ghosts': 0, 'phantom_cells': 0, 'missed': 0}  # the next cell


def test_fills_of_low_confidence_clear_and_do_not_mark() -> None:
    confidence = np.full(SHAPE, CONFIDENCE - 0.01, np.float32)
    missing = np.zeros(SHAPE, np.float32)
    costmap = seen(wall(1.2, 70))
    costmap.update(sample(missing), wall(2.0), confidence)
    assert rows_of(costmap) == []
    costmap.update(sample(missing), wall(2.0), confidence + 0.02)
    assert rows_of(costmap) == [2.0]
    costmap.update(sample(wall(1.5)), wall(1.5), confidence)
    assert rows_of(costmap) == [1.5, 2.0]  # measured, and it hides the other


def test_another_scene_begins_with_an_empty_map() -> None:
    costmap = seen(wall(1.5))
    costmap.update(sample(wall(2.0), 'b'), wall(2.0))
    assert rows_of(costmap) == [2.0] and costmap.ever.sum() == costmap.occupied.sum()


def test_cleared_voxels_are_those_of_a_walk_along_each_line() -> None:
    """Against single steps of a tenth of a cell, from marked voxels everywhere."""
    rng = np.random.default_rng(3)
    depth = np.zeros(SHAPE, np.float32)
    depth[::40, ::40] = rng.uniform(0.5, 4, (3, 4))
    costmap = seen(np.zeros(SHAPE, np.float32))
    costmap._voxels[:] = True
    costmap.update(sample(depth), depth, np.zeros(SHAPE, np.float32))
    expected = np.ones_like(costmap._voxels)
    for i, j in np.argwhere(depth > 0):
        ray = depth[i, j] * np.array([(j - 79.5) / 300, (i - 59.5) / 300, 1])
        length = np.linalg.norm(ray)
        for far in np.arange(0, min(length - 2 * CELL, 3.0), CELL / 10):
            x, y, z = CAMERA.position + ray / length * far
            if 0 <= -y < 0.8:
                expected[int(x // CELL) + 100, int(-y // CELL), int(z // CELL) + 100] = False
    wrong = (expected != costmap._voxels).sum()
    # Coarser steps miss corners that a line touches; marking sets single voxels again.
    assert wrong < 0.1 * (~expected).sum() and (~expected).sum() > 300


def test_the_navigation_preset_marks_with_the_confidence_that_was_measured() -> None:
    yaml = pytest.importorskip('yaml', reason='reads YAML')
    parameters = yaml.safe_load(NAVIGATION.read_text(encoding='utf-8'))['/**']['ros__parameters']
    assert parameters['marking_confidence'] == CONFIDENCE
    pages = (ROOT / 'docs' / name for name in ('parameters.md', 'evaluation.md', 'examples.md'))
    for page in filter(Path.is_file, pages):
        said = re.findall(
            r'confidence of (?:at least `marking_confidence` \()?(0\.\d+)', page.read_text()
        )
        assert f'{CONFIDENCE:g}' in said, page
