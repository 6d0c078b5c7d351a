# SPDX-License-Identifier: Apache-2.0
"""Hide measured pixels of raw frames, to learn from frames that nobody completed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from magadepth_training.scenes.dice import Dice
from magadepth_training.sensors import common
from magadepth_training.sensors.config import SparseConfig
from magadepth_training.sensors.sparse import keep_sparse


@dataclass(frozen=True)
class HidingConfig:
    """How often (share of frames) each way of hiding is used; several may meet in one frame."""

    ellipses: float = 0.6
    polygons: float = 0.35
    occlusion: float = 0.6
    borrowed: float = 0.5
    speckle: float = 0.4
    colour: float = 0.4
    dark: float = 0.3
    segment: float = 0.35
    border: float = 0.3
    sparse: float = 0.05
    """Instead of all others: only a few hundred pixels stay."""
    radius: tuple[float, float] = (0.04, 0.2)
    """Of ellipses and polygons, as a share of the width."""


def _grid(dice: Dice, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    u = torch.arange(width, device=dice.device, dtype=torch.float32)
    v = torch.arange(height, device=dice.device, dtype=torch.float32)
    return u.expand(height, width), v[:, None].expand(height, width)


def ellipses(dice: Dice, height: int, width: int, radius: tuple[float, float]) -> torch.Tensor:
    """One to four turned ellipses, bool (B, 1, H, W)."""
    u, v = _grid(dice, height, width)
    hide = torch.zeros((dice.batch, 1, height, width), dtype=torch.bool, device=dice.device)
    for i in range(4):
        on = dice.chance(1.0 if i == 0 else 0.5, 1, 1, 1)
        x = u - dice.rand(1, 1, 1) * width
        y = v - dice.rand(1, 1, 1) * height
        angle = dice.uniform(0.0, 3.14, 1, 1, 1)
        a = dice.log_uniform(*radius, 1, 1, 1) * width
        b = dice.log_uniform(*radius, 1, 1, 1) * width
        c, s = torch.cos(angle), torch.sin(angle)
        hide |= on & (((c * x + s * y) / a) ** 2 + ((c * y - s * x) / b) ** 2 < 1.0)
    return hide


def polygons(dice: Dice, height: int, width: int, radius: tuple[float, float]) -> torch.Tensor:
    """One or two convex polygons (cuts of random half planes), bool (B, 1, H, W)."""
    u, v = _grid(dice, height, width)
    hide = torch.zeros((dice.batch, 1, height, width), dtype=torch.bool, device=dice.device)
    for i in range(2):
        on = dice.chance(1.0 if i == 0 else 0.5, 1, 1, 1)
        x = u - dice.rand(1, 1, 1) * width
        y = v - dice.rand(1, 1, 1) * height
        inside = on
        start = dice.uniform(0.0, 3.14, 1, 1, 1)
        for k in range(5):
            angle = start + 1.2566 * k + 0.5 * dice.rand(1, 1, 1)
            far = dice.log_uniform(*radius, 1, 1, 1) * width
            inside = inside & (torch.cos(angle) * x + torch.sin(angle) * y < far)
        hide |= inside
    return hide


def occlusion(dice: Dice, depth: torch.Tensor) -> torch.Tensor:
    """Return the bands beside near things that a second eye would not see, bool (B, 1, H, W)."""
    known = depth > 0.0
    # A hole must cast no shadow and hide nothing: far away, it has no disparity.
    reach = dice.log_uniform(0.01, 0.06, 1, 1, 1) * depth.shape[-1]
    disparity = torch.where(known, reach / depth.clamp(min=0.2), 0.0)
    across = dice.chance(0.25, 1, 1, 1)
    side = dice.sign()
    rows = common.shadow(disparity, side)
    columns = common.shadow(disparity.transpose(2, 3), side).transpose(2, 3)
    hide = torch.where(across, columns, rows)
    return torch.where(dice.chance(0.5, 1, 1, 1), common.window_max(hide.float(), 3) > 0.5, hide)


def borrowed(dice: Dice, depth: torch.Tensor) -> torch.Tensor:
    """Holes of another frame of the batch, flipped and shifted; bool (B, 1, H, W)."""
    holes = (depth <= 0.0).roll(1, 0)
    holes = torch.where(dice.chance(0.5, 1, 1, 1), holes.flip(-1), holes)
    holes = torch.where(dice.chance(0.3, 1, 1, 1), holes.flip(-2), holes)
    shift_y, shift_x = depth.shape[-2] // 5, depth.shape[-1] // 5
    return torch.where(dice.chance(0.5, 1, 1, 1), holes.roll((shift_y, shift_x), (2, 3)), holes)


def speckle(dice: Dice, height: int, width: int) -> torch.Tensor:
    """Ragged blobs of all sizes over up to a quarter of the picture, bool (B, 1, H, W)."""
    noise = common.blobs(dice, height, width, 0.8)
    return noise > dice.uniform(0.7, 2.2, 1, 1, 1)


def _at_random_pixel(dice: Dice, image: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Values (B, C, 1, 1) of an image at flat pixel indices (B, 1)."""
    flat = image.flatten(2)
    return flat.gather(2, index[:, None].expand(-1, flat.shape[1], 1))[..., None]


