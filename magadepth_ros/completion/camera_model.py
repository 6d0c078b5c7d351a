# SPDX-License-Identifier: Apache-2.0
"""A camera's intrinsics: where a point is seen, along which line a pixel looks, at any size."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        no size, another distortion model, a wrong number of coefficients, or no calibration.

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
        if min(self.width, self.height) < 1:
            raise DataError(
                f'the image size is {self.width}x{self.height}; calibrate the camera or set width '
                'and height in its driver'
            )
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
        """
        Give the same camera for its picture at another size; distortion has no unit.

        Raises
        ------
        DataError
            the shape differs by more than a pixel: that is a crop, not a scaling.

        """
        if (width, height) == (self.width, self.height):
            return self
        sx, sy = width / self.width, height / self.height
        if abs(sx * self.height - height) > 1 and abs(sy * self.width - width) > 1:
            raise DataError(
                f'camera_info is for {self.width}x{self.height}, the image is {width}x{height}: '
                'expected one size, or sizes of the same shape; remap camera_info to the topic '
                'that belongs to the image'
            )
        (fx, _, cx), (_, fy, cy), _ = scaled_matrix(self.matrix, sx, sy).tolist()
        return replace(self, width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy)

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


def scaled_matrix(matrix: np.ndarray, sx: float, sy: float) -> np.ndarray:
    """
    Give K (3, 3) or P (3, 4) of a picture that is enlarged by ``sx`` and ``sy``.

    Pixel centres are at whole numbers: u' + 0.5 = (u + 0.5) * scale. Zeros, which stand for no
    calibration, stay.
    """
    scaled = np.asarray(matrix, np.float64) * np.array([[sx], [sy], [1.0]])
    if scaled.any():
        scaled[0, 2] += 0.5 * sx - 0.5
        scaled[1, 2] += 0.5 * sy - 0.5
    return scaled


def _undistort(
    points: np.ndarray, matrix: np.ndarray, coefficients: np.ndarray, criteria: tuple
) -> np.ndarray:
    # OpenCV 5 gave undistortPoints the criteria; before it, that was undistortPointsIter.
    if hasattr(cv2, 'undistortPointsIter'):
        return cv2.undistortPointsIter(points, matrix, coefficients, None, None, criteria)
    return cv2.undistortPoints(points, matrix, coefficients, None, None, None, criteria)
