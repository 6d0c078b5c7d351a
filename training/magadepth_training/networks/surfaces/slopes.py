# SPDX-License-Identifier: Apache-2.0
"""Slopes of surfaces at measured pixels, and their continuation into the holes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .diffusion import Links, pairs, settle, shares
from .fill import push_pull

EDGE = 0.1
"""Two neighbours whose depths differ by this share of their mean lie on two surfaces."""

STEPS, RADIUS = 32, 0.97


def slopes(depth: Tensor, valid: Tensor, links: Links) -> Tensor:
    """
    Return the slope of the depth from pixel to pixel, also in the holes.

    Between two measured neighbours of one surface it is their difference; a pixel takes the mean
    of both sides. From there the slopes spread into the holes as a depth would (`settle`): a wall
    that is seen in part continues as a plane.

    Parameters
    ----------
    depth:
        (B, C, H, W), 0 where missing; the first channel says where two neighbours are one surface.
    valid:
        (B, 1, H, W), 1 = measured, 0 = missing.
    links:
        between its pixels.

    Returns
    -------
    Tensor
        (B, 2 C, H, W): of each channel to the right, then of each down, for one pixel.

    """
    known, measured = [], []
    sides_of = (((1, 0), (0, 1)), ((0, 0, 1, 0), (0, 0, 0, 1)))
    for (one, other), (seen, also), (before, after) in zip(pairs(depth), pairs(valid), sides_of):
        step = other - one
        near = step[:, :1].abs() < 0.5 * EDGE * (one + other)[:, :1]
        same = near.to(depth.dtype) * seen * also
        sides = F.pad(same, before) + F.pad(same, after)
        total = F.pad(step * same, before) + F.pad(step * same, after)
        known.append(total / sides.clamp(min=1))
        measured.append((sides > 0).to(depth.dtype))
    both = measured[0] * measured[1]
    guess = push_pull(torch.cat(known, dim=1), both)
    return settle(guess, shares(links), both, STEPS, RADIUS)
