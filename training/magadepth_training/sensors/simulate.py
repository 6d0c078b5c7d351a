# SPDX-License-Identifier: Apache-2.0
"""Simulate a sensor: one call from a complete scene to the depth that a camera would measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from magadepth_ros.errors import DataError
from magadepth_training.scenes.batch import SceneBatch
from magadepth_training.scenes.draws import Draws
from magadepth_training.sensors.active_stereo import active_stereo
from magadepth_training.sensors.config import SensorConfig
from magadepth_training.sensors.sparse import sparse
from magadepth_training.sensors.structured_light import structured_light
from magadepth_training.sensors.tof import tof

Kind = Literal['structured_light', 'active_stereo', 'tof', 'sparse', 'mixed']
_SENSORS: dict[str, Callable[..., torch.Tensor]] = {
    'structured_light': structured_light,
    'active_stereo': active_stereo,
    'tof': tof,
    'sparse': sparse,
}
KINDS = (*_SENSORS, 'mixed')


def mixed_sizes(batch: int, shares: tuple[float, ...]) -> list[int]:
    """Split a batch into whole numbers by shares; the largest remainders get what is left."""
    exact = [batch * s / sum(shares) for s in shares]
    sizes = [int(e) for e in exact]
    order = sorted(range(len(shares)), key=lambda i: sizes[i] - exact[i])
    for i in order[: batch - sum(sizes)]:
        sizes[i] += 1
    return sizes


@torch.no_grad()
def simulate(
    scene: SceneBatch,
    *,
    generator: torch.Generator,
    config: SensorConfig | None = None,
    kind: Kind = 'mixed',
) -> torch.Tensor:
    """
    Turn complete scenes into the depth that a camera delivers.

    Parameters
    ----------
    scene:
        from :func:`magadepth_training.scenes.generate_scenes`.
    generator:
        source of all randomness.
    config:
        the sensors' parameters.
    kind:
        which sensor; ``mixed`` gives each sensor its share of the batch, in the order of
        ``SensorConfig.shares`` (a fixed split, since the scenes are random already).

    Returns
    -------
    torch.Tensor
        (B, 1, H, W) float32 metres, 0 = missing.

    Raises
    ------
    DataError
        the kind is unknown.

    """
    if kind not in KINDS:
        raise DataError(f'unknown sensor {kind!r}: choose one of {", ".join(KINDS)}')
    config = config or SensorConfig()
    device = scene.depth.device
    with torch.autocast(device.type, enabled=False):
        if kind != 'mixed':
            draws = Draws(generator, device, scene.depth.shape[0])
            return _SENSORS[kind](scene, draws, getattr(config, kind))
        parts, start = [], 0
        for name, size in zip(
            _SENSORS, mixed_sizes(scene.depth.shape[0], config.shares), strict=True
        ):
            if size:
                part = scene[start : start + size]
                draws = Draws(generator, device, size)
                parts.append(_SENSORS[name](part, draws, getattr(config, name)))
                start += size
        return torch.cat(parts)
