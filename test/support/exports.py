# SPDX-License-Identifier: Apache-2.0
"""Shipped networks at their full size, without training but at work, exported to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from magadepth_ros.engines.check import check_frames
from magadepth_training.export import export_onnx
from magadepth_training.networks.output import Network
from magadepth_training.networks.registry import create_network
from magadepth_training.weights import load_network, save_weights

Frames = Sequence[tuple[np.ndarray, np.ndarray]]
"""Of rgb (1, 3, H, W) in 0..1 and depth (1, 1, H, W) m, 0 = missing, float32."""


def export_untrained(name: str, folder: Path, frames: Frames = ()) -> tuple[Network, Path]:
    """
    Write ``name.safetensors`` and ``name.onnx``; return the network as these hold it.

    What starts at 0, so that an untrained network is its fill, gets small random weights. The
    batch norms see ``frames``, as those of a trained network have seen the like of what comes:
    by default two of a room and one of noise.
    """
    torch.manual_seed(0)
    network = create_network(name)
    for parameter in network.parameters():
        if not parameter.abs().max():
            nn.init.normal_(parameter, std=0.02)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of what was seen
    size = network.height, network.width
    seen = frames or [*check_frames(network.config, count=2), random_frame(*size)]
    with torch.no_grad():
        network.train()(*(torch.from_numpy(np.concatenate(part)) for part in zip(*seen)))
    weights, onnx = folder / f'{name}.safetensors', folder / f'{name}.onnx'
    save_weights(network, weights)
    network = load_network(weights)
    export_onnx(network, onnx, training_data='none: untrained')
    return network, onnx


def random_frame(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with a hole and single missing pixels, as an engine takes a frame."""
    # Seed 3 has a step of depth so near `slopes.EDGE` that rounding decides whether it is one.
    generator = torch.Generator().manual_seed(4)
    rgb = torch.rand(1, 3, height, width, generator=generator)
    depth = 0.3 + 8 * torch.rand(1, 1, height, width, generator=generator)
    depth[torch.rand(depth.shape, generator=generator) < 0.3] = 0
    depth[..., height // 4 : height // 2, width // 4 : width // 2] = 0
    return rgb.numpy(), depth.numpy()