def _disc(dice: Dice, index: torch.Tensor, height: int, width: int, share: tuple[float, float]):
    """Discs about pixels with ragged outlines, bool (B, 1, H, W)."""
    u, v = _grid(dice, height, width)
    x, y = (index % width)[:, :, None, None], (index // width)[:, :, None, None]
    distance = torch.sqrt((u - x) ** 2 + (v - y) ** 2)
    radius = dice.log_uniform(*share, 1, 1, 1) * width
    return distance < radius * (1.0 + 0.2 * common.field(dice, height, width, 10.0))


def colour(dice: Dice, rgb: torch.Tensor) -> torch.Tensor:
    """Return what has a random pixel's colour, within a disc about it; bool (B, 1, H, W)."""
    height, width = rgb.shape[-2:]
    index = dice.integers(height * width, 1)
    smooth = common.window_mean(rgb, 5)
    distance = (smooth - _at_random_pixel(dice, smooth, index)).abs().sum(1, keepdim=True)
    alike = distance < dice.uniform(0.08, 0.3, 1, 1, 1)
    return alike & _disc(dice, index, height, width, (0.1, 0.4))


def dark(dice: Dice, rgb: torch.Tensor) -> torch.Tensor:
    """Return the darkest, or the brightest, part of the picture; bool (B, 1, H, W)."""
    grey = common.window_mean(rgb.mean(1, keepdim=True), 5)
    grey = torch.where(dice.chance(0.25, 1, 1, 1), 1.0 - grey, grey)
    low = grey.amin((2, 3), keepdim=True)
    spread = grey.mean((2, 3), keepdim=True) - low
    ragged = 1.0 + 0.25 * common.blobs(dice, *rgb.shape[-2:])
    return grey - low < dice.uniform(0.15, 0.6, 1, 1, 1) * spread * ragged


def segment(dice: Dice, depth: torch.Tensor) -> torch.Tensor:
    """Return what is about as far as a random pixel, within a disc: a thing; (B, 1, H, W)."""
    height, width = depth.shape[-2:]
    index = dice.integers(height * width, 1)
    at = _at_random_pixel(dice, depth, index)
    alike = (depth - at).abs() < dice.uniform(0.02, 0.12, 1, 1, 1) * at.clamp(min=0.1)
    return alike & _disc(dice, index, height, width, (0.08, 0.3))


@torch.no_grad()
def hide_measured(
    depth: torch.Tensor,
    rgb: torch.Tensor | None = None,
    *,
    generator: torch.Generator,
    config: HidingConfig | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Hide measured pixels in the ways in which cameras lose them.

    Parameters
    ----------
    depth:
        (B, 1, H, W) float32 metres, 0 = missing.
    rgb:
        (B, 3, H, W) in 0..1, for the ways that follow colour; left out without it.
    generator:
        source of all randomness.
    config:
        how often each way is used.

    Returns
    -------
    tuple
        the input to learn from, like ``depth`` with less in it, and bool (B, 1, H, W): what was
        measured and is now hidden. Nothing that was missing is ever filled.

    """
    config = config or HidingConfig()
    batch, _, height, width = depth.shape
    with torch.autocast(depth.device.type, enabled=False):
        dice = Dice(generator, depth.device, batch)

        def maybe(share: float, mask: torch.Tensor) -> torch.Tensor:
            return mask & dice.chance(share, 1, 1, 1)

        hide = maybe(config.ellipses, ellipses(dice, height, width, config.radius))
        hide |= maybe(config.polygons, polygons(dice, height, width, config.radius))
        hide |= maybe(config.occlusion, occlusion(dice, depth))
        hide |= maybe(config.borrowed, borrowed(dice, depth))
        hide |= maybe(config.speckle, speckle(dice, height, width))
        hide |= maybe(config.segment, segment(dice, depth))
        hide |= maybe(config.border, ~common.border(dice, depth, (0.02, 0.2), 1.0))
        if rgb is not None:
            hide |= maybe(config.colour, colour(dice, rgb))
            hide |= maybe(config.dark, dark(dice, rgb))
        keep = keep_sparse(dice, height, width, SparseConfig())
        hide = torch.where(dice.chance(config.sparse, 1, 1, 1), ~keep, hide)
        hidden = hide & (depth > 0.0)
        return torch.where(hidden, 0.0, depth), hidden
