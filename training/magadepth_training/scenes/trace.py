# SPDX-License-Identifier: Apache-2.0
"""Ray tracing: the nearest primitive of each pixel, group by group, then its surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from magadepth_training.scenes import geometry
from magadepth_training.scenes.geometry import Camera, LocalRays, PointRays, Rays, total
from magadepth_training.scenes.layout import Layout
from magadepth_training.scenes.primitives import COUNT, GLASS_GROUPS, OPAQUE_GROUPS

_INTERSECT = {
    'box': geometry.box,
    'ellipsoid': geometry.ellipsoid,
    'frustum': geometry.frustum,
}
_KINDS = list(_INTERSECT)
ROOM_FACES = 6
SURFACES = COUNT + ROOM_FACES
"""Number of surfaces that have a material of their own: the primitives, then the room's faces."""


@dataclass
class Surface:
    """What rays hit; maps are (B, H, W), vectors are lists of three of them."""

    depth: torch.Tensor
    """Metres along the optical axis."""
    surface: torch.Tensor
    """int64 index of the surface, 0..SURFACES-1."""
    normal: list[torch.Tensor]
    """Unit normal in the world, towards the camera."""
    ray: list[torch.Tensor]
    """From the camera's origin to the point, in the world [m]."""
    u: torch.Tensor
    """Coordinate on the surface [m]."""
    v: torch.Tensor
    """Coordinate on the surface [m], across ``u``."""


