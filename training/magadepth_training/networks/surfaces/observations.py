# SPDX-License-Identifier: Apache-2.0
"""The input of a choosing network: how the candidates differ, and what outlines them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .candidates import DIRECTIONS, NAMES, Candidates, find_candidates
from .diffusion import colour_links
from .fill import enlarge
from .logarithm import logarithm

REACH = 20.0
"""Distance [px] over which the nearness of a measurement falls to 1/e."""

LIKENESS = 0.1
"""Colour difference (root of the squares' sum, 0..1) over which likeness falls to 1/e."""

BLUR = 8
"""Pixels across a cell of the picture; three by three of them are averaged for the contrast."""

COUNT = (len(NAMES) - 1) + 2 * len(DIRECTIONS) + 6
"""Channels of `observe`."""

_SMALL = 1e-6


def signed_log(ratio: Tensor) -> Tensor:
    """Spread small log ratios and squeeze large ones: sign(r) log(1 + 20 |r|)."""
    size = logarithm(1 + 20 * ratio.abs())
    return torch.where(ratio < 0, -size, size)


def candidates_and_observations(rgb: Tensor, depth: Tensor) -> tuple[Candidates, Tensor]:
    """
    Prepare a batch for a choosing network, in float32 whatever the network computes in.

    ``rgb`` (B, 3, H, W) in 0..1 and ``depth`` (B, 1, H, W) metres, 0 = missing -> its candidates
    and `observe` of them. Nothing here learns, and half precision would cost centimetres.
    """
    with torch.no_grad(), torch.autocast(depth.device.type, enabled=False):
        rgb = rgb.float()
        candidates = find_candidates(rgb, depth.float())
        return candidates, observe(rgb, candidates)


def observe(rgb: Tensor, candidates: Candidates) -> Tensor:
    """
    Describe a frame without metres and without colours, which a few thousand frames overfit.

    Parameters
    ----------
    rgb:
        (B, 3, H, W) in 0..1.
    candidates:
        of the same frame.

    Returns
    -------
    Tensor
        (B, `COUNT`, H, W): the log ratio of each candidate to the first (`signed_log`); for each
        direction the nearness of the measured pixel and the likeness of its colour; the fill's
        doubt, its log depth, the mask of the missing, the picture's links to the right and down,
        its local contrast.

    """
    depths, logs, valid = candidates.depths, candidates.logs, candidates.valid
    ratios = signed_log(logs[:, 1:] - logs[:, :1])
    directions = []
    for first in candidates.first:
        difference = ((rgb - first.take(rgb)) ** 2).sum(dim=1, keepdim=True)
        likeness = torch.exp(torch.sqrt(difference + _SMALL) / -LIKENESS)
        nearness = torch.exp(first.distance / -REACH)
        directions += [first.found * nearness, first.found * likeness]
    # From 0.1 % to 100 % of the depth, about -1..1.
    doubt = 0.3 * logarithm(candidates.deviation / depths[:, :1] + 1e-3) + 1
    links = colour_links(rgb)
    grey = rgb.mean(dim=1, keepdim=True)
    cells = F.avg_pool2d(grey, BLUR)
    cells = F.avg_pool2d(F.pad(cells, (1, 1, 1, 1), mode='replicate'), 3, stride=1)
    blurred = enlarge(enlarge(enlarge(cells)))
    return torch.cat(
        [
            ratios,
            *directions,
            doubt,
            logs[:, :1],
            1 - valid,
            F.pad(links.right, (0, 1)),
            F.pad(links.down, (0, 0, 0, 1)),
            4 * (grey - blurred),
        ],
        dim=1,
    )
