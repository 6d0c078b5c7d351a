# SPDX-License-Identifier: Apache-2.0
"""
Where training batches come from: generated scenes and recorded frames, made on the device.

Everything about step n is drawn from a generator seeded by (seed, rank, n), so a run that stopped
and resumed sees the same batches as one that did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import cv2
import numpy as np
import torch
from torch import Tensor

from magadepth_ros.errors import DataError

from . import scenes, sensors
from .augment import random_colours, random_view
from .datasets.sample import Source
from .recipe import Recipe

MAPS = tuple(field.name for field in fields(scenes.SceneBatch))
CACHE_BYTES = 2 << 30
"""Frames are kept decoded, on the device, up to this much memory."""


def generator_for(device: torch.device, *numbers: int) -> torch.Generator:
    """Return a generator on the device, seeded by the numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
    return torch.Generator(device=device).manual_seed(seed)


class RecordedFrames:
    """Draws frames of data sets, all at one size, and keeps them decoded while memory allows."""

    def __init__(self, sources: Sequence[Source], height: int, width: int):
        self.height, self.width = height, width
        self.frames = [(source, i) for source in sources for i in range(len(source))]
        self.cache: dict[int, tuple[Tensor, Tensor, Tensor, Tensor]] = {}
        self.cached_bytes = 0
        self.pool = ThreadPoolExecutor(4)

    def load(self, index: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """
        Return one frame, stretched to the size, on the device.

        rgb (3, H, W) uint8, depth and target (1, H, W) float32 metres, 0 = missing, and whether
        the target is the data set's own, (1, 1, 1) bool; else it is the depth.
        """
        if index in self.cache:
            return self.cache[index]
        source, i = self.frames[index]
        sample = source[i]
        known = sample.depth if sample.target is None else sample.target
        if sample.target is not None and sample.score is not None:
            known = np.where(sample.score > 0, known, np.float32(0))
        size = (self.width, self.height)
        rgb = cv2.resize(sample.rgb, size, interpolation=cv2.INTER_AREA)
        depth, target = (
            torch.from_numpy(cv2.resize(m, size, interpolation=cv2.INTER_NEAREST_EXACT))[None]
            for m in (sample.depth, known)
        )
        frame = (
            torch.from_numpy(rgb).permute(2, 0, 1).contiguous().to(device),
            depth.to(device),
            target.to(device),
            torch.tensor(sample.target is not None, device=device).reshape(1, 1, 1),
        )
        size_in_bytes = sum(t.numel() * t.element_size() for t in frame)
        if self.cached_bytes + size_in_bytes <= CACHE_BYTES:
            self.cache[index] = frame
            self.cached_bytes += size_in_bytes
        return frame

    def draw(
        self, count: int, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return `count` frames as `load` does, stacked, rgb in 0..1."""
        indices = torch.randint(len(self.frames), (count,), generator=generator)
        frames = list(self.pool.map(lambda i: self.load(i, device), indices.tolist()))
        rgb, depth, target, own = (torch.stack(parts) for parts in zip(*frames))
        return rgb.float() / 255, depth, target, own


class ScenePool:
    """Generated scenes, kept and used several times, each time with new holes."""

    def __init__(self, recipe: Recipe, count: int, height: int, width: int, rank: int):
        self.recipe, self.count, self.rank = recipe, count, rank
        self.height, self.width = height, width
        self.size = max(count, recipe.scene_pool)
        self.steps = max(1, self.size * recipe.scene_uses // count)
        self.block = -1
        self.pool: scenes.SceneBatch | None = None

    def draw(
        self, step: int, generator: torch.Generator, device: torch.device
    ) -> scenes.SceneBatch:
        """Return a SceneBatch of `count` scenes for a step; a new pool every `steps` steps."""
        block = step // self.steps
        if block != self.block or self.pool is None:
            self.pool = self.fill(block, device)
            self.block = block
        indices = torch.randint(self.size, (self.count,), generator=generator, device=device)
        return scenes.SceneBatch(
            **{name: getattr(self.pool, name)[indices].float() for name in MAPS}
        )

    def fill(self, block: int, device: torch.device) -> scenes.SceneBatch:
        """Generate a pool in parts, so that the generator's own memory stays small."""
        generator = generator_for(device, self.recipe.seed, self.rank, block, 1)
        part = 64 if device.type == 'cuda' else 8
        parts = []
        for start in range(0, self.size, part):
            made = scenes.generate_scenes(
                min(part, self.size - start),
                self.height,
                self.width,
                generator=generator,
                device=device,
            )
            parts.append(made)
        return scenes.SceneBatch(
            **{
                name: torch.cat([self.stored(name, getattr(part, name)) for part in parts])
                for name in MAPS
            }
        )

    @staticmethod
    def stored(name: str, values: Tensor) -> Tensor:
        """Return what is kept of a map: half precision, but for what is measured in metres."""
        return values if name in ('depth', 'behind', 'intrinsics') else values.half()


class BatchMaker:
    """
    Makes the batch of a step: generated scenes behind a sensor, and recorded frames.

    A recorded frame without a target of its own hides a part of what was measured and is its own
    target (self-supervision); one with a target is used as it is. The batches of ``at_once``
    steps are made together: the sensors are hundreds of small kernels, whose start costs a GPU
    more than their work.
    """

    def __init__(
        self,
        recipe: Recipe,
        height: int,
        width: int,
        sources: Sequence[Source] = (),
        rank: int = 0,
    ):
        self.recipe, self.height, self.width, self.rank = recipe, height, width, rank
        self.at_once = recipe.at_once
        share = recipe.synthetic if sources else 1.0
        generated = round(recipe.batch_size * share) * self.at_once
        self.recorded = recipe.batch_size * self.at_once - generated
        if sources and not self.recorded:
            raise DataError(
                f'none of the given frames would be used: of {recipe.batch_size} a batch '
                f'{recipe.synthetic:g} are generated; lower synthetic or raise batch_size'
            )
        # Twice the network's size, so that a part of a frame is still sharp.
        self.frames = RecordedFrames(sources, 2 * height, 2 * width) if self.recorded else None
        self.pool = ScenePool(recipe, generated, height, width, rank) if generated else None
        self.block = -1
        self.made: dict[str, Tensor] = {}

    def make(self, step: int, device: torch.device) -> dict[str, Tensor]:
        """
        Return the batch of a step.

        ``rgb`` (B, 3, H, W) 0..1; ``depth`` (B, 1, H, W) metres, 0 = missing; ``target`` the
        same, 0 = unknown; ``weight`` (B, 1, H, W): 1 where the depth is missing, the recipe's
        keep_weight where it was measured.
        """
        block, part = divmod(step, self.at_once)
        if block != self.block:
            self.made, self.block = self.make_block(block, device), block
        # Every at_once-th sample, so that each batch has its share of scenes and frames.
        return {name: tensor[part :: self.at_once] for name, tensor in self.made.items()}

    def make_block(self, block: int, device: torch.device) -> dict[str, Tensor]:
        """Return the samples of `at_once` steps."""
        on_device = generator_for(device, self.recipe.seed, self.rank, block, 2)
        on_host = generator_for(torch.device('cpu'), self.recipe.seed, self.rank, block, 3)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        if self.pool is not None:
            parts.append(self.from_scenes(block, on_device, device))
        if self.frames is not None:
            parts.append(self.from_frames(on_device, on_host, device))
        rgb, depth, target = (torch.cat(tensors) for tensors in zip(*parts))
        rgb = random_colours(rgb, on_device)
        # A frame of which next to nothing was measured has no metres to learn from.
        measured = (depth > 0).float().mean(dim=(1, 2, 3), keepdim=True)
        weight = torch.where(depth > 0, self.recipe.keep_weight, 1.0) * (measured > 0.002)
        return {'rgb': rgb, 'depth': depth, 'target': target, 'weight': weight}

    def from_scenes(
        self, block: int, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return rgb, depth and target of generated scenes."""
        assert self.pool is not None
        scene = self.pool.draw(block, generator, device)
        depth = sensors.simulate(scene, generator=generator, config=None, kind='mixed')
        more, _ = sensors.hide_measured(depth, scene.rgb, generator=generator)
        again = torch.rand(depth.shape[0], 1, 1, 1, generator=generator, device=device) < 0.6
        # Not what is sparse already.
        again &= (depth > 0).float().mean(dim=(1, 2, 3), keepdim=True) > 0.35
        return scene.rgb, torch.where(again, more, depth), scene.depth

    def from_frames(
        self, generator: torch.Generator, on_host: torch.Generator, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return rgb, depth and target of recorded frames."""
        assert self.frames is not None
        rgb, depth, target, own = self.frames.draw(self.recorded, on_host, device)
        rgb, (depth, target) = random_view(
            rgb, [depth, target], self.height, self.width, generator
        )
        hidden, _ = sensors.hide_measured(depth, rgb, generator=generator)
        return rgb, torch.where(own, depth, hidden), target
