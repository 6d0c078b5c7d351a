# SPDX-License-Identifier: Apache-2.0
"""The MagaConv / BP-Fusion network; its configurations are in ../configs/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .decoder import DepthDecoder
from .encoders import ColourEncoder, DepthEncoder, MaskedConv
from .fusion import BPFusion, ConcatFusion
from .magaconv import MagaConv
from .output import Network, NetworkOutput, check_input, normalised_picture
from .partial_conv import PartialConv, VanillaConv
from .residual import (
    RelativeDepth,
    depth_from_residual,
    log_variance_in_metres,
    missing_mask,
    relative_to_fill,
    start_at_zero,
)

MASKED_CONVS: dict[str, MaskedConv] = {
    'magaconv': MagaConv,
    'partial': PartialConv,
    'vanilla': VanillaConv,
}

NEED_FILL = ('full_size_skip', 'guided', 'log_variance')
"""Fields of a configuration that have a meaning only for a residual on the fill."""


@dataclass(frozen=True)
class MagaDepthConfig:
    """
    What a MagaConv network is made of.

    ``height`` and ``width`` are the fixed input size [px], multiples of 8; ``channels`` of the
    encoders' blocks, fine to coarse; ``decoder_channels`` coarse to fine; ``conv`` and
    ``kernels`` make the depth encoder's layers; ``fusion`` is ``bp`` or ``concat``, the four
    fields after it shape BP-Fusion. The last block are the named deviations from the paper:
    ``residual`` predicts a residual on a guided fill relative to the mean depth instead of
    metres; where it is set, ``full_size_skip`` gives the head the picture and the fill at the
    input's size, and ``guided`` shows the colour encoder the fill and the mask beside the picture
    and gives its features to the decoder too. ``reduce`` narrows the decoder's tensors before
    enlarging them, ``log_variance`` adds the output the confidence comes from.
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
    residual: bool = False
    full_size_skip: bool = False
    guided: bool = False
    reduce: bool = False
    log_variance: bool = False
    min_depth: float = 0.1
    max_depth: float = 10.0


class MagaDepth(Network):
    """Depth encoder, colour encoder, fusion at the bottleneck and depth decoder (Fig. 2)."""

    def __init__(self, config: MagaDepthConfig):
        super().__init__()
        if config.height % 8 or config.width % 8:
            raise ValueError(f'input size {config.height}x{config.width}: expected multiples of 8')
        if not config.residual and any(getattr(config, name) for name in NEED_FILL):
            raise ValueError(f'{config.name}: {", ".join(NEED_FILL)} need residual: true')
        self.config = config
        self.height, self.width = config.height, config.width
        self.idle = False
        coarse = config.channels[-1]
        self.depth_encoder = DepthEncoder(
            1, config.channels, config.kernels, MASKED_CONVS[config.conv]
        )
        self.colour_encoder = ColourEncoder(6 if config.guided else 3, config.channels)
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
        skips = 2 if config.guided else 1
        self.decoder = DepthDecoder(
            coarse,
            [skips * channels for channels in config.channels],
            config.decoder_channels,
            extra_channels=6 if config.full_size_skip else 0,
            log_variance=config.log_variance,
            reduce=config.reduce,
        )
        if config.residual:
            # The untrained network is the fill itself, with its doubt.
            start_at_zero(self.decoder.answer)
            if self.decoder.log_variance is not None:
                start_at_zero(self.decoder.log_variance[-1])
        self.register_load_state_dict_post_hook(_see_whether_idle)

    def forward(self, rgb: Tensor, depth: Tensor) -> NetworkOutput:
        """
        Complete a batch.

        Parameters
        ----------
        rgb:
            (B, 3, H, W), RGB in 0..1.
        depth:
            (B, 1, H, W) metres, 0 = missing.

        Returns
        -------
        NetworkOutput
            complete depth (B, 1, H, W) in metres and, if configured, its log-variance.

        Raises
        ------
        ValueError
            another size than the network's.

        """
        check_input(rgb, depth, self.height, self.width)
        config = self.config
        picture = normalised_picture(rgb)
        if not config.residual:
            colours = self.colour_encoder(picture)
            skips = self.depth_encoder(depth, missing_mask(depth))
            answer, _ = self.decoder(self.fusion(skips[-1], colours[-1]), skips, None)
            return NetworkOutput(config.max_depth * torch.sigmoid(answer.float()))
        frame = relative_to_fill(rgb, depth)
        answer, correction = self.correct(picture, frame)
        completed = depth_from_residual(frame, answer)
        log_variance = None if correction is None else log_variance_in_metres(frame, correction)
        return NetworkOutput(completed, log_variance)

    def correct(self, picture: Tensor, frame: RelativeDepth) -> tuple[Tensor, Tensor | None]:
        """Return what the network adds to the relative fill, and to its doubt, (B, 1, H, W)."""
        config = self.config
        if self.idle:
            nothing = torch.zeros_like(frame.fill)
            return nothing, nothing if config.log_variance else None
        whole = torch.cat([picture, frame.shown()], dim=1)
        skips = self.depth_encoder(frame.relative, frame.missing)
        colours = self.colour_encoder(whole if config.guided else picture)
        fused = self.fusion(skips[-1], colours[-1])
        if config.guided:
            skips = [torch.cat(pair, dim=1) for pair in zip(skips, colours)]
        return self.decoder(fused, skips, whole if config.full_size_skip else None)

    def train(self, mode: bool = True) -> MagaDepth:
        """Switch between training and evaluation, in which a network that adds nothing idles."""
        super().train(mode)
        _see_whether_idle(self)
        return self

    def adds_nothing(self) -> bool:
        """Whether the last layers are empty, so that all before them would be for nothing."""
        last: list[nn.Module] = [self.decoder.answer]
        if self.decoder.log_variance is not None:
            last.append(self.decoder.log_variance[-1])
        return all(not p.any() for layer in last for p in layer.parameters())


def _see_whether_idle(network: MagaDepth, *_: object) -> None:
    """Ask when the mode or the weights change, not for every frame: a GPU would wait for it."""
    residual = network.config.residual
    network.idle = not network.training and residual and network.adds_nothing()