def nearest(
    make_rays: Callable[[torch.Tensor, torch.Tensor], Rays],
    layout: Layout,
    groups: tuple,
    near: torch.Tensor | float,
    at_once: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Return depth and index (B, H, W) of the nearest primitive of some groups.

    ``make_rays`` puts the rays into the frames of primitives given by centres and rotations.
    ``near`` is a number or a map (B, 1, H, W): nothing nearer is hit. ``at_once`` primitives are
    in memory together. Where nothing is hit the depth is MISS and the index that of the first.
    """
    depth: torch.Tensor | None = None
    index: torch.Tensor | None = None
    for kind, first, last in groups:
        for start in range(first, last, at_once):
            part = slice(start, min(start + at_once, last))
            rays = make_rays(layout.centre[:, part], layout.rotation[:, part])
            t, k = _INTERSECT[kind](rays, layout.half[:, part], near).min(1)
            k = k + start
            if depth is None or index is None:
                depth, index = t, k
            else:
                closer = t < depth
                depth, index = torch.where(closer, t, depth), torch.where(closer, k, index)
    assert depth is not None and index is not None  # every group list names a primitive
    return depth, index


def room_depth(camera: Camera, layout: Layout) -> torch.Tensor:
    """Depth (B, H, W) of the room's walls, floor and ceiling."""
    half = layout.room_half[:, None]
    eye = torch.eye(3).to(half.device).expand(half.shape[0], 1, 3, 3)
    return geometry.room(LocalRays(camera, layout.room_centre[:, None], eye), half)[:, 0]


def _seen(
    camera: Camera, layout: Layout, groups: tuple, near: torch.Tensor | float, pairs: int
) -> tuple[torch.Tensor, torch.Tensor]:
    at_once = max(1, pairs // (camera.y.numel() * camera.x.shape[1]))
    return nearest(partial(LocalRays, camera), layout, groups, near, at_once)


def opaque(
    camera: Camera, layout: Layout, near: torch.Tensor | float, pairs: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth and primitive (B, H, W) of what is solid; COUNT is the room, which ends every ray."""
    depth, index = _seen(camera, layout, OPAQUE_GROUPS, near, pairs)
    walls = room_depth(camera, layout)
    inside = depth < walls
    return torch.where(inside, depth, walls), torch.where(inside, index, COUNT)


def glass(
    camera: Camera, layout: Layout, near: float, pairs: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth and primitive (B, H, W) of the nearest glass; MISS where there is none."""
    return _seen(camera, layout, GLASS_GROUPS, near, pairs)


def lit(light: torch.Tensor, ray: list[torch.Tensor], layout: Layout, pairs: int) -> torch.Tensor:
    """1 where the light (B, 3) reaches the points ``light + ray``, else 0; (B, H, W)."""
    at_once = max(1, pairs // ray[0].numel())
    first, _ = nearest(partial(PointRays, light, ray), layout, OPAQUE_GROUPS, 1e-3, at_once)
    return (first > 0.99).float()


def _tables(layout: Layout) -> torch.Tensor:
    """Parameters (16, B * (COUNT + 1)) of the primitives and the room, for look-up by pixel."""
    batch, device = layout.centre.shape[0], layout.centre.device
    centre = torch.cat([layout.centre, layout.room_centre[:, None]], 1)
    half = torch.cat([layout.half, layout.room_half[:, None]], 1)
    eye = torch.eye(3).to(device).expand(batch, 1, 3, 3)
    rotation = torch.cat([layout.rotation, eye], 1).flatten(2)
    kinds = torch.zeros(COUNT + 1)
    for name, first, last in (*OPAQUE_GROUPS, *GLASS_GROUPS):
        kinds[first:last] = _KINDS.index(name)
    kind = kinds.to(device).expand(batch, -1)[..., None]
    return torch.cat([rotation, centre, half, kind], -1).flatten(0, 1).T.contiguous()


def surface(camera: Camera, layout: Layout, depth: torch.Tensor, index: torch.Tensor) -> Surface:
    """Return normals and surface coordinates at the hits ``depth``, ``index`` (B, H, W)."""
    batch, height, width = depth.shape
    offset = torch.arange(batch, device=depth.device)[:, None, None] * (COUNT + 1)
    table = _tables(layout).index_select(1, (index + offset).flatten())
    values = table.view(16, batch, height, width).unbind(0)
    rotation, centre, half, kind = values[:9], values[9:12], values[12:15], values[15]

    def world(axis: int, v: torch.Tensor) -> torch.Tensor:
        return v[:, axis, None, None]

    offset3 = [
        world(i, camera.origin)
        - centre[i]
        + depth
        * (
            world(i, camera.right) * camera.x[:, None, :]
            + (world(i, camera.down) * camera.y[:, :, None] + world(i, camera.forward))
        )
        for i in range(3)
    ]
    local = [total(rotation[3 * i + j] * offset3[i] for i in range(3)) for j in range(3)]

    # Boxes and the room: the face is the axis along which the point is farthest out.
    q = [local[i] / half[i] for i in range(3)]
    size = [x.abs() for x in q]
    on_x = (size[0] >= size[1]) & (size[0] >= size[2])
    on_y = ~on_x & (size[1] >= size[2])
    on_z = ~on_x & ~on_y
    face = [torch.sign(q[0]) * on_x, torch.sign(q[1]) * on_y, torch.sign(q[2]) * on_z]
    box_u = torch.where(on_x, local[1], local[0])
    box_v = torch.where(on_z, local[1], local[2])

    # Ellipsoids: the gradient of the quadric. Their coordinates are arc lengths at the equator.
    bulge = [q[i] / half[i] for i in range(3)]
    angle = torch.atan2(local[1], local[0])
    ball_v = torch.asin(q[2].clamp(-1.0, 1.0)) * half[2]

    # Frusta: half holds both radii and half the height.
    middle, slope = 0.5 * (half[0] + half[1]), (half[1] - half[0]) / (2.0 * half[2])
    cap = local[2].abs() > half[2] * 0.9995
    radial = torch.sqrt(local[0] * local[0] + local[1] * local[1])
    cone = [
        torch.where(cap, 0.0, local[0]),
        torch.where(cap, 0.0, local[1]),
        torch.where(cap, torch.sign(local[2]), -slope * radial),
    ]

    is_ball, is_cone = kind == 1.0, kind == 2.0
    n = [torch.where(is_cone, cone[i], torch.where(is_ball, bulge[i], face[i])) for i in range(3)]
    normal = [total(rotation[3 * i + j] * n[j] for j in range(3)) for i in range(3)]
    # Towards the camera: against the ray, which turns the room's faces inwards too.
    ray = [offset3[i] + centre[i] - world(i, camera.origin) for i in range(3)]
    dot = total(normal[i] * ray[i] for i in range(3))
    length = torch.sqrt(total(x * x for x in normal)).clamp_(min=1e-12)
    factor = torch.where(dot > 0.0, -1.0, 1.0) / length
    u = torch.where(is_cone & ~cap, angle * middle, torch.where(is_ball, angle * half[0], box_u))
    u = torch.where(is_cone & cap, local[0], u)
    v = torch.where(is_ball, ball_v, torch.where(is_cone & cap, local[1], box_v))
    v = torch.where(is_cone & ~cap, local[2], v)

    which = on_y * 2 + on_z * 4 + (q[0] * on_x + q[1] * on_y + q[2] * on_z > 0.0)
    index = torch.where(index == COUNT, COUNT + which.long(), index)
    return Surface(depth, index, [x * factor for x in normal], ray, u, v)
