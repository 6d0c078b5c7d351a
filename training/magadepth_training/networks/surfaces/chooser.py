# SPDX-License-Identifier: Apache-2.0
"""
The choosing networks: a softmax for each pixel among complete surfaces (`candidates`).

They choose because a correction that is added to a fill has its best value at 0 nearly everywhere
and an uncertain sign elsewhere. The depth encoder's masked convolutions, the fusion in both
directions and the gated decoder are the paper's (`networks.paper`); candidates, observations and
head are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..output import Network, NetworkOutput
from ..paper.decoder import DeGConv
from ..paper.encoders import MaskedLayer, conv_block
from ..paper.fusion import BPFusion, ConcatFusion
from ..paper.magaconv import min_pool
from ..paper.magadepth import MASKED_CONVS
from . import observations
from .candidates import NAMES
from .choice import ChoiceHead, chosen
from .logarithm import logarithm


@dataclass(frozen=True)
class ChooserConfig:
    """
    What a choosing network is made of.

    ``height`` and ``width`` are the fixed input size [px], multiples of 16. ``guide_channels``
    and ``depth_channels`` of the two encoders at 1/2, 1/4, 1/8 and 1/16 of it;
    ``decoder_channels`` at 1/8, 1/4 and 1/2. ``conv`` and ``kernels`` make the depth encoder's
    layers, ``fusion`` at 1/16 is ``bp`` or ``concat``; ``bid_fusions`` and ``hidden`` shape
    BP-Fusion. It chooses among the first ``candidates`` of `surfaces.candidates.NAMES`.
    """

    name: str
    height: int = 240
    width: int = 320
    guide_channels: tuple[int, int, int, int] = (24, 48, 96, 128)
    guide_depth: tuple[int, int, int, int] = (1, 1, 1, 1)
    depth_channels: tuple[int, int, int, int] = (12, 24, 48, 96)
    decoder_channels: tuple[int, int, int] = (96, 48, 24)
    conv: Literal['magaconv', 'partial', 'vanilla'] = 'magaconv'
    kernels: tuple[int, ...] = (3, 5, 7)
    fusion: Literal['bp', 'concat'] = 'bp'
    bid_fusions: int = 2
    hidden: int = 128
    candidates: int = len(NAMES)
    min_depth: float = 0.1
    max_depth: float = 10.0


class Chooser(Network):
    """Two encoders at half the size, fusion at 1/16, a gated decoder and the choosing head."""

    multiple = 16

    def __init__(self, config: ChooserConfig):
        super().__init__(config)
        if not 1 <= config.candidates <= len(NAMES):
            raise ValueError(f'candidates: {config.candidates}; expected 1 to {len(NAMES)}')
        guide, depth, out = config.guide_channels, config.depth_channels, config.decoder_channels
        self.squeeze = conv_block(4 * observations.COUNT, guide[0], kernel=1)
        self.guide = nn.ModuleList(
            nn.Sequential(
                nn.Identity() if level == 0 else conv_block(guide[level - 1], c, stride=2),
                *(Residual(c) for _ in range(config.guide_depth[level])),
            )
            for level, c in enumerate(guide)
        )
        masked = MASKED_CONVS[config.conv]
        self.depth = nn.ModuleList(
            MaskedLayer(i, o, 1 if level == 0 else 2, config.kernels, masked)
            for level, (i, o) in enumerate(zip((1, *depth[:-1]), depth))
        )
        coarse = depth[-1]
        self.to_fusion = conv_block(guide[-1], coarse, kernel=1)
        if config.fusion == 'bp':
            self.fusion: nn.Module = BPFusion(
                coarse,
                (config.height // 16) * (config.width // 16),
                modules=config.bid_fusions,
                hidden=config.hidden,
            )
        else:
            self.fusion = ConcatFusion(coarse)
        skips = [g + d for g, d in zip(guide, depth)]
        inputs = (coarse + skips[3], out[0] + skips[2], out[1] + skips[1])
        self.decoder = nn.ModuleList(DeGConv(i, o, reduce=True) for i, o in zip(inputs, out))
        self.last = conv_block(out[-1] + skips[0], out[-1])
        self.head = ChoiceHead(out[-1], config.candidates)

    def complete(self, rgb: Tensor, depth: Tensor) -> NetworkOutput:
        """Return depth and log-variance of a batch, the choice and the candidates."""
        candidates, shown = observations.candidates_and_observations(rgb, depth)
        with torch.autocast(depth.device.type, enabled=False):
            relative, missing = halve_log_depth(depth.float() / candidates.scale)
        features = squeezed(self.squeeze, shown)
        guides = []
        for block in self.guide:
            features = block(features)
            guides.append(features)
        features, depths = relative, []
        for level, layer in enumerate(self.depth):
            features = layer(features, missing)
            if level > 0:
                missing = min_pool(missing, stride=2)
            missing = min_pool(missing)
            depths.append(features)
        features = self.fusion(depths[-1], self.to_fusion(guides[-1]))
        for stage, guide, own in zip(self.decoder, guides[::-1], depths[::-1]):
            features = stage(torch.cat([features, guide, own], dim=1))
        choice = self.head(self.last(torch.cat([features, guides[0], depths[0]], dim=1)))
        count = self.config.candidates
        offered = candidates._replace(
            depths=candidates.depths[:, :count], logs=candidates.logs[:, :count]
        )
        return chosen(offered, choice)


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels: int):
        super().__init__()
        self.convs = nn.Sequential(conv_block(channels, channels), conv_block(channels, channels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return features + self.convs(features)


def squeezed(squeeze: nn.Sequential, x: Tensor) -> Tensor:
    """
    Apply a convolution block of kernel 1 to the cells of 2x2 pixels, (B, C, 2 H, 2 W).

    As a convolution of kernel 2, which spares runtimes the transposition of `pixel_unshuffle`.
    """
    conv = squeeze[0]
    assert isinstance(conv, nn.Conv2d)
    weight = conv.weight.reshape(conv.out_channels, -1, 2, 2)
    return squeeze[1:](F.conv2d(x, weight, conv.bias, stride=2))


def halve_log_depth(relative: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return the log of a (B, 1, H, W) depth at half the size, and what is missing there.

    A pixel is the mean of those measured of its four, and missing (1) where none is; there the
    log depth is 0, as Eq. 1 of the paper wants of a hole.
    """
    valid = (relative > 0).to(relative.dtype)
    count = F.avg_pool2d(valid, 2)
    logs = F.avg_pool2d(valid * logarithm(relative.clamp(min=1e-3)), 2)
    return logs / count.clamp(min=0.25), (count == 0).to(relative.dtype)
