# SPDX-License-Identifier: Apache-2.0
"""Generated scenes as a data set, each seen by a simulated sensor."""

from __future__ import annotations

import torch

from . import scenes, sensors
from .datasets.sample import Sample, Source


class GeneratedScenes(Source):
    """
    ``count`` scenes of one size; scene number n depends only on the seed.

    All scenes are one place, so that a few hundred of them do not outweigh the recorded frames.
    Each is generated as a batch of one, the first of its batch: so all have shadows and can have a
    mirror, and none has motion blur.
    """

    name = 'generated scenes'

    def __init__(self, count: int, height: int, width: int, seed: int = 1):
        self.count, self.height, self.width, self.seed = count, height, width, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + index)
        scene = scenes.generate_scenes(
            1, self.height, self.width, generator=generator, device='cpu'
        )
        kinds = sensors.KINDS[:-1]  # without the mixture
        kind = kinds[index % len(kinds)]
        depth = sensors.simulate(scene, generator=generator, kind=kind)
        rgb = (scene.rgb[0].float() * 255).round().to(torch.uint8).permute(1, 2, 0)
        return Sample(
            rgb=rgb.contiguous().numpy(),
            depth=depth[0, 0].float().numpy(),
            target=scene.depth[0, 0].float().numpy(),
            sensor=str(kind),
            scene=f'{self.seed}/{index}',
            place=f'generated {self.seed}',
        )
