# SPDX-License-Identifier: Apache-2.0
"""Weights in safetensors: the network's configuration is in the file's metadata."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from magadepth_ros.errors import ModelError
from magadepth_ros.files import write_result

from .networks.output import Network
from .networks.registry import FAMILIES, create_network
from .typed import typed


def save_weights(network: Network, path: Path) -> None:
    """Write a network's weights, matrices in float16 (half the size), atomically."""
    tensors = {
        name: (tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in network.state_dict().items()
    }
    # A single entry, as several are written in random order and the file's bytes would differ.
    metadata = {'network': json.dumps({'family': family_of(network), **asdict(network.config)})}
    write_result(path, save(tensors, metadata))


def family_of(network: Network) -> str:
    """Return the name of a network's family in configurations."""
    return next(name for name, (cls, _) in FAMILIES.items() if isinstance(network, cls))


def load_network(path: Path) -> Network:
    """
    Make the network of a safetensors file, in evaluation mode, float32 on the CPU.

    Raises
    ------
    ModelError
        the file is missing, broken, or its weights do not fit the configuration it names.

    """
    if not path.is_file():
        raise ModelError(f'{path}: no such file; expected weights as .safetensors')
    try:
        with safe_open(path, 'pt') as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f'{path}: not a safetensors file, or cut ({error})') from error
    try:
        values = dict(json.loads(metadata['network']))
    except (KeyError, TypeError, ValueError):
        values = {}
    # Older files have the family in an entry of its own.
    family = values.pop('family', metadata.get('family'))
    if family not in FAMILIES:
        raise ModelError(f'{path}: no magadepth configuration in its metadata')
    config = typed(FAMILIES[family][1], values, str(path))
    tensors = {n: t.float() if t.dtype == torch.float16 else t for n, t in tensors.items()}
    try:
        network = create_network(config)
        network.load_state_dict(tensors)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f'{path}: the weights do not fit the network ({error})') from error
    return network.eval()
