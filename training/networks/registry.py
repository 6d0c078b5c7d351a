# SPDX-License-Identifier: Apache-2.0
"""Names of networks and how to make one: each name is a YAML file in training/configs/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from magadepth_ros.errors import DataError

from ..typed import typed
from .magadepth import MagaDepth, MagaDepthConfig
from .output import Network
from .s2ml import S2ML, S2MLConfig

FAMILIES: dict[str, tuple[type[Network], type]] = {
    'magadepth': (MagaDepth, MagaDepthConfig),
    's2ml': (S2ML, S2MLConfig),
}
CONFIGS = Path(__file__).resolve().parent.parent / 'configs'


def network_names() -> list[str]:
    """Return the names of all shipped configurations, sorted."""
    return sorted(path.stem for path in CONFIGS.glob('*.yaml'))


def read_config(name: str | Path) -> dict[str, Any]:
    """
    Read a configuration: a shipped name, or the path of a YAML file.

    Raises
    ------
    DataError
        there is no such file, or it is no mapping with a ``network`` section.

    """
    path = Path(name)
    if path.suffix not in ('.yaml', '.yml'):
        path = CONFIGS / f'{name}.yaml'
    if not path.is_file():
        raise DataError(
            f'no configuration {name}: expected a YAML file or one of {", ".join(network_names())}'
        )
    try:
        config = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise DataError(f'{path}: not a YAML file ({error})') from error
    if not isinstance(config, dict) or not isinstance(config.get('network'), dict):
        raise DataError(f'{path}: expected a mapping with a section `network`')
    config['network'].setdefault('name', path.stem)
    return config


def network_config(name: str | Path) -> Any:
    """Return the typed network configuration of a shipped name or a YAML file."""
    values = dict(read_config(name)['network'])
    family = values.pop('family', 'magadepth')
    if family not in FAMILIES:
        raise DataError(f'{name}: unknown family {family}; known: {", ".join(FAMILIES)}')
    return typed(FAMILIES[family][1], values, f'{name}: network')


def create_network(name: str | Path | Any, **overrides: Any) -> Network:
    """
    Make an untrained network.

    Parameters
    ----------
    name:
        a shipped name (``magadepth_small``), a YAML file, or a typed configuration.
    overrides:
        fields of the configuration to replace, for example ``log_variance=False``.

    Raises
    ------
    DataError
        an unknown name, family or field.

    """
    config = network_config(name) if isinstance(name, (str, Path)) else name
    network, _ = next(entry for entry in FAMILIES.values() if isinstance(config, entry[1]))
    return network(replace(config, **overrides))
