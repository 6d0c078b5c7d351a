# SPDX-License-Identifier: Apache-2.0
"""Project a depth image to an organised, coloured point cloud."""

from __future__ import annotations

import cv2
import numpy as np

from magadepth_ros.completion.buffers import Buffers
from magadepth_ros.completion.camera_model import CameraModel

FIELDS = ('x', 'y', 'z', 'rgb', 'confidence')
"""
The fields of a point, float32 each, without gaps; a cloud has the first three, four or all.

Sixteen bytes for x, y, z and rgb are half of PCL's own 32-byte layout; a subscriber finds the
fields by their offsets, so it can read both layouts.
"""

FULL_CLOUD = 640 * 480
"""Largest number of pixels for which a cloud has a point a pixel by default: 4.9 MB."""

Rays = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""x/z and y/z of the pixels, and a mask of pixels without a ray, if any."""


def stride_for(shape: tuple[int, int]) -> int:
    """Return the default distance of the cloud's points [px] for an image (rows, columns)."""
    return 1 if shape[0] * shape[1] <= FULL_CLOUD else 2


class CloudProjector:
    """Projects images of one or more cameras; it keeps their rays between calls."""

    def __init__(self) -> None:
        self._rays: dict[tuple, Rays] = {}
        self._buffers = Buffers()

    def project(
        self,
        depth: np.ndarray,
        rgb: np.ndarray,
        camera: CameraModel,
        stride: int = 1,
        out: np.ndarray | None = None,
        confidence: np.ndarray | None = None,
    ) -> np.ndarray:
        """
        Project along the optical axis convention of REP-103: x right, y down, z forward.

        Parameters
        ----------
        depth:
            (H, W) float32 metres along z, NaN = unknown.
        rgb:
            (H, W, 3) uint8 RGB.
        camera:
            intrinsics for an image of the aspect ratio of ``depth``.
        stride:
            distance of the points in both directions [px].
        out:
            array of the cloud's shape to write it into; by default memory of the projector's pool.
        confidence:
            (H, W) float32, 0..1, for a fifth field; None for none.

        Returns
        -------
        np.ndarray
            (ceil(H/stride), ceil(W/stride), 4 or 5) float32: x, y, z [m], NaN where unknown, the
            colour as bits 0x00RRGGBB, and the confidence, if it is given.

        """
        camera = camera.scaled(depth.shape[1], depth.shape[0])
        depth = np.ascontiguousarray(depth[::stride, ::stride])
        shape = depth.shape
        rays_x, rays_y, blind = self._rays_of(camera, stride)
        take = self._buffers.take
        if out is None:
            out = take((*shape, 4 if confidence is None else 5))
        x = np.multiply(depth, rays_x, out=take(shape))
        y = np.multiply(depth, rays_y, out=take(shape))
        colour = take(shape, np.uint32)
        rows = rgb[::stride]
        bgra = take((*rows.shape[:2], 4), np.uint8)
        cv2.cvtColor(rows, cv2.COLOR_RGB2BGRA, dst=bgra)
        # The alpha byte must be 0: with 255 half of all colours would read as NaN.
        np.bitwise_and(bgra.view('<u4')[:, ::stride, 0], np.uint32(0x00FFFFFF), out=colour)
        # One pass writes whole points; a pass for each field would cost as much as this one.
        fields = [x, y, depth, colour.view(np.float32)]
        if confidence is not None:
            fields.append(np.ascontiguousarray(confidence[::stride, ::stride]))
        cv2.merge(fields, dst=out)
        if blind is not None:
            out[..., 2][blind] = np.nan
        return out

    def _rays_of(self, camera: CameraModel, stride: int) -> Rays:
        key = (camera, stride)
        if key not in self._rays:
            if len(self._rays) >= 8:
                self._rays.clear()
            x, y = (ray[::stride, ::stride] for ray in camera.rays())
            blind = np.isnan(x)
            if not camera.distorted:
                # All rays of a column have the same x, and all rays of a row the same y.
                x, y = x[:1], y[:, :1]
            self._rays[key] = x.copy(), y.copy(), blind if blind.any() else None
        return self._rays[key]


def points_above(cloud: np.ndarray, confidence: np.ndarray, least: float) -> np.ndarray:
    """
    Return the points of an organised cloud that can be trusted.

    Parameters
    ----------
    cloud:
        (H, W, 4 or 5) float32 of `CloudProjector`.
    confidence:
        (H, W) float32, 0..1, 0 where the depth is unknown.
    least:
        least confidence of a point, 0..1.

    Returns
    -------
    np.ndarray
        (1, N, 3) float32: x, y, z [m], none unknown.

    """
    known = np.isfinite(cloud[..., 2])
    if least > 0.0:
        known &= confidence >= least
    return cloud[known, :3][None]
