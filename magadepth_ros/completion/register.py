# SPDX-License-Identifier: Apache-2.0
"""Register depth from its own camera to the colour camera: same pixels, same viewpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np

from magadepth_ros.errors import DataError

PINHOLE_MODELS = ('', 'none', 'plumb_bob', 'rational_polynomial')
FISHEYE_MODELS = ('equidistant', 'fisheye')


@dataclass(frozen=True)
class CameraModel:
    """
    Intrinsics of a camera in the terms of sensor_msgs/CameraInfo.

    Attributes
    ----------
    width, height:
        image size [px].
    fx, fy, cx, cy:
        focal lengths and principal point [px], the centre of the first pixel at 0.
    distortion_model:
        ``plumb_bob``, ``rational_polynomial``, ``equidistant``, or empty for none.
    distortion:
        its coefficients in OpenCV's order.

    Raises
    ------
    DataError
        another distortion model, a wrong number of coefficients, or no calibration.

    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = ''
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        model, count = self.distortion_model, len(self.distortion)
        if model not in PINHOLE_MODELS + FISHEYE_MODELS:
            raise DataError(
                f"distortion model '{model}' is not supported; expected plumb_bob, "
                'rational_polynomial or equidistant, or images that are already rectified'
            )
        allowed = (0, 4) if model in FISHEYE_MODELS else (0, 4, 5, 8, 12, 14)
        if count not in allowed:
            raise DataError(
                f"distortion model '{model}' has {count} coefficients, expected one of {allowed}"
            )
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if min(self.fx, self.fy) <= 0 or not np.isfinite(values).all():
            raise DataError(f'fx, fy are {self.fx}, {self.fy}: the camera is not calibrated')

    @property
    def distorted(self) -> bool:
        """Whether straight lines are bent in the image."""
        return any(self.distortion)

    @property
    def matrix(self) -> np.ndarray:
        """K, (3, 3) float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    def scaled(self, width: int, height: int) -> CameraModel:
        """Give the same camera for its picture at another size; distortion has no unit."""
        if (width, height) == (self.width, self.height):
            return self
        sx, sy = width / self.width, height / self.height
        # Pixel centres are at whole numbers: u' + 0.5 = (u + 0.5) * scale.
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x/z and y/z of each pixel's line of sight, each (H, W) float32."""
        columns, rows = np.meshgrid(np.arange(self.width), np.arange(self.height))
        if not self.distorted:
            x, y = (columns - self.cx) / self.fx, (rows - self.cy) / self.fy
            return x.astype(np.float32), y.astype(np.float32)
        points = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2).astype(np.float64)
        coefficients = np.array(self.distortion)
        if self.distortion_model in FISHEYE_MODELS:
            points = cv2.fisheye.undistortPoints(points, self.matrix, coefficients)
        else:
            # The default five iterations leave a tenth of a pixel in the corners of wide lenses.
            criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-7)
            points = _undistort(points, self.matrix, coefficients, criteria)
        points = points.reshape(self.height, self.width, 2).astype(np.float32)
        return points[..., 0], points[..., 1]

    def project(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixel coordinates of lines of sight given as x/z and y/z, any shape."""
        if self.distorted:
            x, y = self._distort(x, y)
        return (
            x * np.float32(self.fx) + np.float32(self.cx),
            y * np.float32(self.fy) + np.float32(self.cy),
        )

    def _distort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        d = np.zeros(14, np.float32)
        d[: len(self.distortion)] = self.distortion
        r2 = x * x + y * y
        if self.distortion_model in FISHEYE_MODELS:
            r = np.sqrt(r2)
            angle = np.arctan(r)
            a2 = angle * angle
            bent = angle * (1 + a2 * (d[0] + a2 * (d[1] + a2 * (d[2] + a2 * d[3]))))
            scale = np.where(r > 1e-6, bent / np.maximum(r, np.float32(1e-6)), np.float32(1))
            return x * scale, y * scale
        radial = 1 + r2 * (d[0] + r2 * (d[1] + r2 * d[4]))
        radial = radial / (1 + r2 * (d[5] + r2 * (d[6] + r2 * d[7])))
        xy2 = 2 * x * y
        out_x = x * radial + d[2] * xy2 + d[3] * (r2 + 2 * x * x) + r2 * (d[8] + r2 * d[9])
        out_y = y * radial + d[3] * xy2 + d[2] * (r2 + 2 * y * y) + r2 * (d[10] + r2 * d[11])
        if d[12] or d[13]:
            raise DataError(
                'a tilted sensor (tau_x, tau_y of rational_polynomial) is not supported; '
                'use images that are already rectified'
            )
        return out_x, out_y


class Registrar:
    """
    Carries depth images of one camera into the image of another, with rays computed once.

    Raises
    ------
    DataError
        the extrinsics are no rigid transform.

    """

    def __init__(
        self, depth_camera: CameraModel, colour_camera: CameraModel, depth_to_colour: np.ndarray
    ) -> None:
        """
        Prepare the rays.

        Parameters
        ----------
        depth_camera, colour_camera:
            where the depth comes from and goes to.
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
        # A depth pixel covers this many colour pixels; each is filled, so that a coarse depth
        # image leaves no grid of gaps through which the background shows.
        self._spread = (
            _offsets(colour_camera.fx / depth_camera.fx),
            _offsets(colour_camera.fy / depth_camera.fy),
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
        height, width = self.colour_camera.height, self.colour_camera.width
        columns = [np.rint(u + offset).astype(np.int32) for offset in self._spread[0]]
        rows = [np.rint(v + offset).astype(np.int32) for offset in self._spread[1]]
        # One cell more than the image has takes what falls beside it.
        out = np.full(height * width + 1, np.inf, np.float32)
        for row, column in product(rows, columns):
            beside = (row < 0) | (row >= height) | (column < 0) | (column >= width)
            index = np.where(beside, np.int32(height * width), row * np.int32(width) + column)
            near, left = z, index
            # Of points that meet one stays, any; those nearer than it try again.
            while (nearer := near < out[left]).any():
                near, left = near[nearer], left[nearer]
                out[left] = near
        out[np.isinf(out)] = 0.0
        return out[:-1].reshape(height, width)


def _offsets(scale: float) -> np.ndarray:
    # Where the parts of a pixel land around its centre, at most one target pixel apart.
    count = int(np.floor(scale)) + 1
    return (((np.arange(count) + 0.5) / count - 0.5) * scale).astype(np.float32)


def _undistort(
    points: np.ndarray, matrix: np.ndarray, coefficients: np.ndarray, criteria: tuple
) -> np.ndarray:
    # OpenCV 5 gave undistortPoints the criteria; before it, that was undistortPointsIter.
    if hasattr(cv2, 'undistortPointsIter'):
        return cv2.undistortPointsIter(points, matrix, coefficients, None, None, criteria)
    return cv2.undistortPoints(points, matrix, coefficients, None, None, None, criteria)
