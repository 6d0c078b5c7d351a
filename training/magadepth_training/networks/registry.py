# SPDX-License-Identifier: Apache-2.0
"""Names of networks and how to make one: each name is a YAML file in ../configs/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from magadepth_ros.errors import DataError

from ..typed import typed
from .output import Network
from .paper.magadepth import MagaDepth, MagaDepthConfig
from .s2ml.network import S2ML, S2MLConfig
from .surfaces.chooser import Chooser, ChooserConfig
from .surfaces.fill_network import GuidedFillConfig, GuidedFillNetwork

FAMILIES: dict[str, tuple[type[Network], type]] = {
    'chooser': (Chooser, ChooserConfig),
    'guided_fill': (GuidedFillNetwork, GuidedFillConfig),
    'paper': (MagaDepth, MagaDepthConfig),
    's2ml': (S2ML, S2MLConfig),
}
CONFIGS = Path(__file__).resolve().parent.parent / 'configs'


def network_names() -> list[str]:
    """Return the names of all shipped configurations, sorted."""
    return sorted(path.stem for path in CONFIGS.glob('*.yaml'))


def read_config(name: str | Path) -> dict[str, Any]:
    """
    Read a configuration: a shipped name, or the path of a YAML file.

    ``base`` in it names another one, of which it replaces or adds the fields that it has; a path
    is seen from the file's folder.

    Raises
    ------
    DataError
        there is no such file, it is no mapping with a ``network`` section, or it is its own base.

    """
    config = _merged(Path(name), [])
    if not config.get('network'):
        raise DataError(f'{name}: expected a mapping with a section `network`')
    config['network'].setdefault('name', Path(name).stem)
    return config


def _merged(name: Path, seen: list[Path]) -> dict[str, dict[str, Any]]:
    """Read a file over its base, section by section; ``seen`` are the files that lead to it."""
    shipped = name.suffix not in ('.yaml', '.yml')
    path = (CONFIGS / f'{name}.yaml' if shipped else name).resolve()
    if not path.is_file():
        raise DataError(
            f'no configuration {name}: expected a YAML file or one of {", ".join(network_names())}'
        )
    if path in seen:
        raise DataError(f'{path}: is its own base; name another one')
    try:
        own = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise DataError(f'{path}: not a YAML file ({error})') from error
    if not isinstance(own, dict):
        raise DataError(f'{path}: expected a mapping with a section `network`')
    config: dict[str, dict[str, Any]] = {}
    base = own.pop('base', None)
    if base is not None:
        other = Path(str(base))
        config = _merged(path.parent / other if other.suffix else other, [*seen, path])
        config.get('network', {}).pop('name', None)  # each file has its own
    for section, values in own.items():
        if not isinstance(values, (dict, type(None))):
            raise DataError(f'{path}: {section}: expected a mapping, got {values!r}')
        config[section] = {**config.get(section, {}), **(values or {})}
    return config


def network_config(name: str | Path) -> Any:
    """Return the typed network configuration of a shipped name or a YAML file."""
    values = dict(read_config(name)['network'])
    family = str(values.pop('family', 'chooser'))
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
        fields of the configuration to replace, for example ``height=192``.

    Raises
    ------
    DataError
        an unknown name, family or field.

    """
    config = network_config(name) if isinstance(name, (str, Path)) else name
    network, _ = next(entry for entry in FAMILIES.values() if isinstance(config, entry[1]))
    return network(replace(config, **overrides))
