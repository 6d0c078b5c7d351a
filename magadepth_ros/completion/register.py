# SPDX-License-Identifier: Apache-2.0
"""Register depth to the colour camera: to its pixels and its viewpoint."""

from __future__ import annotations

from itertools import product

import numpy as np

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.errors import DataError

NEAR = 0.5
"""Surfaces at this distance from the depth camera or beyond get no gaps [m]."""


class Registrar:
    """
    Projects depth images of one camera into the image of another; rays are computed once.

    Raises
    ------
    DataError
        the extrinsics are not a rigid transform.

    """

    def __init__(
        self, depth_camera: CameraModel, colour_camera: CameraModel, depth_to_colour: np.ndarray
    ) -> None:
        """
        Prepare the rays.

        Parameters
        ----------
        depth_camera, colour_camera:
            the camera of the depth, and the camera of the result.
        depth_to_colour:
            (4, 4), maps points [m] of the depth optical frame to the colour optical frame (tf:
            target frame colour, source frame depth).

        """
        transform = np.asarray(depth_to_colour, np.float64)
        rotation = transform[:3, :3] if transform.shape == (4, 4) else np.zeros((3, 3))
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or not (
            np.isfinite(transform).all() and np.linalg.det(rotation) > 0
        ):
            raise DataError(
                'depth_to_colour is no rigid transform; expected 4x4 with a rotation matrix and '
                'a translation in metres'
            )
        self.depth_camera = depth_camera
        self.colour_camera = colour_camera
        self._shift = transform[:3, 3].astype(np.float32)
        x, y = depth_camera.rays()
        turned = [r[0] * x + r[1] * y + r[2] for r in rotation]
        self._rays = [ray.astype(np.float32).ravel() for ray in turned]
        # The number of colour pixels that a depth pixel covers. All of them are filled, so that a
        # coarse depth image leaves no grid of gaps through which the background shows. A rotated
        # pixel covers its bounding box. A slanted or nearer surface is seen larger.
        slant = np.abs(rotation[:2, :2]) / max(rotation[2, 2], 0.5)
        width, height = slant @ [1 / depth_camera.fx, 1 / depth_camera.fy]
        closer = NEAR / max(NEAR + min(0.0, transform[2, 3]), NEAR / 2)
        self._spread = (
            _offsets(colour_camera.fx * width * closer),
            _offsets(colour_camera.fy * height * closer),
        )

    def register(self, depth: np.ndarray) -> np.ndarray:
        """
        Move a depth image to the colour camera.

        Parameters
        ----------
        depth:
            (H, W) float32 metres of the depth camera's size; 0, NaN and inf = missing.

        Returns
        -------
        np.ndarray
            (H, W) float32 metres along the colour camera's axis, of its size, 0 = missing. Where
            several points meet, the nearest counts.

        Raises
        ------
        DataError
            the image is not of the depth camera's size.

        """
        camera = self.depth_camera
        if depth.shape != (camera.height, camera.width):
            raise DataError(
                f'depth is {depth.shape[1]}x{depth.shape[0]} but its camera_info says '
                f'{camera.width}x{camera.height}; they belong to different streams'
            )
        flat = depth.ravel()
        seen = np.flatnonzero((flat > 0) & (flat < np.inf))
        flat = flat[seen]
        x, y, z = (ray[seen] * flat + t for ray, t in zip(self._rays, self._shift, strict=True))
        front = z > 1e-3
        if not front.all():
            x, y, z = x[front], y[front], z[front]
        u, v = self.colour_camera.project(x / z, y / z)
        if np.isfinite(self.colour_camera.reach):
            seen = np.isfinite(u)
            u, v, z = u[seen], v[seen], z[seen]
        height, width = self.colour_camera.height, self.colour_camera.width
        columns = [np.rint(u + offset).astype(np.int32) for offset in self._spread[0]]
        rows = [np.rint(v + offset).astype(np.int32) for offset in self._spread[1]]
        # One cell more than the image has collects the points outside the image.
        out = np.full(height * width + 1, np.inf, np.float32)
        for row, column in product(rows, columns):
            beside = (row < 0) | (row >= height) | (column < 0) | (column >= width)
            index = np.where(beside, np.int32(height * width), row * np.int32(width) + column)
            near, left = z, index
            # Of several points in one pixel an arbitrary one is stored; nearer ones are stored
            # again.
            while (nearer := near < out[left]).any():
                near, left = near[nearer], left[nearer]
                out[left] = near
        out[np.isinf(out)] = 0.0
        return out[:-1].reshape(height, width)


def _offsets(scale: float) -> np.ndarray:
    # Offsets of the parts of a pixel from its centre, at most one target pixel apart.
    count = int(np.floor(scale + 1e-6)) + 1
    return (((np.arange(count) + 0.5) / count - 0.5) * scale).astype(np.float32)
