# SPDX-License-Identifier: Apache-2.0
"""What every network is and returns, and the check of what it is given."""

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

    ``config`` is its typed configuration; ``height`` and ``width`` its one input size [px].
    """

    config: Any
    height: int
    width: int


def check_input(rgb: Tensor, depth: Tensor, height: int, width: int) -> None:
    """Raise a ValueError unless rgb is (B, 3, height, width) and depth (B, 1, height, width)."""
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return
    for name, tensor, channels in (('rgb', rgb, 3), ('depth', depth, 1)):
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != (channels, height, width):
            raise ValueError(
                f'{name}: expected (B, {channels}, {height}, {width}), got {tuple(tensor.shape)}; '
                'this network has one fixed input size: magadepth_ros.completion.Completer fits '
                'frames of any size to it'
            )


def normalised_picture(rgb: Tensor) -> Tensor:
    """(B, 3, H, W) in 0..1 -> about zero mean and unit variance, as every network takes it."""
    return (rgb - RGB_MEAN) / RGB_STD


def missing_mask(depth: Tensor) -> Tensor:
    """(B, 1, H, W) metres, 0 = missing -> the paper's mask (Eq. 2), 1 = missing."""
    return (depth <= 0).to(depth.dtype)
