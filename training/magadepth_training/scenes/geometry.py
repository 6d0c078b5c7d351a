# SPDX-License-Identifier: Apache-2.0
"""Intersections of camera rays with boxes, ellipsoids and conical frusta, batched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch

MISS = 1.0e6
"""Depth of a ray that meets nothing [m]; finite, so that arithmetic on it stays clean."""


def total(terms: Iterable[torch.Tensor]) -> torch.Tensor:
    """Sum of at least one tensor; the built-in ``sum`` starts from the number 0."""
    first, *others = terms
    for term in others:
        first = first + term
    return first


Some = TypeVar('Some', bound='Batched')


@dataclass
class Batched:
    """Fields of tensors whose first axis is the batch."""

    def __getitem__(self: Some, samples: slice) -> Some:
        """Take a part of the batch (views, no copy)."""
        return type(self)(*(getattr(self, f.name)[samples] for f in fields(self)))


@dataclass
class Camera(Batched):
    """
    Pinhole cameras in the world (Z up).

    A pixel's ray is ``origin + t * (x * right + y * down + forward)`` with x, y the normalised
    image coordinates, so that t is the depth along the optical axis. The three axes need not be
    right-handed: a camera seen in a mirror is not.
    """

    origin: torch.Tensor
    """(B, 3) metres."""
    right: torch.Tensor
    """(B, 3) unit."""
    down: torch.Tensor
    """(B, 3) unit."""
    forward: torch.Tensor
    """(B, 3) unit."""
    x: torch.Tensor
    """(B, W) normalised column coordinates, (u - cx) / fx."""
    y: torch.Tensor
    """(B, H) normalised row coordinates, (v - cy) / fy."""
    intrinsics: torch.Tensor
    """(B, 4) fx, fy, cx, cy in pixels."""

    def reflected(self, point: torch.Tensor, normal: torch.Tensor) -> Camera:
        """Mirror the cameras at planes given by a point and a unit normal, both (B, 3)."""

        def reflect(v: torch.Tensor) -> torch.Tensor:
            return v - 2.0 * (v * normal).sum(-1, keepdim=True) * normal

        return replace(
            self,
            origin=reflect(self.origin - point) + point,
            right=reflect(self.right),
            down=reflect(self.down),
            forward=reflect(self.forward),
        )


class LocalRays:
    """
    Rays in the frames of G primitives: origins (B, G, 1, 1) and directions (B, G, H, W) per axis.

    A direction is a sum of a term per column and a term per row, so each axis costs one addition
    per ray and no rotation.
    """

    def __init__(self, camera: Camera, centre: torch.Tensor, rotation: torch.Tensor) -> None:
        """Take centres (B, G, 3) and rotations (B, G, 3, 3), columns = local axes in the world."""

        def turn(v: torch.Tensor) -> torch.Tensor:  # written out: a matmul could run in TF32
            return (rotation * v[..., None]).sum(-2)

        origin = turn(camera.origin[:, None] - centre)
        right = turn(camera.right[:, None])
        down = turn(camera.down[:, None])
        forward = turn(camera.forward[:, None])
        self.origin = [origin[..., i, None, None] for i in range(3)]
        self._columns = [right[..., i, None, None] * camera.x[:, None, None, :] for i in range(3)]
        self._rows = [
            down[..., i, None, None] * camera.y[:, None, :, None] + forward[..., i, None, None]
            for i in range(3)
        ]

    def direction(self, axis: int) -> torch.Tensor:
        """(B, G, H, W) component of the directions along a local axis."""
        return self._columns[axis] + self._rows[axis]


class PointRays:
    """Rays from one point per scene to the points of a map, in the frames of G primitives."""

    def __init__(
        self,
        start: torch.Tensor,
        ray: list[torch.Tensor],
        centre: torch.Tensor,
        rotation: torch.Tensor,
    ) -> None:
        """Take starts (B, 3) and three ray components (B, H, W); t = 1 is the map's point."""
        origin = (rotation * (start[:, None] - centre)[..., None]).sum(-2)
        self.origin = [origin[..., i, None, None] for i in range(3)]
        self._rotation, self._ray = rotation, [r[:, None] for r in ray]

    def direction(self, axis: int) -> torch.Tensor:
        """(B, G, H, W) component of the directions along a local axis."""
        column = self._rotation[..., axis, None, None]
        return total(column[:, :, i] * self._ray[i] for i in range(3))


