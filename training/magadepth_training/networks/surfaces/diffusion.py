# SPDX-License-Identifier: Apache-2.0
"""
Diffusion of depth into missing pixels, along surfaces that the colours outline.

The equation is that of colorization (Levin et al., Colorization using Optimization, SIGGRAPH
2004), with sources as in Poisson editing (Perez et al., SIGGRAPH 2003); it is solved by a fixed
number of Chebyshev steps (Golub and Varga 1961), which reach as far as the square of as many plain
ones. Only padding, slices, pooling and arithmetic, so every runtime takes it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

COLOUR_SCALE = 0.03
"""Colour difference (root of the squares' sum, 0..1) over which a link falls to 1/e."""

_LEAK = 1e-4
"""Share of an open link that every link keeps, so that every pixel gets a value."""

_SMALL = 1e-6


class Links(NamedTuple):
    """
    How freely depth spreads between two neighbours, 0 = not at all, 1 = freely.

    ``right`` (B, 1, H, W - 1) from each pixel to the one on its right, ``down`` (B, 1, H - 1, W).
    """

    right: Tensor
    down: Tensor


Pair = tuple[Tensor, Tensor]
Shares = tuple[Tensor, Tensor, Tensor, Tensor]


def pairs(x: Tensor) -> tuple[Pair, Pair]:
    """Return the pixels of (B, C, H, W) and those on their right, then they and those below."""
    return (x[..., :-1], x[..., 1:]), (x[..., :-1, :], x[..., 1:, :])


def steps_between(x: Tensor) -> Pair:
    """(B, C, H, W) -> differences of x to the right (B, C, H, W - 1) and down (B, C, H - 1, W)."""
    (left, right), (above, below) = pairs(x)
    return right - left, below - above


def colour_links(rgb: Tensor) -> Links:
    """Link the neighbours of a (B, 3, H, W) picture in 0..1 by their colours."""

    def link(difference: Tensor) -> Tensor:
        squares = (difference**2).sum(dim=1, keepdim=True)
        return torch.exp(torch.sqrt(squares + _SMALL) / -COLOUR_SCALE)

    right, down = steps_between(rgb)
    return Links(link(right), link(down))


def coarser_links(links: Links, rgb: Tensor) -> Links:
    """
    Link the 2x2 cells of a picture, whose colours are ``rgb`` (B, 3, H / 2, W / 2).

    From centre to centre two paths lead side by side, each through three links, of which the
    outer ones count half, as resistors would; so an edge that is one pixel wide stays shut at
    every size. Where the colours of the cells differ more, they shut the link.
    """
    right, down = (1 / (link + _SMALL) for link in links)
    right = right[..., 1::2] + 0.5 * (right[..., :-2:2] + right[..., 2::2])
    down = down[..., 1::2, :] + 0.5 * (down[..., :-2:2, :] + down[..., 2::2, :])
    paths = 1 / right, 1 / down
    by_colour = colour_links(rgb)
    return Links(
        torch.minimum(paths[0][..., ::2, :] + paths[0][..., 1::2, :], by_colour.right),
        torch.minimum(paths[1][..., ::2] + paths[1][..., 1::2], by_colour.down),
    )


def neighbours(x: Tensor) -> Shares:
    """
    Return the neighbours above, below, left and right of (B, C, H, W); 0 beyond the border.

    Each is one padding that cuts off the other side. Slices of one padded picture cost OpenVINO up
    to 15 % more of a network's time, and a convolution four times as much as this.
    """
    return (
        F.pad(x, (0, 0, 1, -1)),
        F.pad(x, (0, 0, -1, 1)),
        F.pad(x, (1, -1)),
        F.pad(x, (-1, 1)),
    )


def shares(links: Links) -> Shares:
    """Return the weights of a pixel's neighbours above, below, left and right; sum 1."""
    right, down = links.right + _LEAK, links.down + _LEAK
    each = (
        F.pad(down, (0, 0, 1, 0)),
        F.pad(down, (0, 0, 0, 1)),
        F.pad(right, (1, 0)),
        F.pad(right, (0, 1)),
    )
    total = each[0] + each[1] + each[2] + each[3]
    return each[0] / total, each[1] / total, each[2] / total, each[3] / total


def slope_source(shares: Shares, slopes: Tensor) -> Tensor:
    """
    Return the source term that continues a sloping surface.

    ``slopes`` is (B, 2 C, H, W): the differences of each channel to the pixel on the right, then
    to the pixel below. Returns (B, C, H, W).
    """
    across, along = slopes.chunk(2, dim=1)
    above, below, left, right = shares
    vertical, horizontal = neighbours(along), neighbours(across)
    from_rows = above * (along + vertical[0]) - below * (along + vertical[1])
    from_columns = left * (across + horizontal[2]) - right * (across + horizontal[3])
    return 0.5 * (from_rows + from_columns)


def settle(
    x: Tensor,
    shares: Shares,
    valid: Tensor,
    steps: int,
    radius: float,
    source: Tensor | None = None,
) -> Tensor:
    """
    Diffuse the values of the neighbours into the missing pixels.

    Parameters
    ----------
    x:
        (B, C, H, W), the measurement or the first guess of each pixel.
    shares:
        of its pixels' neighbours.
    valid:
        (B, 1, H, W), 1 where x is measured and stays, 0 elsewhere.
    steps, radius:
        how many Chebyshev steps, and how far they are to reach: the spectral radius of the plain
        step that they assume, 0 (a pixel) to below 1 (the whole image).
    source:
        (B, C, H, W), difference of a missing pixel from the mean of its neighbours; None for 0.

    Returns
    -------
    Tensor
        (B, C, H, W).

    """
    missing = 1 - valid
    above, below, left, right = (share * missing for share in shares)
    kept = x * valid if source is None else x * valid + source * missing

    def step(x: Tensor) -> Tensor:
        around = neighbours(x)
        x = kept + above * around[0] + below * around[1]
        return x + left * around[2] + right * around[3]

    before, factor = x, 2.0
    x = step(x)
    for _ in range(steps - 1):
        factor = 1 / (1 - 0.25 * radius**2 * factor)
        # Built by TensorRT for RTX in 9 s; with (1 - factor) * before + ... not in four minutes.
        before, x = x, before + factor * (step(x) - before)
    return x
