# SPDX-License-Identifier: Apache-2.0
"""How a network is trained: the typed `recipe` section of a configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from magadepth_ros.errors import DataError

from .networks.registry import read_config
from .typed import typed


@dataclass(frozen=True)
class Recipe:
    """
    Settings of one training run.

    ``loss`` is ``paper`` (Eq. 9; ``mse`` and ``structure`` switch its terms), ``robust``, or
    ``joint``: robust with S2ML's terms of amplitude and phase.
    ``synthetic`` is the share of generated scenes in a batch, the rest comes from the given data
    sets. ``scene_pool`` scenes are kept and each is used ``scene_uses`` times on average, always
    with new holes; the batches of ``at_once`` steps are made together. ``keep_weight`` is what a
    measured pixel counts beside a hidden one. ``ema`` is the decay of the averaged weights, 0 for
    none.
    """

    steps: int = 20_000
    batch_size: int = 32
    optimizer: Literal['sgd', 'adamw'] = 'adamw'
    learning_rate: float = 1e-3
    momentum: float = 0.95
    weight_decay: float = 1e-2
    schedule: Literal['cosine', 'plateau'] = 'cosine'
    warmup_steps: int = 500
    gradient_clip: float = 1.0
    loss: Literal['paper', 'robust', 'joint'] = 'robust'
    mse: bool = True
    structure: bool = True
    synthetic: float = 0.6
    scene_pool: int = 512
    scene_uses: int = 4
    at_once: int = 1
    keep_weight: float = 0.2
    ema: float = 0.999
    validate_every: int = 500
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise DataError, naming field, value and range."""
        for low, high, names in (
            (1, math.inf, 'steps batch_size scene_uses at_once validate_every'),
            (0, math.inf, 'warmup_steps scene_pool seed'),
            (0, math.inf, 'learning_rate gradient_clip weight_decay keep_weight'),
            (0, 1, 'synthetic'),
            (0, 1 - 1e-9, 'ema momentum'),
        ):
            for name in names.split():
                value = getattr(self, name)
                if not low <= value <= high or value == math.inf:
                    wanted = f'{low:g} or more' + (', at most 1' if high == 1 else '')
                    wanted += ', below 1' if high < 1 else ''
                    raise DataError(f'recipe: {name}: {value}; expected {wanted}')


def read_recipe(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe of a shipped configuration or a YAML file, some fields replaced."""
    values = {**(read_config(name).get('recipe') or {}), **(overrides or {})}
    return typed(Recipe, values, f'{name}: recipe')
