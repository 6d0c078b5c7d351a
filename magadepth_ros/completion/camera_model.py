# SPDX-License-Identifier: Apache-2.0
"""A camera's intrinsics: pixel coordinates of points and rays of pixels, at any image size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

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
        there is no size or no calibration, the distortion model is unknown, or the number of
        coefficients is wrong.

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
    def size(self) -> tuple[int, int]:
        """Width and height [px]."""
        return self.width, self.height

    @property
    def distorted(self) -> bool:
        """Whether straight lines are bent; a fisheye without coefficients bends them too."""
        return any(self.distortion) or self.distortion_model in FISHEYE_MODELS

    @property
    def matrix(self) -> np.ndarray:
        """K, (3, 3) float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    @cached_property
    def reach(self) -> float:
        """
        Tangent of the largest angle between the axis and a visible line of sight; inf for none.

        The distortion is a polynomial fitted to visible lines. Beyond this angle it would bend
        lines back into the picture.
        """
        if not self.distorted:
            return np.inf
        tangent = np.tan(np.linspace(0, np.pi / 2, 2048, endpoint=False))
        with np.errstate(all='ignore'):
            bent = tangent * self._radial(tangent * tangent)
        back = np.flatnonzero(~(np.diff(bent) > 0))
        return float(tangent[back[0]]) if len(back) else np.inf

    def scaled(self, width: int, height: int) -> CameraModel:
        """
        Return the same camera for an image of another size; distortion has no unit and stays.

        Raises
        ------
        DataError
            the aspect ratios differ by more than a pixel: the image is cropped, not scaled.

        """
        if (width, height) == (self.width, self.height):
            return self
        if not same_aspect_ratio(self.size, (width, height)):
            raise DataError(
                f'camera_info is for {self.width}x{self.height}, the image is {width}x{height}: '
                'expected equal sizes or aspect ratios; remap camera_info to the topic that '
                'belongs to the image'
            )
        sx, sy = width / self.width, height / self.height
        (fx, _, cx), (_, fy, cy), _ = scaled_matrix(self.matrix, sx, sy).tolist()
        return replace(self, width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy)

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Return x/z and y/z of each pixel's line of sight, each (H, W) float32.

        NaN for pixels that look behind the camera, as at the rim of a wide fisheye.
        """
        columns, rows = np.meshgrid(np.arange(self.width), np.arange(self.height))
        if not self.distorted:
            x, y = (columns - self.cx) / self.fx, (rows - self.cy) / self.fy
            return x.astype(np.float32), y.astype(np.float32)
        points = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2).astype(np.float64)
        if self.distortion_model in FISHEYE_MODELS:
            coefficients = self._coefficients(np.dtype(np.float64))[:4]
            points = cv2.fisheye.undistortPoints(points, self.matrix, coefficients)
        else:
            coefficients = np.array(self.distortion)
            # The default five iterations leave a tenth of a pixel in the corners of wide lenses.
            criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-7)
            points = _undistort(points, self.matrix, coefficients, criteria)
        points = points.reshape(self.height, self.width, 2).astype(np.float32)
        x, y = points[..., 0], points[..., 1]
        if not any(self.distortion[12:]):
            u, v = self.project(x, y)
            points[~(np.hypot(u - columns, v - rows) < 1)] = np.nan
        return x, y

    def project(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the pixel coordinates of lines of sight given as x/z and y/z, any shape.

        Both are NaN for a line that the lens does not see (`reach`). Raises DataError for a tilted
        sensor.
        """
        if self.distorted:
            bent_x, bent_y = self._distort(x, y)
            if np.isfinite(self.reach):
                seen = x * x + y * y < self.reach**2
                bent_x = np.where(seen, bent_x, np.float32(np.nan))
            x, y = bent_x, bent_y
        return (
            x * np.float32(self.fx) + np.float32(self.cx),
            y * np.float32(self.fy) + np.float32(self.cy),
        )

    def _radial(self, r2: np.ndarray) -> np.ndarray:
        """Return the radial distortion factor of a line of the squared tangent r2."""
        d = self._coefficients(r2.dtype)
        if self.distortion_model in FISHEYE_MODELS:
            r = np.sqrt(r2)
            angle = np.arctan(r)
            a2 = angle * angle
            bent = angle * (1 + a2 * (d[0] + a2 * (d[1] + a2 * (d[2] + a2 * d[3]))))
            return np.where(r > 1e-6, bent / np.maximum(r, r.dtype.type(1e-6)), r.dtype.type(1))
        radial = 1 + r2 * (d[0] + r2 * (d[1] + r2 * d[4]))
        return radial / (1 + r2 * (d[5] + r2 * (d[6] + r2 * d[7])))

    def _coefficients(self, dtype: np.dtype) -> np.ndarray:
        d = np.zeros(14, dtype)
        d[: len(self.distortion)] = self.distortion
        return d

    def _distort(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        d = self._coefficients(np.dtype(np.float32))
        r2 = x * x + y * y
        radial = self._radial(r2)
        if self.distortion_model in FISHEYE_MODELS:
            return x * radial, y * radial
        xy2 = 2 * x * y
        out_x = x * radial + d[2] * xy2 + d[3] * (r2 + 2 * x * x) + r2 * (d[8] + r2 * d[9])
        out_y = y * radial + d[3] * xy2 + d[2] * (r2 + 2 * y * y) + r2 * (d[10] + r2 * d[11])
        if d[12] or d[13]:
            raise DataError(
                'a tilted sensor (tau_x, tau_y of rational_polynomial) is not supported; '
                'use images that are already rectified'
            )
        return out_x, out_y


def same_aspect_ratio(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether the second (width, height) is a scaled first one, to a pixel of either."""
    (width, height), (w, h) = size, other
    return abs(width * h - height * w) <= max(width, height)


def scaled_matrix(
    matrix: np.ndarray, sx: float, sy: float, left: int = 0, top: int = 0
) -> np.ndarray:
    """
    Return K (3, 3) or P (3, 4) of a part of an image from ``left``, ``top`` on, scaled.

    Pixel centres are at whole numbers: u' + 0.5 = (u - left + 0.5) * sx. Zeros stand for
    no calibration and stay zero.
    """
    scaled = np.array(matrix, np.float64)
    if scaled.any():
        scaled[0, 2] -= left - 0.5
        scaled[1, 2] -= top - 0.5
        scaled *= np.array([[sx], [sy], [1.0]])
        scaled[:2, 2] -= 0.5
    return scaled


def _undistort(
    points: np.ndarray, matrix: np.ndarray, coefficients: np.ndarray, criteria: tuple
) -> np.ndarray:
    # OpenCV 5 has undistortPoints with criteria; earlier versions have undistortPointsIter.
    if hasattr(cv2, 'undistortPointsIter'):
        return cv2.undistortPointsIter(points, matrix, coefficients, None, None, criteria)
    return cv2.undistortPoints(points, matrix, coefficients, None, None, None, criteria)
