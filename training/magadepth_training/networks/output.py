# SPDX-License-Identifier: Apache-2.0
"""The base class and the output of every network, and the check of its inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

RGB_MEAN, RGB_STD = 0.45, 0.25
"""One grey value for the three channels: near the means of indoor pictures."""


class NetworkOutput(NamedTuple):
    """
    A network's answer for a batch.

    ``depth`` is (B, 1, H, W) float32 metres, complete; ``log_variance`` the natural log of the
    expected squared error [ln m^2], same shape, or None; ``choice`` and ``candidates`` are what a
    network chose among (`surfaces.choice.Choice`, `surfaces.candidates.Candidates`), or None.
    """

    depth: Tensor
    log_variance: Tensor | None = None
    choice: Any = None
    candidates: Any = None


class Network(nn.Module):
    """
    A depth completion network: rgb (B, 3, H, W) and depth (B, 1, H, W) -> `NetworkOutput`.

    ``config`` is its typed configuration; ``height`` and ``width`` its one input size [px], both
    multiples of the family's ``multiple``. A family implements `complete`.
    """

    multiple: int = 1

    def __init__(self, config: Any):
        super().__init__()
        sides = config.height, config.width
        if min(sides) < 1 or any(side % self.multiple for side in sides):
            raise ValueError(
                f'input size {config.height}x{config.width}: expected multiples of {self.multiple}'
            )
        self.config = config
        self.height: int = config.height
        self.width: int = config.width

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
            complete depth (B, 1, H, W) in metres, and what else the family answers.

        Raises
        ------
        ValueError
            another size than the network's.

        """
        if not torch.jit.is_tracing() and not torch.compiler.is_compiling():
            for name, tensor, channels in (('rgb', rgb, 3), ('depth', depth, 1)):
                size = (channels, self.height, self.width)
                if tensor.ndim != 4 or tuple(tensor.shape[1:]) != size:
                    raise ValueError(
                        f'{name}: expected (B, {channels}, {self.height}, {self.width}), got '
                        f'{tuple(tensor.shape)}; this network has one fixed input size: '
                        'magadepth_ros.completion.Completer fits frames of any size to it'
                    )
        return self.complete(rgb, depth)

    def complete(self, rgb: Tensor, depth: Tensor) -> NetworkOutput:
        """Complete a batch of the network's size, see `forward`."""
        raise NotImplementedError


def normalised_picture(rgb: Tensor) -> Tensor:
    """(B, 3, H, W) in 0..1 -> about zero mean and unit variance, as every network takes it."""
    return (rgb - RGB_MEAN) / RGB_STD


def missing_mask(depth: Tensor) -> Tensor:
    """(B, 1, H, W) metres, 0 = missing -> the paper's mask (Eq. 2), 1 = missing."""
    return (depth <= 0).to(depth.dtype)