Rays = LocalRays | PointRays


def room(rays: Rays, half: torch.Tensor) -> torch.Tensor:
    """Depth at which rays leave a box from the inside; half sizes (B, G, 3)."""
    leave = []
    for i in range(3):
        along = rays.direction(i)
        # A ray along a wall would give inf - inf; boxes may miss such a ray, the room may not.
        inverse = torch.where(along.abs() < 1e-7, 1e-7, along).reciprocal_()
        leave.append(half[..., i, None, None] * inverse.abs() - rays.origin[i] * inverse)
    return torch.minimum(torch.minimum(leave[0], leave[1]), leave[2])


def box(rays: Rays, half: torch.Tensor, near: torch.Tensor | float) -> torch.Tensor:
    """Depth at which rays enter boxes of half sizes (B, G, 3), MISS where not beyond ``near``."""
    lows, highs = [], []
    for i in range(3):
        inverse = rays.direction(i).reciprocal_()
        middle = inverse * rays.origin[i]
        reach = inverse.abs_().mul_(half[..., i, None, None])
        lows.append(-(middle + reach))
        highs.append(reach.sub_(middle))
    enter = torch.maximum(torch.maximum(lows[0], lows[1]), lows[2])
    leave = torch.minimum(torch.minimum(highs[0], highs[1]), highs[2])
    return torch.where((enter < leave) & (enter > near), enter, MISS)


def ellipsoid(rays: Rays, half: torch.Tensor, near: torch.Tensor | float) -> torch.Tensor:
    """Depth at which rays enter ellipsoids of half axes (B, G, 3), MISS where not."""
    scale = half.reciprocal()
    d = [rays.direction(i).mul_(scale[..., i, None, None]) for i in range(3)]
    o = [rays.origin[i] * scale[..., i, None, None] for i in range(3)]
    square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    closest = -(o[0] * d[0] + o[1] * d[1] + o[2] * d[2]) / square
    # The distance at the closest approach keeps its digits; the textbook discriminant loses
    # them for a small sphere far away.
    miss = total((o[i] + closest * d[i]).square_() for i in range(3))
    enter = closest - torch.sqrt(((1.0 - miss) / square).clamp_(min=0.0))
    return torch.where((miss < 1.0) & (enter > near), enter, MISS)


def frustum(rays: Rays, half: torch.Tensor, near: torch.Tensor | float) -> torch.Tensor:
    """
    Depth at which rays enter capped cones about their local Z, MISS where not.

    ``half`` is (B, G, 3): radius at z = -h, radius at z = +h, and h; equal radii are a cylinder.
    """
    low, high, h = (half[..., i, None, None] for i in range(3))
    radius, slope = (low + high) * 0.5, (high - low) / (2.0 * h)
    dx, dy, dz = (rays.direction(i) for i in range(3))
    # Move the origin beside the primitive first: at its own scale fp32 resolves a thin cable.
    shift = -(rays.origin[0] * dx + rays.origin[1] * dy + rays.origin[2] * dz) / (
        dx * dx + dy * dy + dz * dz
    )
    ox, oy, oz = (
        rays.origin[0] + shift * dx,
        rays.origin[1] + shift * dy,
        rays.origin[2] + shift * dz,
    )
    r, dr = radius + slope * oz, slope * dz
    a = dx * dx + dy * dy - dr * dr
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    b = ox * dx + oy * dy - r * dr
    root = b * b - a * (ox * ox + oy * oy - r * r)
    solid = root > 0.0
    root = torch.sqrt(root.clamp_(min=0.0))
    best = torch.full_like(a, MISS)
    for t in ((-b - root) / a, (-b + root) / a):
        z = oz + t * dz
        ok = solid & (z.abs() <= h) & (radius + slope * z > 0.0) & (t + shift > near)
        best = torch.minimum(best, torch.where(ok, t + shift, MISS))
    for side, limit in ((-h, low), (h, high)):
        t = (side - oz) / dz
        px, py = ox + t * dx, oy + t * dy
        ok = (px * px + py * py < limit * limit) & (t + shift > near)
        best = torch.minimum(best, torch.where(ok, t + shift, MISS))
    return best
