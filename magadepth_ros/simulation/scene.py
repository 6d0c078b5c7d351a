# SPDX-License-Identifier: Apache-2.0
"""A random room with furniture and textures, and the path of a camera in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

TILE = 256
"""Side of a texture tile [px]; it covers ``texture_scale`` metres."""

TILES = 6


@dataclass(frozen=True)
class CameraPose:
    """A pinhole at ``position`` [m], world axes x right, y down, z forward at rest."""

    position: np.ndarray
    rotation: np.ndarray
    intrinsics: tuple[float, float, float, float]

    @staticmethod
    def on_path(
        angle: float, intrinsics: tuple[float, float, float, float], seed: int = 0
    ) -> CameraPose:
        """Return the pose at ``angle`` [rad] of a closed path, which looks at the furniture."""
        phase = 0.7 * seed
        position = np.array(
            [
                0.35 * np.sin(angle + phase),
                -1.35 + 0.10 * np.sin(2 * angle),
                -0.85 + 0.20 * np.cos(angle),
            ]
        )
        target = np.array([0.12 * np.cos(angle), -0.72 + 0.04 * np.sin(angle), 1.0])
        forward = (target - position) / np.linalg.norm(target - position)
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
        return CameraPose(
            position, np.stack([right, np.cross(forward, right), forward], axis=1), intrinsics
        )


@dataclass(frozen=True)
class Material:
    """``colour`` (3,) 0..1; ``tile`` of the texture atlas; ``gloss`` 0..1 mirror-like."""

    colour: tuple[float, float, float]
    tile: int
    gloss: float = 0.0
    texture_scale: float = 1.0


@dataclass(frozen=True)
class Box:
    """A box turned by ``yaw`` [rad] about the vertical; ``half`` are half its sides [m]."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float
    material: Material


@dataclass(frozen=True)
class Sphere:
    """A ball of ``radius`` [m]."""

    centre: tuple[float, float, float]
    radius: float
    material: Material


@dataclass
class Scene:
    """A room (a box that contains the camera), the objects in it, and textures."""

    room: Box
    objects: list[Box | Sphere]
    atlas: np.ndarray
    light: np.ndarray = field(default_factory=lambda: np.array([0.8, -2.3, -0.6], np.float32))


def random_scene(seed: int) -> Scene:
    """Make a room with a table, boxes and balls on it, and dark and glossy objects beside it."""
    rng = np.random.default_rng(seed)

    def material(low: float, high: float, gloss: float = 0.0, scale: float = 1.0) -> Material:
        red, green, blue = rng.uniform(low, high, 3)
        return Material((red, green, blue), int(rng.integers(TILES)), gloss, scale)

    room = Box((0.0, -1.25, 0.6), (2.3, 1.25, 2.6), 0.0, material(0.55, 0.85))
    table = 0.72 + rng.uniform(-0.05, 0.05)
    objects: list[Box | Sphere] = [
        Box((0.0, -table, 0.9), (0.85, 0.025, 0.5), rng.uniform(-0.2, 0.2), material(0.4, 0.7)),
        Box((0.0, -table / 2, 1.0), (0.06, table / 2, 0.06), 0.3, material(0.1, 0.3)),
        # a dark cupboard and a dark, glossy screen: an infrared camera hardly sees them
        Box((-1.5, -0.9, 2.3), (0.45, 0.9, 0.35), 0.25, material(0.02, 0.07)),
        Box((0.45, -table - 0.24, 1.15), (0.28, 0.17, 0.015), -0.35, material(0.02, 0.05, 0.9)),
        Box((1.4, -0.45, 2.0), (0.4, 0.45, 0.4), -0.5, material(0.4, 0.9, 0.0, 0.6)),
    ]
    for slot in range(4):
        half = rng.uniform(0.05, 0.14, 3)
        centre = (
            -0.62 + 0.36 * slot + rng.uniform(-0.05, 0.05),
            -table - 0.025 - half[1],
            0.75 + rng.uniform(-0.12, 0.12),
        )
        objects.append(
            Box(centre, tuple(half), rng.uniform(0, 1.5), material(0.2, 0.95, 0.0, 0.4))
        )
    for slot in range(4):
        radius = rng.uniform(0.05, 0.10)
        centre = (-0.45 + 0.33 * slot, -table - 0.025 - radius, 0.52 + rng.uniform(-0.04, 0.04))
        gloss = 0.9 if slot % 2 else 0.1
        objects.append(Sphere(centre, radius, material(0.2, 0.9, gloss, 0.3)))
    objects.append(Sphere((-1.0, -0.28, 1.2), 0.28, material(0.5, 0.95, 0.3)))
    return Scene(room, objects, _atlas(rng))


def _atlas(rng: np.random.Generator) -> np.ndarray:
    # Tiles of grey texture, one over the other, each framed by its own opposite border so that
    # bilinear sampling wraps around: (TILES * (TILE + 2), TILE + 2) float32, 0.4 to 1.
    tiles = []
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32) / TILE
    for kind in range(TILES):
        noise = np.zeros((TILE, TILE), np.float32)
        for sigma, weight in ((16, 1.0), (5, 0.6), (1.5, 0.3)):
            layer = rng.standard_normal((3 * TILE, 3 * TILE)).astype(np.float32)
            layer = np.tile(layer[:TILE, :TILE], (3, 3))
            layer = cv2.GaussianBlur(layer, (0, 0), sigma)[TILE : 2 * TILE, TILE : 2 * TILE]
            noise += weight * layer / layer.std()
        wave = np.sin(2 * np.pi * (8 * x + 0.15 * noise))
        checker = np.sign(np.sin(8 * np.pi * x) * np.sin(8 * np.pi * y))
        tile = (0.15 * noise, 0.5 * wave, 0.6 * checker + 0.1 * noise)[kind % 3]
        tile = cv2.normalize(tile, None, 0.55 if kind % 3 else 0.75, 1.0, cv2.NORM_MINMAX)
        tiles.append(cv2.copyMakeBorder(tile, 1, 1, 1, 1, cv2.BORDER_WRAP))
    return np.ascontiguousarray(np.concatenate(tiles))
