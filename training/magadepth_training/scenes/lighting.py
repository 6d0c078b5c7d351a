# SPDX-License-Identifier: Apache-2.0
"""From surfaces to linear light: texture, lamps, highlights, shadows and sun patches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from magadepth_training.scenes import trace
from magadepth_training.scenes.batch import SceneConfig
from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.geometry import Batched, Camera, total
from magadepth_training.scenes.layout import Layout
from magadepth_training.scenes.materials import FIELDS
from magadepth_training.scenes.photo import window_mean
from magadepth_training.scenes.textures import SIZE, look_up
from magadepth_training.scenes.trace import SURFACES, Surface

LAMPS = 2


@dataclass
class Lights(Batched):
    """Lamps, ambient light and a patch of sun per scene."""

    position: torch.Tensor
    """(B, LAMPS, 3) metres."""
    colour: torch.Tensor
    """(B, LAMPS, 3) at one metre."""
    ambient: torch.Tensor
    """(B, 3)."""
    sun: torch.Tensor
    """(B, 6): horizontal drift per metre of height x, y; middle x, y and half size of the patch
    on the floor; strength."""


@dataclass
class Shading:
    """Light towards the camera, and properties of the surface for sensors; maps (B, 1, H, W)."""

    light: torch.Tensor
    """(B, 3, H, W) linear."""
    gloss: torch.Tensor
    ir: torch.Tensor
    sun: torch.Tensor


def make_lights(draws: Draws, layout: Layout, config: SceneConfig) -> Lights:
    """Draw the lights of a batch of rooms."""
    limit = layout.room_half[:, None]
    position = draws.uniform(-0.9, 0.9, LAMPS, 3) * limit
    position[..., 2] = limit[..., 2] * draws.uniform(1.2, 1.95, LAMPS)
    warmth = draws.uniform(-0.15, 0.3, LAMPS, 1) * torch.tensor([1.0, 0.0, -1.0]).to(draws.device)
    colour = (1.0 + warmth) * draws.uniform(0.4, 2.5, LAMPS, 1)
    ambient = draws.uniform(0.06, 0.45, 1) * (1.0 + 0.1 * draws.randn(3)).clamp(0.7, 1.3)
    on = draws.chance(config.sun_share)
    sun = torch.stack(
        [
            draws.uniform(-1.2, 1.2),
            draws.uniform(-1.2, 1.2),
            draws.uniform(-0.8, 0.8) * layout.room_half[:, 0],
            draws.uniform(-0.8, 0.8) * layout.room_half[:, 1],
            draws.uniform(0.2, 0.9),
            torch.where(on, draws.uniform(1.0, 4.0), 0.0),
        ],
        -1,
    )
    return Lights(position, colour, ambient, sun)


def _shadow(camera: Camera, lights: Lights, layout: Layout, depth: torch.Tensor, pairs: int):
    """Share of the first lamp's light (B, H, W), traced at half the resolution."""
    coarse = replace(camera, x=camera.x[:, ::2], y=camera.y[:, ::2])
    z = depth[:, ::2, ::2]
    lamp = lights.position[:, 0]
    ray = [
        (camera.origin - lamp)[:, i, None, None]
        + z
        * (
            coarse.right[:, i, None, None] * coarse.x[:, None, :]
            + coarse.down[:, i, None, None] * coarse.y[:, :, None]
            + coarse.forward[:, i, None, None]
        )
        for i in range(3)
    ]
    reached = trace.lit(lamp, ray, layout, pairs)[:, None]
    soft = window_mean(reached, 3)
    return functional.interpolate(soft, size=depth.shape[-2:], mode='bilinear')[:, 0]


def shade(
    hit: Surface,
    camera: Camera,
    layout: Layout,
    materials: torch.Tensor,
    lights: Lights,
    atlas: torch.Tensor,
    pairs: int,
    shadow_every: int,
) -> Shading:
    """
    Light up the surfaces that a camera sees.

    ``materials`` is (B, SURFACES, FIELDS); every ``shadow_every``-th scene gets the first lamp's
    shadows (0: none).
    """
    batch, height, width = hit.depth.shape
    offset = torch.arange(batch, device=hit.depth.device)[:, None, None] * SURFACES
    table = materials.flatten(0, 1).T.contiguous()
    m = table.index_select(1, (hit.surface + offset).flatten())
    m = m.view(FIELDS, batch, height, width)
    colour_a, colour_b = m[0:3].transpose(0, 1), m[3:6].transpose(0, 1)
    tile, per_metre, cos, sin, offset_u, offset_v, gloss, ir, glow = m[6:]
    u = (hit.u * cos - hit.v * sin) * per_metre + offset_u
    v = (hit.u * sin + hit.v * cos) * per_metre + offset_v

    distance = torch.sqrt(total(r * r for r in hit.ray))
    view = [-r / distance for r in hit.ray]
    facing = total(n * e for n, e in zip(hit.normal, view, strict=True)).clamp(0.0, 1.0)
    focal = camera.intrinsics[:, :1, None]
    footprint = hit.depth / focal / facing.clamp(min=0.15).sqrt()
    texture = look_up(atlas, tile, u, v, footprint * per_metre * SIZE)
    albedo = torch.lerp(colour_a, colour_b, texture)

    sharp = 8.0 + 120.0 * gloss
    hemisphere = (0.75 + 0.25 * hit.normal[2])[:, None]
    diffuse = lights.ambient[:, :, None, None] * hemisphere
    shine = torch.zeros_like(diffuse)
    for i in range(LAMPS):
        to = [
            (lights.position[:, i, a] - camera.origin[:, a])[:, None, None] - hit.ray[a]
            for a in range(3)
        ]
        square = total(t * t for t in to) + 0.05
        inverse = square.rsqrt()
        lambert = (total(t * n for t, n in zip(to, hit.normal, strict=True)) * inverse).clamp(
            min=0
        )
        half = [t * inverse + e for t, e in zip(to, view, strict=True)]
        norm = total(h * h for h in half).clamp(min=1e-6).rsqrt()
        cosine = (total(h * n for h, n in zip(half, hit.normal, strict=True)) * norm).clamp(min=0)
        falloff = 2.0 / (1.0 + square)
        if i == 0 and shadow_every:
            some = slice(None, None, shadow_every)
            shadow = _shadow(camera[some], lights[some], layout[some], hit.depth[some], pairs)
            falloff[some] *= shadow
        colour = lights.colour[:, i, :, None, None]
        diffuse = diffuse + colour * (lambert * falloff)[:, None]
        shine = shine + colour * (gloss * falloff * cosine**sharp)[:, None]

    # A beam through a window: points whose shadow along the sun falls on a square of the floor.
    world = [hit.ray[a] + camera.origin[:, a, None, None] for a in range(3)]
    maps = lights.sun[:, :, None, None].unbind(1)
    drift_x, drift_y, middle_x, middle_y, half_size, strength = maps
    beam = (world[0] + drift_x * world[2] - middle_x).abs() < half_size
    beam = beam & ((world[1] + drift_y * world[2] - middle_y).abs() < half_size)
    facing_sun = hit.normal[2] + hit.normal[0] * drift_x + hit.normal[1] * drift_y > 0.05
    sun = (beam & facing_sun) * strength
    light = albedo * (diffuse + sun[:, None]) + 0.6 * shine + glow[:, None] * (0.3 + texture)
    infrared = (sun / 3.0 + (glow > 0.5) * 0.7).clamp(max=1.0)
    return Shading(light, gloss[:, None], ir[:, None], infrared[:, None])
