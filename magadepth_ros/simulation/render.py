# SPDX-License-Identifier: Apache-2.0
"""Cast one ray per pixel into a scene: depth, colour and properties of the surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from magadepth_ros.simulation.scene import TILE, TILES, Box, CameraPose, Scene, Sphere

_FAR = np.float32(1e6)
_CORNERS = np.array(list(product((-1, 1), repeat=3)))
_Planes = Sequence[np.ndarray] | np.ndarray


@dataclass(frozen=True)
class Picture:
    """
    The images of a perfect camera, all (H, W).

    ``rgb`` (H, W, 3) float32 0..255; ``depth`` float32 metres along z, complete; ``cosine`` of the
    angle between ray and surface normal; ``brightness`` of the surface under the camera's own
    infrared light, 0..1; ``mirror`` strength of the direct reflection of that light, 0..1;
    ``gloss`` of the surface, 0..1 mirror-like.
    """

    rgb: np.ndarray
    depth: np.ndarray
    cosine: np.ndarray
    brightness: np.ndarray
    mirror: np.ndarray
    gloss: np.ndarray


def render(scene: Scene, camera: CameraPose, width: int, height: int) -> Picture:
    """Cast one ray per pixel; its z is 1, so that its parameter is the depth."""
    fx, fy, cx, cy = camera.intrinsics
    x = ((np.arange(width) - cx) / fx).astype(np.float32)[None, :]
    y = ((np.arange(height) - cy) / fy).astype(np.float32)[:, None]
    turn = camera.rotation.astype(np.float32)
    # One plane per coordinate: a last axis of three numbers makes NumPy several times slower.
    rays = np.stack([x * turn[i, 0] + y * turn[i, 1] + turn[i, 2] for i in range(3)])
    hit = _Hits(height, width)
    _cast_box(scene.room, camera, rays, hit, 0, inside=True)
    for number, thing in enumerate(scene.objects, start=1):
        if isinstance(thing, Box):
            _cast_box(thing, camera, rays, hit, number)
        else:
            _cast_sphere(thing, camera, rays, hit, number)
    return _shade(scene, camera, rays, hit)


class _Hits:
    # The nearest surface of each ray so far.
    def __init__(self, height: int, width: int) -> None:
        self.depth = np.full((height, width), _FAR, np.float32)
        self.normal = np.zeros((3, height, width), np.float32)
        self.uv = np.zeros((2, height, width), np.float32)
        self.number = np.zeros((height, width), np.uint8)


def _window(camera: CameraPose, points: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice]:
    # The part of the image that can show something within these corner points.
    seen = (points - camera.position) @ camera.rotation
    height, width = shape
    if seen[:, 2].min() < 0.1:
        return slice(0, height), slice(0, width)
    fx, fy, cx, cy = camera.intrinsics
    x, y = seen[:, 0] / seen[:, 2] * fx + cx, seen[:, 1] / seen[:, 2] * fy + cy
    left, right = (int(v) for v in np.clip([x.min() - 1, x.max() + 2], 0, width))
    top, bottom = (int(v) for v in np.clip([y.min() - 1, y.max() + 2], 0, height))
    return slice(top, bottom), slice(left, right)


def _cast_box(
    box: Box, camera: CameraPose, rays: np.ndarray, hit: _Hits, number: int, inside: bool = False
) -> None:
    half = np.array(box.half, np.float32)
    cos, sin = np.cos(box.yaw), np.sin(box.yaw)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
    corners = (_CORNERS * half) @ turn.T + np.array(box.centre)
    window = _window(camera, corners, hit.depth.shape)
    ray_x, ray_y, ray_z = (plane[window] for plane in rays)
    if ray_x.size == 0:
        return
    origin = ((camera.position - box.centre) @ turn).astype(np.float32)
    cos, sin = turn[0, 0], turn[0, 2]
    # The planes a ray enters by and the planes it leaves by, per axis.
    middle, reach = [], []
    for start, side, plane in zip(
        origin,
        half,
        (cos * ray_x - sin * ray_z, ray_y, sin * ray_x + cos * ray_z),
        strict=True,
    ):
        inverse = np.float32(1.0) / np.where(np.abs(plane) < 1e-6, np.float32(1e-6), plane)
        middle.append(-start * inverse)
        reach.append(side * np.abs(inverse))
    enter = [m - r for m, r in zip(middle, reach, strict=True)]
    leave = [m + r for m, r in zip(middle, reach, strict=True)]
    if inside:
        depth = np.minimum(np.minimum(leave[0], leave[1]), leave[2])
        first = leave
        rows, columns = (index.ravel() for index in np.indices(depth.shape))
    else:
        depth = np.maximum(np.maximum(enter[0], enter[1]), enter[2])
        last = np.minimum(np.minimum(leave[0], leave[1]), leave[2])
        first = enter
        rows, columns = np.nonzero((depth > 0.05) & (depth < last) & (depth < hit.depth[window]))
    depth = depth[rows, columns]
    on_x, on_y = first[0][rows, columns] == depth, first[1][rows, columns] == depth
    x, y, z = ray_x[rows, columns], ray_y[rows, columns], ray_z[rows, columns]
    x, z = cos * x - sin * z, sin * x + cos * z
    u = np.where(on_x, origin[2] + depth * z, origin[0] + depth * x)
    v = np.where(on_y & ~on_x, origin[2] + depth * z, origin[1] + depth * y)
    normal_x = np.where(on_x, -np.sign(x), 0)
    normal_z = np.where(on_x | on_y, 0, -np.sign(z))
    rows += window[0].start
    columns += window[1].start
    hit.depth[rows, columns] = depth
    hit.normal[0][rows, columns] = cos * normal_x + sin * normal_z
    hit.normal[1][rows, columns] = np.where(on_y & ~on_x, -np.sign(y), 0)
    hit.normal[2][rows, columns] = cos * normal_z - sin * normal_x
    hit.uv[0][rows, columns] = u
    hit.uv[1][rows, columns] = v
    hit.number[rows, columns] = number


def _cast_sphere(
    ball: Sphere, camera: CameraPose, rays: np.ndarray, hit: _Hits, number: int
) -> None:
    corners = np.array(ball.centre) + _CORNERS * ball.radius
    window = _window(camera, corners, hit.depth.shape)
    direction = [plane[window] for plane in rays]
    if direction[0].size == 0:
        return
    offset = (camera.position - ball.centre).astype(np.float32)
    a = _dot(direction, direction)
    b = _dot(direction, offset)
    inner = b * b - a * np.float32(offset @ offset - ball.radius**2)
    depth = (-b - np.sqrt(np.maximum(inner, 0))) / a
    rows, columns = np.nonzero((inner > 0) & (depth > 0.05) & (depth < hit.depth[window]))
    depth = depth[rows, columns]
    normal = [
        (o + depth * d[rows, columns]) / np.float32(ball.radius)
        for o, d in zip(offset, direction, strict=True)
    ]
    rows += window[0].start
    columns += window[1].start
    hit.depth[rows, columns] = depth
    for plane, values in zip(hit.normal, normal, strict=True):
        plane[rows, columns] = values
    hit.uv[0][rows, columns] = np.arctan2(normal[0], normal[2]) * np.float32(ball.radius)
    hit.uv[1][rows, columns] = normal[1] * np.float32(ball.radius)
    hit.number[rows, columns] = number


def _dot(a: _Planes, b: _Planes) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _shade(scene: Scene, camera: CameraPose, rays: np.ndarray, hit: _Hits) -> Picture:
    materials = [scene.room.material] + [thing.material for thing in scene.objects]
    gloss = np.array([m.gloss for m in materials], np.float32)[hit.number]
    scale = np.array([TILE / m.texture_scale for m in materials], np.float32)[hit.number]
    tile = np.array([m.tile for m in materials], np.float32)[hit.number]
    # Floor and walls of the room differ in texture, or their corners could not be seen.
    tile[(hit.number == 0) & (hit.normal[1] != 0)] = (scene.room.material.tile + 1) % TILES
    u = hit.uv[0] * scale
    v = hit.uv[1] * scale
    u -= np.floor(u * np.float32(1 / TILE)) * TILE
    v -= np.floor(v * np.float32(1 / TILE)) * TILE
    texture = cv2.remap(scene.atlas, u + 1, v + tile * (TILE + 2) + 1, cv2.INTER_LINEAR)

    length = np.sqrt(_dot(rays, rays))
    to_light = [
        light - np.float32(start) - hit.depth * ray
        for light, start, ray in zip(scene.light, camera.position, rays, strict=True)
    ]
    distance = np.sqrt(_dot(to_light, to_light))
    lambert = np.maximum(_dot(hit.normal, to_light) / distance, 0)
    along = np.maximum(-_dot(hit.normal, rays) / length, 0)
    # Mirror image of the view ray, against the light, for the highlight.
    reflected = _dot(rays, to_light) / length + 2.0 * along * lambert * distance
    shine = gloss * _power(np.maximum(reflected / distance, 0), 4)
    light = (0.35 + 0.75 * lambert / (0.6 + 0.18 * distance)) * texture * np.float32(255)
    rgb = np.empty((*hit.depth.shape, 3), np.float32)
    for channel in range(3):
        colour = np.array([m.colour[channel] for m in materials], np.float32)[hit.number]
        rgb[..., channel] = colour * light + np.float32(204) * shine
    grey = np.array([np.mean(m.colour) for m in materials], np.float32)[hit.number]
    mirror = np.maximum(gloss * _power(along, 4), shine)
    return Picture(rgb, hit.depth, along, grey * texture * along, mirror, gloss)


def _power(values: np.ndarray, doublings: int) -> np.ndarray:
    # values ** (2 ** doublings), much faster than a power.
    for _ in range(doublings):
        values = values * values
    return values
