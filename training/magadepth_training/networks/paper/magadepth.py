# SPDX-License-Identifier: Apache-2.0
"""The MagaConv / BP-Fusion network as published; its configurations are in ../../configs/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..output import Network, NetworkOutput, missing_mask, normalised_picture
from .decoder import DepthDecoder
from .encoders import ColourEncoder, DepthEncoder, MaskedConv
from .fusion import BPFusion, ConcatFusion
from .magaconv import MagaConv
from .partial_conv import PartialConv, VanillaConv

MASKED_CONVS: dict[str, MaskedConv] = {
    'magaconv': MagaConv,
    'partial': PartialConv,
    'vanilla': VanillaConv,
}


@dataclass(frozen=True)
class MagaDepthConfig:
    """
    What a MagaConv network is made of.

    ``height`` and ``width`` are the fixed input size [px], multiples of 8; ``channels`` of the
    encoders' blocks, fine to coarse; ``decoder_channels`` coarse to fine; ``conv`` and
    ``kernels`` make the depth encoder's layers; ``fusion`` is ``bp`` or ``concat``, the four
    fields after it shape BP-Fusion.
    """

    name: str
    height: int = 192
    width: int = 288
    channels: tuple[int, int, int] = (96, 192, 384)
    decoder_channels: tuple[int, int, int] = (192, 96, 64)
    conv: Literal['magaconv', 'partial', 'vanilla'] = 'magaconv'
    kernels: tuple[int, ...] = (3, 5, 7)
    fusion: Literal['bp', 'concat'] = 'bp'
    bid_fusions: int = 4
    hidden: int = 480
    bidirectional: bool = True
    cross_modal: bool = True
    min_depth: float = 0.1
    max_depth: float = 10.0


class MagaDepth(Network):
    """Depth encoder, colour encoder, fusion at the bottleneck and depth decoder (Fig. 2)."""

    multiple = 8

    def __init__(self, config: MagaDepthConfig):
        super().__init__(config)
        coarse = config.channels[-1]
        self.depth_encoder = DepthEncoder(
            1, config.channels, config.kernels, MASKED_CONVS[config.conv]
        )
        self.colour_encoder = ColourEncoder(3, config.channels)
        if config.fusion == 'bp':
            self.fusion: nn.Module = BPFusion(
                coarse,
                (config.height // 8) * (config.width // 8),
                modules=config.bid_fusions,
                hidden=config.hidden,
                bidirectional=config.bidirectional,
                cross_modal=config.cross_modal,
            )
        else:
            self.fusion = ConcatFusion(coarse)
        self.decoder = DepthDecoder(coarse, config.channels, config.decoder_channels)

    def complete(self, rgb: Tensor, depth: Tensor) -> NetworkOutput:
        """Return the complete depth of a batch."""
        colours = self.colour_encoder(normalised_picture(rgb))
        skips = self.depth_encoder(depth, missing_mask(depth))
        answer = self.decoder(self.fusion(skips[-1], colours[-1]), skips)
        return NetworkOutput(self.config.max_depth * torch.sigmoid(answer.float()))
