# SPDX-License-Identifier: Apache-2.0
"""Generate a batch of RGB-D scenes: layout and cameras at once, pixels in chunks."""

from __future__ import annotations

import math

import torch

from magadepth_ros.errors import DataError
from magadepth_training.scenes import trace
from magadepth_training.scenes.batch import SceneBatch, SceneConfig
from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.geometry import Camera, total
from magadepth_training.scenes.layout import Layout, make_layout
from magadepth_training.scenes.lighting import Lights, make_lights, shade
from magadepth_training.scenes.materials import make_materials
from magadepth_training.scenes.photo import develop, window_mean
from magadepth_training.scenes.primitives import COUNT, FIRST_WALL
from magadepth_training.scenes.textures import atlas
from magadepth_training.scenes.trace import Surface
from magadepth_training.scenes.viewpoint import make_cameras


def _camera_normal(hit: Surface, camera: Camera) -> torch.Tensor:
    axes = (camera.right, camera.down, camera.forward)
    return torch.stack(
        [total(axis[:, i, None, None] * hit.normal[i] for i in range(3)) for axis in axes], 1
    )


def _mirrors(
    scene: dict[str, torch.Tensor],
    hit: Surface,
    camera: Camera,
    layout: Layout,
    materials: torch.Tensor,
    lights: Lights,
    picture: torch.Tensor,
    config: SceneConfig,
    pairs: int,
) -> None:
    """Render the mirror image of every n-th scene; changes ``scene`` in place."""
    some = slice(None, None, config.mirror_every)
    layout, camera = layout[some], camera[some]
    normal = layout.rotation[:, FIRST_WALL, :, 1]
    centre = layout.centre[:, FIRST_WALL]
    outwards = centre - layout.room_centre
    normal = -torch.sign((outwards * normal).sum(-1, keepdim=True)) * normal
    face = centre + normal * layout.half[:, FIRST_WALL, 1:2]
    seen = hit.surface[some] == FIRST_WALL
    depth = hit.depth[some]
    reflected = camera.reflected(face, normal)
    # The mirror shows the surfaces that the mirrored camera sees beyond the mirror's face.
    there, index = trace.opaque(reflected, layout, depth[:, None] * 1.001, pairs)
    there = torch.maximum(there, depth)
    image = shade(
        trace.surface(reflected, layout, there, index),
        reflected, layout, materials[some], lights[some], picture, pairs, 0,
    )  # fmt: skip
    seen = seen[:, None]
    scene['light'][some] = torch.where(seen, 0.9 * image.light, scene['light'][some])
    scene['behind'][some] = torch.where(seen, there[:, None], scene['behind'][some])
    scene['mirror'][some] = seen.float()
    scene['shininess'][some] = torch.where(seen, 1.0, scene['shininess'][some])


def _render(
    camera: Camera,
    layout: Layout,
    materials: torch.Tensor,
    lights: Lights,
    draws: Draws,
    picture: torch.Tensor,
    config: SceneConfig,
) -> SceneBatch:
    pairs = config.chunk(picture.device)
    solid_depth, index = trace.opaque(camera, layout, config.near, pairs)
    solid = trace.surface(camera, layout, solid_depth, index)
    shading = shade(solid, camera, layout, materials, lights, picture, pairs, config.shadow_every)
    solid_depth = solid_depth[:, None]
    scene = {
        'light': shading.light,
        'behind': solid_depth.clone(),
        'mirror': torch.zeros_like(solid_depth),
        'shininess': shading.gloss.clone(),
    }
    if config.mirror_every:
        _mirrors(scene, solid, camera, layout, materials, lights, picture, config, pairs)

    pane_depth, pane = trace.glass(camera, layout, config.near, pairs)
    clear = pane_depth[:, None] < solid_depth
    pane_depth = torch.minimum(pane_depth, solid_depth[:, 0])
    front = trace.surface(camera, layout, pane_depth, torch.where(clear[:, 0], pane, COUNT))
    pane_normal = _camera_normal(front, camera)
    solid_normal = _camera_normal(solid, camera)
    normal = torch.where(clear, pane_normal, solid_normal)
    depth = torch.where(clear, pane_depth[:, None], solid_depth)

    # Glass: a tint, and a reflection that grows towards grazing (Schlick).
    distance = torch.sqrt(total(r * r for r in front.ray))
    facing = -total(n * r for n, r in zip(front.normal, front.ray, strict=True)) / distance
    fresnel = (0.04 + 0.96 * (1.0 - facing.clamp(0, 1)) ** 5)[:, None]
    tint = 1.0 - 0.25 * draws.rand(3, 1, 1) * draws.rand(1, 1, 1)
    ambient = lights.ambient[:, :, None, None] * draws.uniform(0.5, 2.5, 1, 1, 1)
    through = torch.lerp(scene['light'] * tint, ambient.expand_as(scene['light']), fresnel)
    light = torch.where(clear, through, scene['light'])
    rgb = develop(light, depth, draws)
    grey = rgb.mean(1, keepdim=True)
    mean = window_mean(grey, 7)
    square = window_mean(grey * grey, 7)
    transparency = clear.float()
    return SceneBatch(
        rgb=rgb,
        depth=depth,
        normal=normal,
        behind=scene['behind'],
        albedo_ir=shading.ir,
        luminance=grey,
        shininess=scene['shininess'],
        transparency=transparency,
        mirror=scene['mirror'] * (1.0 - transparency),
        texture=(square - mean * mean).clamp(min=0.0).sqrt(),
        sunlight=shading.sun,
        intrinsics=camera.intrinsics,
    )


@torch.no_grad()
def generate_scenes(
    batch: int,
    height: int,
    width: int,
    *,
    generator: torch.Generator,
    device: torch.device | str,
    config: SceneConfig | None = None,
) -> SceneBatch:
    """
    Generate complete RGB-D pictures of random indoor scenes.

    Parameters
    ----------
    batch, height, width:
        how many, and their size [px].
    generator:
        source of all randomness: the same seed on the same kind of device gives the same scenes.
    device:
        where to compute; need not be the generator's.
    config:
        content of the scenes.

    Raises
    ------
    DataError
        the size is not positive.

    """
    if min(batch, height, width) < 1:
        raise DataError(
            f'a batch of scenes needs a positive size, got {batch} x {height} x {width}: '
            'give batch, height and width of at least 1'
        )
    device = torch.device(device)
    config = config or SceneConfig()
    # Half precision would cost centimetres here: keep a caller's autocast out.
    with torch.autocast(device.type, enabled=False):
        draws = Draws(generator, device, batch)
        layout = make_layout(draws, config)
        camera = make_cameras(draws, layout, height, width, config)
        materials = make_materials(draws, layout)
        lights = make_lights(draws, layout, config)
        picture = atlas(device)
        # Whole strides, so that the scenes with mirrors and shadows do not depend on the chunk.
        stride = math.lcm(max(1, config.mirror_every), max(1, config.shadow_every))
        at_once = max(1, config.chunk(device) // (8 * height * width) // stride) * stride
        parts = []
        for start in range(0, batch, at_once):
            part = slice(start, min(start + at_once, batch))
            parts.append(
                _render(
                    camera[part],
                    layout[part],
                    materials[part],
                    lights[part],
                    Draws(generator, device, part.stop - start),
                    picture,
                    config,
                )
            )
        return SceneBatch.concatenate(parts)
