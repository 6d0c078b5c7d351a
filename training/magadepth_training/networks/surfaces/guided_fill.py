# SPDX-License-Identifier: Apache-2.0
"""
The guided fill: surfaces continue at their slope up to the edges of the picture.

Nothing in it is learned. Links between neighbouring pixels are strong where colours are alike. The
depth diffuses over them, coarse to fine: each size starts from the coarser one, as in a cascadic
multigrid. Depth edges that appear are sharpened: links across them are weakened and the diffusion
is run again (iteratively reweighted least squares). On recorded frames the error is clearly below
that of colorization, which continues no slopes, at a thousandth of its work.

The same diffusion computes a pixel's distance from measurements: the mean number of steps of a
random walk over the links to one, which has the shape of the variance of a Gaussian random field.
The expected error of the fill follows from it and from the unevenness of the depth around.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .diffusion import (
    Links,
    coarser_links,
    colour_links,
    pairs,
    settle,
    shares,
    slope_source,
)
from .fill import enlarge, halve_valid, push_pull
from .slopes import slopes

STEPS = (1, 16, 32, 64)
"""At the full size, 1/2, 1/4 and 1/8; coarse ones are cheap and reach far."""

RADIUS = (0.0, 0.95, 0.99, 0.998)

SHARPENED = (1, 2)
"""Levels whose links are weighed by the depth found."""

SLOPES_FROM = 2
"""Level whose cells average enough pixels for a steady slope and few enough to keep edges."""

SOFT_STEP = 0.05
"""Deviation from the slope, relative to the depth, that halves a link."""

BEYOND = 1.25
"""Largest depth of a fill, as a multiple of the farthest measurement; the least is the inverse
multiple of the nearest."""

NOISE, PER_STEP = 0.002, 0.001
"""Deviation [share of the depth] of a measurement, and what the root of a step adds to it."""

WINDOW = 5
"""Pixels of half the size, across, in which the depth's unevenness is taken."""

_SMALL = 1e-6


class GuidedFill(NamedTuple):
    """
    The result of a fill, in the unit of the input.

    ``depth`` (B, C, H, W) like the input, without holes; ``deviation`` (B, 1, H, W), the expected
    error of its first channel; ``slopes`` (B, 2 C, H / 4, W / 4), the difference of each channel
    across and down a pixel of that size.
    """

    depth: Tensor
    deviation: Tensor
    slopes: Tensor


