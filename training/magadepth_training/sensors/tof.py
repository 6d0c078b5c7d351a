# SPDX-License-Identifier: Apache-2.0
"""Time of flight: noise by amplitude, flying pixels, multipath, and too weak returns."""

from __future__ import annotations

import torch

from magadepth_training.scenes.batch import SceneBatch
from magadepth_training.scenes.draws import Draws
from magadepth_training.sensors import common
from magadepth_training.sensors.config import ToFConfig


def tof(scene: SceneBatch, draws: Draws, config: ToFConfig) -> torch.Tensor:
    """
    Measure a scene with a time-of-flight camera.

    A pixel sums the light of everything in it: at an edge that is a depth between the two sides
    (flying pixels), in a concave corner light that bounced once more (longer). Noise grows as the
    amplitude (reflectance * cosine / Z^2) falls; below a limit nothing is reported. Registration
    to the colour camera leaves bands beside near things. Returns (B, 1, H, W) metres, 0 = missing.
    """
    height, width = scene.depth.shape[-2:]
    seen_at = common.observe(scene, draws, 0.5)
    depth, cosine, gloss = seen_at.depth, seen_at.cosine, seen_at.gloss

    diffuse = seen_at.albedo * (1.0 - 0.8 * gloss)
    amplitude = diffuse * cosine / depth.square()

    # Mixed pixels: amplitude-weighted mean over the pixel's surroundings, at edges only.
    weight = amplitude + 1e-6
    mixed = common.window_mean(depth * weight, 3) / common.window_mean(weight, 3)
    edge = common.edges(depth, 0.04)
    share = draws.rand(1, height, width)
    flying = torch.where(edge, torch.lerp(depth, mixed, share), depth)
    survives = share < draws.uniform(*config.flying, 1, 1, 1)

    # Multipath: a point deep in a hollow (behind the mean of its surroundings) is lengthened.
    size = max(3, width // 16 * 2 + 1)
    near = common.window_mean(depth, size)
    hollow = ((depth - near) / (0.1 * near)).clamp(0.0, 1.0)
    hollow = common.window_mean(hollow, 5)
    bias = draws.uniform(*config.multipath, 1, 1, 1) * hollow * (1.5 - seen_at.albedo)
    wiggle = 0.003 * torch.sin(depth * 4.0 + draws.uniform(0.0, 6.28, 1, 1, 1))

    sigma = draws.log_uniform(*config.noise, 1, 1, 1) / amplitude.clamp(min=1e-3).sqrt()
    measured = flying * (1.0 + bias) + wiggle + sigma * draws.randn(1, height, width)

    threshold = draws.log_uniform(*config.amplitude, 1, 1, 1)
    ragged = 0.25 * common.blobs(draws, height, width) + 0.25 * draws.randn(1, height, width)
    sunny = 1.0 + 3.0 * scene.sunlight
    seen = torch.log(amplitude / (threshold * sunny) + 1e-9) + ragged > 0.0
    glare = common.glare(gloss, cosine, ragged)
    reach = common.focal_length(scene) * draws.uniform(*config.baseline, 1, 1, 1)
    unseen = common.shadow(reach / depth, draws.sign(0.5))
    valid = seen & (~edge | survives) & ~glare & ~unseen
    valid &= ~(seen_at.stopped & (ragged > -0.1))
    valid = common.despeckle(valid, 3, 0.4)
    valid &= common.border(draws, depth, config.border, 0.7)
    limit = draws.uniform(*config.max_depth, 1, 1, 1)
    valid &= (measured > config.min_depth) & (depth < limit)
    return torch.where(valid, measured, 0.0)
