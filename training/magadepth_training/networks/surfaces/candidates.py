# SPDX-License-Identifier: Apache-2.0
"""
The complete surfaces among which a network chooses for each pixel.

A fill is wrong where it follows the wrong surface. So the candidates follow different ones: the
guided fill, in depth and in inverse depth (in which planes are affine, and the noise of stereo and
structured light is uniform), a smooth interpolation, the first surface that was measured to the
left, right, above and below, at its depth and continued along its slope, and an upright surface
that stands on the one below.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .fill import enlarge, mean_valid, push_pull
from .guided_fill import guided_fill
from .logarithm import logarithm

DIRECTIONS = ('left', 'right', 'above', 'below')

NAMES = (
    'guided fill',
    'guided fill of the inverse depth',
    'push-pull',
    *DIRECTIONS,
    *(f'{name}, at its slope' for name in DIRECTIONS),
    'upright on the surface below',
)
"""Of the K candidates, in their order; the first is what the others are compared with."""

BEYOND = 1.6
"""Largest depth of a candidate, as a multiple of the farthest measurement; the least is the
inverse multiple of the nearest."""

FOCAL_LENGTH = 0.9
"""Focal length of an ordinary RGB-D camera [picture widths], for the slope of upright surfaces."""

_SMALL = 1e-6


class First(NamedTuple):
    """
    The first measured pixel in one direction, for every pixel.

    ``place`` (B, 1, H, W) int64 is its number among the B H W pixels of the batch, the pixel's own
    where that is measured; ``distance`` (B, 1, H, W) [px]; ``found`` is 1 where there is one,
    else 0; ``dim`` is the dimension that it lies along.
    """

    place: Tensor
    distance: Tensor
    found: Tensor
    dim: int

    def take(self, x: Tensor) -> Tensor:
        """
        (B, C, H, W) -> its values at the first measured pixels, same shape.

        One index for all channels: OpenVINO gathers single elements in a plain loop, which takes
        four times as long.
        """
        channels, height, width = (int(size) for size in x.shape[1:])
        rows = x.transpose(0, 1).reshape(channels, -1)
        taken = rows.index_select(1, self.place.reshape(-1))
        return taken.reshape(channels, -1, height, width).transpose(0, 1)


class Candidates(NamedTuple):
    """
    A frame's surfaces, relative to ``scale`` (B, 1, 1, 1), its mean measured depth [m].

    ``depths`` (B, K, H, W), complete and positive, K as in `NAMES`; ``logs`` are their natural
    logarithms; ``deviation`` (B, 1, H, W) is the expected error of the guided fill; ``valid``
    (B, 1, H, W) is 1 where depth was measured; ``first`` are the measured pixels in the four
    `DIRECTIONS`.
    """

    depths: Tensor
    logs: Tensor
    deviation: Tensor
    valid: Tensor
    scale: Tensor
    first: list[First]


def find_candidates(rgb: Tensor, depth: Tensor) -> Candidates:
    """
    Make the candidates of a batch; nothing in them is learned.

    Parameters
    ----------
    rgb:
        (B, 3, H, W) in 0..1; H and W multiples of 8.
    depth:
        (B, 1, H, W) metres, 0 = missing.

    Returns
    -------
    Candidates
        every candidate is the measurement where there is one, and the mean depth where the frame
        has no measurement at all.

    """
    valid = (depth > 0).to(depth.dtype)
    scale = mean_valid(depth, valid, otherwise=1.0)
    relative = depth / scale
    inverse = valid / torch.where(valid > 0, relative, 1.0)
    fill = guided_fill(rgb, torch.cat([relative, inverse], dim=1), valid)
    surfaces = fill.depth[:, 1:]
    slopes = enlarge(enlarge(fill.slopes[:, 1::2])) / 4  # of the inverse depth
    first = first_measured(valid)
    at_depth, at_slope, upright = [], [], surfaces
    for name, one in zip(DIRECTIONS, first):
        axis = 0 if one.dim == 3 else 1
        toward = one.distance if name in ('left', 'above') else -one.distance
        if name == 'below':
            there, across, along = one.take(torch.cat([surfaces, slopes], dim=1)).chunk(3, dim=1)
            upright = _upright(there, across, along, one)
            slope = along
        else:
            there, slope = one.take(
                torch.cat([surfaces, slopes[:, axis : axis + 1]], dim=1)
            ).chunk(2, dim=1)
        at_depth.append(torch.where(one.found > 0, there, surfaces))
        at_slope.append(torch.where(one.found > 0, there + slope * toward, surfaces))
    upright = torch.where(first[-1].found > 0, upright, surfaces)
    others = torch.cat([surfaces, push_pull(inverse, valid), *at_depth, *at_slope, upright], dim=1)
    far = (relative * valid).amax(dim=(2, 3), keepdim=True)
    near = torch.where(valid > 0, relative, far).amin(dim=(2, 3), keepdim=True)
    low, high = near / BEYOND, far * BEYOND
    others = 1 / torch.clamp(others, 1 / (high + _SMALL), 1 / (low + _SMALL))
    depths = torch.cat([fill.depth[:, :1], others], dim=1)
    depths = torch.where(valid > 0, relative, torch.clamp(depths, low, high))
    depths = torch.where(far > 0, depths, 1.0)
    return Candidates(depths, logarithm(depths), fill.deviation, valid, scale, first)


def first_measured(valid: Tensor) -> list[First]:
    """Find the first measured pixel in each of the `DIRECTIONS`; ``valid`` is (B, 1, H, W)."""
    found = []
    for dim in (3, 2):
        size = int(valid.shape[dim])
        place = torch.arange(size, dtype=valid.dtype, device=valid.device)
        place = place if dim == 3 else place[:, None]
        for backwards in (False, True):
            # Counted from 1 on in the direction of the scan, so that 0 says that there is none.
            count = size - place if backwards else place + 1
            last = _running_maximum(count * valid, dim, backwards)
            seen = (last > 0).to(valid.dtype)
            last = torch.where(last > 0, last, count)
            index = size - last if backwards else last - 1
            found.append(First(_numbers(index.long(), dim), count - last, seen, dim))
    return found


def _numbers(place: Tensor, dim: int) -> Tensor:
    """Columns (of `dim` 3) or rows (B, 1, H, W) of pixels -> their numbers in the batch."""
    batch, _, height, width = place.shape
    frame = (torch.arange(batch, device=place.device) * (height * width)).reshape(-1, 1, 1, 1)
    if dim == 3:
        return frame + torch.arange(height, device=place.device)[:, None] * width + place
    return frame + place * width + torch.arange(width, device=place.device)


def _running_maximum(x: Tensor, dim: int, backwards: bool) -> Tensor:
    """Return the maximum from the border up to each pixel, of values that are not negative."""
    size, step = int(x.shape[dim]), 1
    while step < size:
        pad = [0, 0, 0, 0]
        pad[2 * (3 - dim) + (1 if backwards else 0)] = step
        x = torch.maximum(x, F.pad(x.narrow(dim, step if backwards else 0, size - step), pad))
        step *= 2
    return x


def _upright(there: Tensor, across: Tensor, along: Tensor, below: First) -> Tensor:
    """
    Return the inverse depth of a surface that stands on the one found below, facing the camera.

    ``there`` is the inverse depth found below, ``across`` and ``along`` its slopes [1 / px], all
    (B, 1, H, W). A plane of normal n at distance D has the inverse depth n.r / D along the ray r,
    so the slopes tell n; the upright plane's normal is the direction to its foot without n.
    """
    height, width = int(there.shape[2]), int(there.shape[3])
    focal = FOCAL_LENGTH * width
    x = torch.arange(width, dtype=there.dtype, device=there.device)
    y = torch.arange(height, dtype=there.dtype, device=there.device)[:, None]
    ray_x, ray_y = (x - 0.5 * (width - 1)) / focal, (y - 0.5 * (height - 1)) / focal
    foot_y = ray_y + below.distance / focal
    normal_x, normal_y = across * focal, along * focal
    normal_z = there - normal_x * ray_x - normal_y * foot_y
    squared = normal_x**2 + normal_y**2 + normal_z**2 + _SMALL
    # There n.r = `there`, so the part of the ray (x, y, 1) along n is there / |n|^2 times n.
    share = there / squared
    facing_x, facing_y = ray_x - share * normal_x, foot_y - share * normal_y
    facing_z = 1 - share * normal_z
    at_foot = facing_x * ray_x + facing_y * foot_y + facing_z
    here = facing_x * ray_x + facing_y * ray_y + facing_z
    return there * here / at_foot.clamp(min=1e-3)
