# SPDX-License-Identifier: Apache-2.0
"""A robot's costmap from depth, marked and cleared as by Nav2's voxel layer."""

from __future__ import annotations

import cv2
import numpy as np

from magadepth_ros.simulation.scene import CameraPose
from magadepth_training.datasets.sample import Sample

CELL = 0.05
"""Side of a cell and of a voxel [m]."""
SIZE = (200, 16, 200)
"""Voxels: 10 m x 10 m around the world's origin, and 0.8 m high."""
LOWEST, MARKING_RANGE = 0.1, 2.5
"""Least height and largest distance of a point that marks [m]: the floor is no obstacle."""
CLEARING_RANGE = 3.0
"""Largest distance up to which a point clears [m]."""
CLEARING_STRIDE = 4
"""Distance of clearing points [px]; their rays are a cell apart at the end of the range."""
CONFIDENCE = 0.3
"""Least confidence of a filled pixel that marks; all clear. `marking` chose it in other rooms than
those that `SimulatedRobot` reports."""


class Costmap:
    """
    The occupied cells after the frames of a scene; another scene begins with an empty map.

    As in nav2_costmap_2d's voxel layer, a frame first clears the voxels on the line from the
    camera to each point, up to two cells before it, then marks those of near points above the
    floor. A cell is occupied while one of its voxels is.

    Attributes
    ----------
    occupied, ever:
        (200, 200) bool, by x and z: occupied now, and at any time since the map was empty.

    """

    occupied: np.ndarray
    ever: np.ndarray

    def __init__(self, marks_from: float = CONFIDENCE) -> None:
        """``marks_from`` is the least confidence of a filled pixel that marks, 0..1."""
        self.marks_from = marks_from
        self._scene: str | None = None
        self.occupied = self.ever = np.zeros((SIZE[0], SIZE[2]), bool)

    def update(
        self, sample: Sample, depth: np.ndarray, confidence: np.ndarray | None = None
    ) -> None:
        """
        Add a frame.

        Parameters
        ----------
        sample:
            a sample with a camera; pixels that its depth lacks mark only where they are trusted.
        depth:
            (H, W) metres, 0 = unknown.
        confidence:
            (H, W) 0..1; None = all pixels are trusted.

        """
        assert sample.camera is not None
        if sample.scene != self._scene:
            self._scene, self._voxels = sample.scene, np.zeros(SIZE, bool)
            self.ever = np.zeros_like(self.ever)
        known = depth > 0
        trusted = known
        if confidence is not None:
            trusted = known & ((sample.depth > 0) | (confidence >= self.marks_from))
        camera = sample.camera.position.astype(np.float32)[:, None]
        rays = _rays(depth, sample.camera, known, CLEARING_STRIDE)
        length = np.linalg.norm(rays, axis=0)
        rays *= np.clip(length - 2 * CELL, 0, CLEARING_RANGE) / length
        # Steps of half a cell miss only voxels of which a line crosses a mere corner.
        steps = np.linspace(0, 1, round(2 * CLEARING_RANGE / CELL) + 1, dtype=np.float32)
        self._set(camera[..., None] + rays[..., None] * steps, False)
        rays = _rays(depth, sample.camera, trusted, 1)
        points = camera + rays[:, np.linalg.norm(rays, axis=0) < MARKING_RANGE]
        self._set(points[:, points[1] < -LOWEST], True)
        self.occupied = np.asarray(self._voxels.any(axis=1))
        self.ever = self.ever | self.occupied

    def _set(self, points: np.ndarray, value: bool) -> None:
        # The world's y points down: heights count from the floor up. Rays are too short to leave
        # the map sideways.
        x, y, z = (np.floor(axis / CELL).astype(np.int32) for axis in points)
        y = -1 - y
        flat = ((x + SIZE[0] // 2) * SIZE[1] + y) * SIZE[2] + z + SIZE[2] // 2
        self._voxels.reshape(-1)[flat[(y >= 0) & (y < SIZE[1])]] = value


def map_errors(seen: Costmap, truth: Costmap) -> dict[str, float]:
    """
    Compare a costmap with that of the true depth after the same frames.

    Returns how many cells are ``ghosts`` (occupied where the truth was occupied once and is free
    now) and ``phantom_cells`` (where it never was), and the share of the truth's cells that are
    ``missed`` [%]. A cell also matches its neighbouring cells.
    """
    cells = count_cells(seen, truth)
    return {
        'ghosts': float(cells['ghosts']),
        'phantom_cells': float(cells['phantoms']),
        'missed': 100 * float(cells['missed'] / max(1, cells['true'])),
    }


def count_cells(seen: Costmap, truth: Costmap) -> dict[str, int]:
    """Count the ghosts, phantoms and missed cells of `map_errors`, and the ``true`` ones."""
    false, before = seen.occupied & ~_near_enough(truth.occupied), _near_enough(truth.ever)
    return {
        'true': int(truth.occupied.sum()),
        'ghosts': int((false & before).sum()),
        'phantoms': int((false & ~before).sum()),
        'missed': int((truth.occupied & ~_near_enough(seen.occupied)).sum()),
    }


def _near_enough(cells: np.ndarray) -> np.ndarray:
    # Cells and their eight neighbours.
    return cv2.dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _rays(depth: np.ndarray, camera: CameraPose, chosen: np.ndarray, stride: int) -> np.ndarray:
    # From the camera to the points of the chosen pixels, (3, N) in the world's axes.
    fx, fy, cx, cy = camera.intrinsics
    rows, columns = (stride * i for i in np.nonzero(chosen[::stride, ::stride]))
    z = depth[rows, columns]
    seen = np.stack([(columns - cx) / fx * z, (rows - cy) / fy * z, z])
    return (camera.rotation @ seen).astype(np.float32)
