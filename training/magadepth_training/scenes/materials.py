# SPDX-License-Identifier: Apache-2.0
"""Materials of surfaces: colour, texture, gloss and infrared reflectance, for each scene."""

from __future__ import annotations

import torch

from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.furniture import PARTS
from magadepth_training.scenes.layout import Layout
from magadepth_training.scenes.primitives import COUNT, FIRST_CLUTTER, FIRST_TOP, FIRST_WALL
from magadepth_training.scenes.textures import PLAIN, TILES
from magadepth_training.scenes.trace import SURFACES

FIELDS = 15
"""Colour a (3), colour b (3), tile, tiles per metre, cos, sin, offset u, v, gloss, ir, glow."""


def _colours(draws: Draws, count: int) -> torch.Tensor:
    """Return surface colours (B, count, 3) in linear light: mostly grey or pale, some black."""
    value = draws.uniform(0.12, 0.95, count)
    value = torch.where(draws.chance(0.25, count), draws.uniform(0.75, 0.97, count), value)
    value = torch.where(draws.chance(0.15, count), draws.uniform(0.05, 0.18, count), value)
    saturation = draws.rand(count) ** 2
    # Large surfaces are rarely vivid: rooms and furniture keep a third of the saturation.
    large = torch.arange(count).to(draws.device)
    large = (large >= COUNT) | (large < FIRST_TOP)
    vivid = draws.chance(0.12, count) | ~large
    saturation = torch.where(vivid, saturation, 0.35 * saturation)
    phase = draws.rand(count)[..., None] + torch.tensor([0.0, 1 / 3, 2 / 3]).to(draws.device)
    hue = (torch.abs((phase % 1.0) * 6.0 - 3.0) - 1.0).clamp(0.0, 1.0)
    colour = value[..., None] * (1.0 - saturation[..., None] * (1.0 - hue))
    return colour**2.0


def _mostly_shared(draws: Draws) -> torch.Tensor:
    """Return for every surface the index of the surface whose material it takes (B, SURFACES)."""
    own = torch.arange(SURFACES).to(draws.device)
    source = own.expand(draws.batch, -1)
    piece = own // PARTS * PARTS
    assembled = own < FIRST_CLUTTER
    loose = torch.where(own < FIRST_TOP, 0.85, 0.4)
    source = torch.where(assembled & (draws.rand(SURFACES) < loose), piece, source)
    walls = (own >= COUNT) & (own < COUNT + 4) & draws.chance(0.7, 1)
    source = torch.where(walls, COUNT, source)
    # Some objects have the colour of the surface behind them, so that the picture hides the edge.
    alike = torch.where(draws.chance(0.5, SURFACES), 0, COUNT)
    return torch.where(draws.chance(0.08, SURFACES) & (own < COUNT), alike, source)


def make_materials(draws: Draws, layout: Layout) -> torch.Tensor:
    """Draw a material for every surface, (B, SURFACES, FIELDS)."""
    n = SURFACES
    own = torch.arange(n).to(draws.device)
    face = own >= COUNT
    a, other = _colours(draws, n), _colours(draws, n)
    pale = draws.uniform(0.45, 0.95, n, 1) ** 1.5
    tint = 1.0 - 0.2 * draws.rand(n, 3) * draws.rand(n, 1)
    bright_room = (face & (own != COUNT + 4)) & draws.chance(0.8, n)
    a = torch.where(bright_room[..., None], pale * tint, a)

    big = layout.half.amax(-1)
    printed = draws.chance(0.45, n) & (own >= FIRST_TOP) & ~face
    screen = (own >= FIRST_TOP) & (own < FIRST_CLUTTER) & (own % PARTS % 5 == 0)
    dark = screen & draws.chance(0.5, n)
    a = torch.where(dark[..., None], 0.02, a)
    tile = torch.where(printed, PLAIN + draws.integers(TILES - PLAIN, n), draws.integers(PLAIN, n))
    tile = torch.where(draws.chance(0.35, n) & ~printed, draws.integers(3, n), tile)
    contrast = draws.rand(n, 1) ** 1.5
    b = torch.lerp(a, other, contrast)
    white = draws.uniform(0.6, 1.0, n, 1) * tint
    a = torch.where((printed & ~dark)[..., None], 0.02, a)
    b = torch.where((printed & ~dark)[..., None], white, b)

    size = torch.cat([2.0 * big, torch.ones_like(big[:, :6])], 1)  # metres per tile
    plain_size = draws.log_uniform(0.15, 2.5, n)
    size = torch.where(printed, size * draws.uniform(0.6, 1.3, n), plain_size)
    quarter = draws.integers(4, n) * (torch.pi / 2)
    angle = quarter + torch.where(draws.chance(0.15, n), draws.uniform(-0.6, 0.6, n), 0.0)

    gloss = draws.uniform(0.0, 0.12, n)
    gloss = torch.where(draws.chance(0.3, n), draws.uniform(0.1, 0.45, n), gloss)
    gloss = torch.where(draws.chance(0.12, n), draws.uniform(0.5, 1.0, n), gloss)
    gloss = torch.where(dark, draws.uniform(0.3, 0.9, n), gloss)
    # Infrared reflectance follows the colour only loosely: dyes are bright, some plastics black.
    lum = torch.lerp(a, b, 0.5).mean(-1).sqrt()
    ir = lum * draws.log_uniform(0.6, 1.5, n)
    ir = torch.where(draws.chance(0.35, n), torch.maximum(ir, draws.uniform(0.2, 0.6, n)), ir)
    ir = torch.where(draws.chance(0.1, n), 0.15 * ir, ir).clamp(0.01, 0.95)
    glow = torch.zeros_like(ir)
    glow[:, FIRST_WALL] = torch.where(draws.chance(0.25), draws.uniform(0.6, 2.0), 0.0)
    glow = torch.where(screen & draws.chance(0.2, n), draws.uniform(0.2, 0.7, n), glow)

    fields = torch.cat(
        [
            a, b,
            torch.stack([
                tile.float(), 1.0 / size, torch.cos(angle), torch.sin(angle),
                draws.rand(n), draws.rand(n), gloss, ir, glow,
            ], -1),
        ], -1,
    )  # fmt: skip
    source = _mostly_shared(draws)
    return fields.gather(1, source[..., None].expand(-1, -1, FIELDS))
