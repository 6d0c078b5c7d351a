# SPDX-License-Identifier: Apache-2.0
"""A simulated structured light camera: disparity noise, quantisation and holes."""

from __future__ import annotations

import cv2
import numpy as np

from magadepth_ros.simulation.render import Picture

BASELINE = 0.075
"""Distance of the projector to the right of the camera [m]."""
NEAREST, FARTHEST = 0.35, 6.0
"""Range of the sensor [m]."""
_FIELDS = 4


class DepthSensor:
    """
    A camera with a projector at `BASELINE` to its right.

    Depth comes from a disparity that is noisy and known to an eighth of a pixel, so errors grow
    with the square of the distance. It is missing in the projector's shadow on one side of near
    objects, at depth edges, on dark, mirroring and grazing surfaces and out of range.
    """

    def __init__(
        self,
        width: int,
        height: int,
        intrinsics: tuple[float, float, float, float],
        seed: int = 0,
    ) -> None:
        self._reach = np.float32(intrinsics[0] * BASELINE)
        self._scale = width / 640.0
        self._rng = np.random.default_rng(seed + 1)
        size = (height, width)
        self._fine = [self._field(size, 0.8) for _ in range(_FIELDS)]
        self._coarse = [self._field(size, 6.0 * self._scale + 0.5) for _ in range(_FIELDS)]

    def expose(self, picture: Picture) -> np.ndarray:
        """Colour image (H, W, 3) uint8 RGB with the softness and noise of a small lens."""
        soft = cv2.GaussianBlur(picture.rgb, (3, 3), 0.7)
        noise = np.stack([self._noise(self._fine) for _ in range(3)], axis=2)
        return np.clip(soft + 2.0 * noise, 0, 255).astype(np.uint8)

    def measure(self, picture: Picture) -> np.ndarray:
        """Depth image (H, W) float32 metres in whole millimetres, 0 = missing."""
        disparity = self._reach / picture.depth
        coarse = self._noise(self._coarse)
        noisy = disparity + 0.07 * self._noise(self._fine) + 0.03 * coarse
        depth = self._reach / (np.maximum(np.rint(noisy * 8.0), 1.0) / 8.0)
        # Each region has a ragged border, as noise shifts the limit of each pixel.
        ragged = 0.6 * coarse + 0.4 * self._noise(self._fine)
        missing = self._shadow(disparity, 1.0 + 0.5 * ragged)
        missing |= self._edges(disparity, ragged)
        missing |= picture.brightness < 0.055 + 0.02 * ragged
        missing |= picture.mirror > 0.55 + 0.1 * ragged
        missing |= picture.cosine < 0.13 + 0.03 * ragged
        missing |= (picture.depth < NEAREST) | (picture.depth > FARTHEST)
        missing |= self._noise(self._fine) > 3.2
        depth[missing] = 0.0
        return np.rint(depth * 1000.0).astype(np.float32) * np.float32(0.001)

    @staticmethod
    def _shadow(disparity: np.ndarray, margin: np.ndarray) -> np.ndarray:
        # Seen from the projector, columns are x - disparity; where a pixel further right lands
        # at or left of this one, it stands in this one's light.
        column = np.arange(disparity.shape[1], dtype=np.float32) - disparity
        nearest = np.minimum.accumulate(column[:, ::-1], axis=1)[:, ::-1]
        return column > nearest + margin

    def _edges(self, disparity: np.ndarray, ragged: np.ndarray) -> np.ndarray:
        step = cv2.dilate(disparity, None) - cv2.erode(disparity, None)
        rim = cv2.dilate((step > 2.0 * self._scale).astype(np.uint8), None) > 0
        return rim & (ragged > -0.2)

    def _field(self, size: tuple[int, int], sigma: float) -> np.ndarray:
        noise = cv2.GaussianBlur(self._rng.standard_normal(size).astype(np.float32), (0, 0), sigma)
        return noise / noise.std()

    def _noise(self, fields: list[np.ndarray]) -> np.ndarray:
        # Shifting stored noise costs less than drawing new noise for each call.
        chosen = fields[int(self._rng.integers(len(fields)))]
        shift = (
            int(self._rng.integers(chosen.shape[0])),
            int(self._rng.integers(chosen.shape[1])),
        )
        return np.roll(chosen, shift, axis=(0, 1))
