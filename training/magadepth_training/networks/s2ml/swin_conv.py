# SPDX-License-Identifier: Apache-2.0
"""
The Swin-Convolution block: half of the channels to a window transformer, half to convolutions.

Zhang et al., Practical Blind Image Denoising via Swin-Conv-UNet and Data Synthesis, 2022 (arXiv
2203.13278), section 3.1; the windows after Liu et al., Swin Transformer, ICCV 2021. Sizes are
fixed when a network is built, so that an exported graph has constants where others have shapes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

OUT_OF_REACH = -100.0
"""Added to the score of a pair of positions that are no neighbours; 0 after the softmax."""


class WindowGrid(nn.Module):
    """
    Maps of one fixed size as windows, plain or shifted by half a window, and back.

    The shift is cyclic: a shifted window at the border holds positions of opposite sides of the
    map, which ``out_of_reach`` keeps from attending to one another.

    Parameters
    ----------
    height, width:
        Size of the maps, multiples of ``window``.
    window:
        Edge of a window [cells].

    """

    def __init__(self, height: int, width: int, window: int) -> None:
        super().__init__()
        if height % window or width % window:
            raise ValueError(
                f'windows of {window} do not tile a map of {height}x{width}: '
                'choose a common divisor of its height and width'
            )
        self.height, self.width, self.window = height, width, window
        self.rows, self.columns = height // window, width // window
        self.shift = window // 2
        # What the cyclic shift carries to the other side, by row and column.
        carried_y, carried_x = torch.arange(height) < self.shift, torch.arange(width) < self.shift
        regions = 2 * carried_y.float()[:, None] + carried_x.float()[None, :]
        ids = self.split(regions[None, None], shifted=True)[..., 0]
        apart = ids[:, :, None] != ids[:, None, :]
        # (windows, 1, window^2, window^2); one tensor for all blocks of a network.
        self.register_buffer('out_of_reach', apart[:, None] * OUT_OF_REACH, persistent=False)

    @property
    def windows(self) -> int:
        """Windows in a map."""
        return self.rows * self.columns

    def split(self, x: Tensor, shifted: bool) -> Tensor:
        """(B, C, H, W) -> (B * windows, window^2, C)."""
        if shifted:
            x = torch.roll(x, (-self.shift, -self.shift), dims=(2, 3))
        channels, size = int(x.shape[1]), self.window
        x = x.reshape(-1, channels, self.rows, size, self.columns, size)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(-1, size * size, channels)

    def join(self, windows: Tensor, shifted: bool) -> Tensor:
        """(B * windows, window^2, C) -> (B, C, H, W), the inverse of `split`."""
        channels, size = int(windows.shape[-1]), self.window
        x = windows.reshape(-1, self.rows, self.columns, size, size, channels)
        x = x.permute(0, 5, 1, 3, 2, 4).reshape(-1, channels, self.height, self.width)
        if shifted:
            x = torch.roll(x, (self.shift, self.shift), dims=(2, 3))
        return x


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with a learnt bias for each relative position."""

    position_index: Tensor

    def __init__(self, channels: int, heads: int, grid: WindowGrid) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f'{channels} channels cannot be shared by {heads} heads')
        self.heads, self.head_channels = heads, channels // heads
        self.positions, self.windows = grid.window**2, grid.windows
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        span = 2 * grid.window - 1
        self.position_bias = nn.Parameter(torch.empty(heads, span * span))
        nn.init.trunc_normal_(self.position_bias, std=0.02)
        axis = torch.arange(grid.window)
        cells = torch.cartesian_prod(axis, axis)
        relative = cells[:, None] - cells[None, :] + grid.window - 1
        index = relative[..., 0] * span + relative[..., 1]
        self.register_buffer('position_index', index.flatten(), persistent=False)

    def forward(self, x: Tensor, out_of_reach: Tensor | None) -> Tensor:
        """
        Attend.

        Parameters
        ----------
        x:
            (B * windows, N, C) positions of windows.
        out_of_reach:
            (windows, 1, N, N) added to the scores, or None.

        Returns
        -------
        Tensor
            (B * windows, N, C).

        """
        count, channels = self.positions, self.heads * self.head_channels
        qkv = self.query_key_value(x).reshape(-1, count, 3, self.heads, self.head_channels)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (query / math.sqrt(self.head_channels)) @ key.transpose(-2, -1)
        bias = self.position_bias[:, self.position_index].reshape(self.heads, count, count)
        scores = scores + bias
        if out_of_reach is not None:
            scores = scores.reshape(-1, self.windows, self.heads, count, count) + out_of_reach
            scores = scores.reshape(-1, self.heads, count, count)
        mixed = torch.softmax(scores, dim=-1).to(value.dtype) @ value
        return self.project(mixed.transpose(1, 2).reshape(-1, count, channels))


class SwinBlock(nn.Module):
    """Window attention and an MLP, each behind a layer norm and with a residual."""

    def __init__(
        self, channels: int, heads: int, grid: WindowGrid, shifted: bool, mlp_ratio: float
    ) -> None:
        super().__init__()
        self.grid, self.shifted = grid, shifted
        hidden = int(channels * mlp_ratio)
        self.norm_attention = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, grid)
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        tokens = self.grid.split(x, self.shifted)
        reach = self.grid.out_of_reach if self.shifted else None
        tokens = tokens + self.attention(self.norm_attention(tokens), reach)
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        return self.grid.join(tokens, self.shifted)


class SwinConvBlock(nn.Module):
    """
    1x1 convolution, half to a residual 3x3-ReLU-3x3, half to a Swin block, 1x1, and the input.

    Parameters
    ----------
    channels:
        Of the map, even.
    head_channels:
        Of one attention head; divides half of ``channels``.
    grid:
        The map's windows, shared by all blocks of a network.
    shifted:
        Whether the windows are shifted; alternates from block to block.
    mlp_ratio:
        Hidden channels of the Swin block's MLP, relative to its own.

    """

    def __init__(
        self,
        channels: int,
        head_channels: int,
        grid: WindowGrid,
        shifted: bool,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__()
        self.share = half = channels // 2
        self.enter = nn.Conv2d(channels, channels, 1)
        self.local = nn.Sequential(
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
        )
        self.swin = SwinBlock(half, half // head_channels, grid, shifted, mlp_ratio)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        local, windowed = self.enter(x).split(self.share, dim=1)
        joined = torch.cat([local + self.local(local), self.swin(windowed)], dim=1)
        return x + self.leave(joined)
