# SPDX-License-Identifier: Apache-2.0
"""The recipe of a training: the typed `recipe` section of a configuration."""

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

    ``loss`` is ``choice`` (of the networks that choose; ``cross_entropy`` and ``structure`` weigh
    its terms), ``paper`` (Eq. 9; ``mse`` and ``structure`` weigh its terms), or ``joint``: choice
    with S2ML's terms of amplitude and phase. ``batch_size`` is that of one process. ``schedule``
    is ``cosine``, or ``plateau`` as the paper has it. ``ema`` is the decay of the averaged
    weights, 0 for none. ``validate_every`` and ``save_every`` count steps.
    """

    steps: int = 8_000
    batch_size: int = 8
    optimizer: Literal['sgd', 'adamw'] = 'adamw'
    learning_rate: float = 1e-3
    momentum: float = 0.95
    weight_decay: float = 2e-2
    schedule: Literal['cosine', 'plateau'] = 'cosine'
    warmup_steps: int = 200
    gradient_clip: float = 1.0
    loss: Literal['choice', 'paper', 'joint'] = 'choice'
    cross_entropy: float = 0.03
    mse: float = 1.0
    structure: float = 0.0
    ema: float = 0.997
    validate_every: int = 250
    save_every: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise DataError, naming field, value and range."""
        for low, high, names in (
            (1, math.inf, 'steps batch_size validate_every save_every'),
            (0, math.inf, 'warmup_steps seed cross_entropy mse structure'),
            (0, math.inf, 'learning_rate gradient_clip weight_decay'),
            (0, 1 - 1e-9, 'ema momentum'),
        ):
            for name in names.split():
                value = getattr(self, name)
                if not low <= value <= high or value == math.inf:
                    wanted = f'{low:g} or more' + (', below 1' if high < 1 else '')
                    raise DataError(f'recipe: {name}: {value}; expected {wanted}')


def read_recipe(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe of a shipped configuration or a YAML file, some fields replaced."""
    values = {**(read_config(name).get('recipe') or {}), **(overrides or {})}
    return typed(Recipe, values, f'{name}: recipe')
