# SPDX-License-Identifier: Apache-2.0
"""A tree of fixed transforms between frames, as on /tf_static."""

from __future__ import annotations

import numpy as np

from magadepth_ros.errors import DataError


def transform_matrix(translation: tuple[float, ...], quaternion: tuple[float, ...]) -> np.ndarray:
    """
    Make the (4, 4) transform of a translation [m] and a quaternion (x, y, z, w).

    Raises
    ------
    DataError
        the quaternion has no direction, or numbers are not finite.

    """
    q = np.asarray(quaternion, np.float64)
    t = np.asarray(translation, np.float64)
    length = float(np.linalg.norm(q))
    if not (np.isfinite(t).all() and np.isfinite(length) and length > 1e-6):
        raise DataError(
            f'transform: expected a finite translation and a quaternion x y z w other than 0, got '
            f'{t.tolist()} and {q.tolist()}'
        )
    x, y, z, w = q / length
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = t
    return matrix


class StaticFrames:
    """A tree of frames; one thread may read it while another one adds frames."""

    def __init__(self) -> None:
        self._above: dict[str, tuple[str, np.ndarray]] = {}

    def add(self, parent: str, child: str, child_in_parent: np.ndarray) -> None:
        """Add the (4, 4) transform of points [m] of ``child`` to ``parent``."""
        above = dict(self._above)
        above[child.lstrip('/')] = parent.lstrip('/'), child_in_parent
        self._above = above

    def lookup_transform(self, target: str, source: str) -> np.ndarray | None:
        """Return the (4, 4) transform of points of ``source`` to ``target``; None without any."""
        above = self._above
        to_target = _way_up(above, target.lstrip('/'))
        for name, from_source in _way_up(above, source.lstrip('/')).items():
            if name in to_target:
                return np.linalg.inv(to_target[name]) @ from_source
        return None


def _way_up(above: dict[str, tuple[str, np.ndarray]], name: str) -> dict[str, np.ndarray]:
    # Each frame from `name` to the root, with the transform of the points of `name` to it.
    way = {name: np.eye(4)}
    while name in above:
        parent, step = above[name]
        if parent in way:
            break
        way[parent] = step @ way[name]
        name = parent
    return way