def guided_fill(rgb: Tensor, depth: Tensor, valid: Tensor) -> GuidedFill:
    """
    Fill the missing pixels of a depth along the surfaces of its picture.

    Parameters
    ----------
    rgb:
        (B, 3, H, W) in 0..1; H and W multiples of 8.
    depth:
        (B, C, H, W) in units of which it is about 1, such as its own mean, 0 where missing. With
        C = 2 the second channel is the inverse depth: it is filled over the same links.
    valid:
        (B, 1, H, W), 1 = measured, 0 = missing.

    Returns
    -------
    GuidedFill
        the input where valid, an extrapolation elsewhere; 0 without any valid pixel.

    """
    levels = [(depth * valid, valid)]
    links, picture = [colour_links(rgb)], rgb
    for _ in STEPS[1:]:
        picture = F.avg_pool2d(picture, 2)
        levels.append(halve_valid(*levels[-1]))
        links.append(coarser_links(links[-1], picture))
    gradients = slopes(*levels[SLOPES_FROM], links[SLOPES_FROM])
    sloping = _at_every_level(gradients)
    x = push_pull(*levels[-1])
    # The last channel is the random walk's length.
    both = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
    for level in reversed(range(1, len(STEPS))):
        value, mask = levels[level]
        known = torch.cat([value, torch.zeros_like(value[:, :1])], dim=1)
        both = known + (1 - mask) * both
        both = _settle(both, links[level], sloping[level], mask, level, STEPS[level])
        if level in SHARPENED:
            sharper = _sharper(links[level], both[:, :1], sloping[level])
            both = _settle(both, sharper, sloping[level], mask, level, STEPS[level] // 2)
        if level > 1:
            both = enlarge(both)
    # Long slopes may lead behind the camera; the clipped amount adds to the expected error.
    half = _within_bounds(both[:, :-1], depth, valid)
    cut = (both[:, :1] - half[:, :1]).abs()
    walk = torch.sqrt(both[:, -1:].clamp(min=0) + _SMALL)
    nearest = half[:, :1]
    deviation = enlarge((NOISE + PER_STEP * walk) * nearest + _unevenness(nearest) + cut)
    # At the full size, noise hides the slopes, and the expected error is smooth.
    known, missing = levels[0][0], 1 - valid
    x = settle(known + missing * enlarge(half), shares(links[0]), valid, STEPS[0], RADIUS[0])
    return GuidedFill(torch.where(valid > 0, depth, x), deviation, gradients)


def _settle(
    both: Tensor, links: Links, slopes: Tensor, mask: Tensor, level: int, steps: int
) -> Tensor:
    """Diffuse depths and walk, (B, C + 1, H, W); a step at half the size counts as four."""
    around = shares(links)
    source = slope_source(around, slopes)
    sources = torch.cat([source, torch.full_like(source[:, :1], 4.0**level)], dim=1)
    return settle(both, around, mask, steps, RADIUS[level], sources)


def _at_every_level(slopes: Tensor) -> dict[int, Tensor]:
    """Slopes by level, from those of `SLOPES_FROM`; a pixel of half the size is twice as wide."""
    at = {SLOPES_FROM: slopes}
    for level in range(SLOPES_FROM + 1, len(STEPS)):
        at[level] = 2 * F.avg_pool2d(at[level - 1], 2)
    for level in range(SLOPES_FROM - 1, 0, -1):
        at[level] = 0.5 * enlarge(at[level + 1])
    return at


def _sharper(links: Links, x: Tensor, slopes: Tensor) -> Links:
    """Weigh links down where x leaves the slope."""
    across, along = (each[:, :1] for each in slopes.chunk(2, dim=1))
    sloping = pairs(across)[0], pairs(along)[1]
    weighed = []
    for link, (one, other), (slope, next_slope) in zip(links, pairs(x), sloping):
        off = other - one - 0.5 * (slope + next_slope)
        soft = (0.5 * SOFT_STEP * (one + other).abs()).clamp(min=1e-3)
        weighed.append(link / (1 + (off / soft) ** 2))
    return Links(*weighed)


def _within_bounds(x: Tensor, depth: Tensor, valid: Tensor) -> Tensor:
    """Keep a fill (B, C, H, W) near the measured depths; 0 without any valid pixel."""
    first = depth[:, :1]
    far = (first * valid).amax(dim=(2, 3), keepdim=True)
    near = torch.where(valid > 0, first, far).amin(dim=(2, 3), keepdim=True) / BEYOND
    far = far * BEYOND
    kept = torch.clamp(x[:, :1], near, far)
    if x.shape[1] == 1:
        return kept
    return torch.cat([kept, torch.clamp(x[:, 1:], 1 / (far + _SMALL), 1 / (near + _SMALL))], dim=1)


def _unevenness(x: Tensor) -> Tensor:
    """Return the standard deviation of (B, 1, H, W) around each pixel."""
    wide = F.pad(x, (WINDOW // 2,) * 4, mode='replicate')
    # Around the frame's mean, as the difference of two large squares would be rounded off.
    mean = F.avg_pool2d(wide, WINDOW, stride=1)
    level = x.mean(dim=(2, 3), keepdim=True)
    squares = F.avg_pool2d((wide - level) ** 2, WINDOW, stride=1) - (mean - level) ** 2
    return torch.sqrt(squares.clamp(min=0) + _SMALL) - _SMALL**0.5
