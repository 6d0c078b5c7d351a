# SPDX-License-Identifier: Apache-2.0
"""Shipped networks at their full size, without training but at work, exported to ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from magadepth_ros.simulation import simulated_frames
from magadepth_training.export import export_onnx
from magadepth_training.networks.output import Network
from magadepth_training.networks.registry import create_network
from magadepth_training.weights import load_network, save_weights


def export_untrained(name: str, folder: Path) -> tuple[Network, Path]:
    """
    Write ``name.safetensors`` and ``name.onnx``; return the network as these hold it.

    What starts at 0, so that an untrained network is its fill, gets small random weights; the
    batch norms see two frames of a room and one of noise, as those do that come later.
    """
    torch.manual_seed(0)
    network = create_network(name)
    for parameter in network.parameters():
        if not parameter.abs().max():
            nn.init.normal_(parameter, std=0.02)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of what was seen
    with torch.no_grad():
        network.train()(*batch(network.height, network.width))
    weights, onnx = folder / f'{name}.safetensors', folder / f'{name}.onnx'
    save_weights(network, weights)
    network = load_network(weights)
    export_onnx(network, onnx, training_data='none: untrained')
    return network, onnx


def batch(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rgb (3, 3, H, W) in 0..1 and depth (3, 1, H, W) m, 0 = missing, of three frames."""
    rgb, depth = (np.stack(parts) for parts in zip(*simulated_frames(width, height, 2)))
    noise = [torch.from_numpy(part) for part in random_frame(height, width)]
    pictures = torch.from_numpy(rgb).permute(0, 3, 1, 2) / 255.0
    return torch.cat([pictures, noise[0]]), torch.cat([torch.from_numpy(depth)[:, None], noise[1]])


def random_frame(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with a hole and single missing pixels, as an engine takes a frame."""
    # Seed 3 has a step of depth so near `slopes.EDGE` that rounding decides whether it is one.
    generator = torch.Generator().manual_seed(4)
    rgb = torch.rand(1, 3, height, width, generator=generator)
    depth = 0.3 + 8 * torch.rand(1, 1, height, width, generator=generator)
    depth[torch.rand(depth.shape, generator=generator) < 0.3] = 0
    depth[..., height // 4 : height // 2, width // 4 : width // 2] = 0
    return rgb.numpy(), depth.numpy()
