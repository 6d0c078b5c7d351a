# SPDX-License-Identifier: Apache-2.0
"""
Every shipped network learns four frames by heart: below 2 cm of root mean square error.

Slow: on a CPU an hour for a small network, a day for a large one. `MAGADEPTH_FRAMES` names a
manifest folder to take recorded frames from, else scenes are generated; `pytest -s` shows the
losses.
"""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip('torch')

from magadepth_training import scenes, sensors
from magadepth_training.batches import RecordedFrames
from magadepth_training.datasets.manifest import ManifestSource
from magadepth_training.networks.registry import create_network, network_names
from magadepth_training.networks.spectral_loss import joint_loss
from magadepth_training.recipe import read_recipe

pytestmark = pytest.mark.slow

FRAMES = 4
STEPS, PRINT_EVERY, CHECK_EVERY = 3000, 50, 25
GOAL = 0.02
"""Metres, over all pixels with a target, measured ones too."""
DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def generated(height, width):
    generator = torch.Generator(device=DEVICE).manual_seed(4)
    scene = scenes.generate_scenes(FRAMES, height, width, generator=generator, device=DEVICE)
    depth = sensors.simulate(scene, generator=generator, kind='mixed')
    return scene.rgb, depth, scene.depth.nan_to_num(0, 0, 0)


def recorded(folder, height, width):
    """Return four frames of a folder, evenly spaced; without targets a part is hidden."""
    source = ManifestSource(folder)
    frames = RecordedFrames([source], height, width)
    chosen = [i * len(source) // FRAMES for i in range(FRAMES)]
    rgb, depth, target, own = (
        torch.stack(parts) for parts in zip(*(frames.load(i, DEVICE) for i in chosen))
    )
    rgb = rgb.float() / 255
    generator = torch.Generator(device=DEVICE).manual_seed(4)
    hidden, _ = sensors.hide_measured(depth, rgb, generator=generator)
    return rgb, torch.where(own, depth, hidden), target


def rmse(predicted, target):
    known = target > 0
    return (predicted - target)[known].square().mean().sqrt().item()


@pytest.mark.parametrize('name', network_names())
def test_four_frames_are_learnt_by_heart(name):
    torch.manual_seed(0)
    network = create_network(name).to(DEVICE).train()
    size = network.config.height, network.config.width
    folder = os.environ.get('MAGADEPTH_FRAMES')
    rgb, depth, target = recorded(folder, *size) if folder else generated(*size)
    target = target.clamp(max=network.config.max_depth)
    # Adam for all: the paper's optimiser is for tens of thousands of steps.
    optimizer = torch.optim.Adam(network.parameters(), lr=read_recipe(name).learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    weight = torch.ones_like(target)
    error = float('inf')
    for step in range(STEPS):
        output = network(rgb, depth)
        loss = torch.stack(list(joint_loss(output, target, weight).values())).sum()
        error = rmse(output.depth.detach(), target)
        if step % PRINT_EVERY == 0:
            print(f'{name} step {step}: loss {loss.item():.4f}, RMSE {error:.4f} m', flush=True)
        if error < 0.9 * GOAL and step % CHECK_EVERY == 0:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    print(f'{name}: RMSE {error:.4f} m after {step} steps')
    assert error < GOAL
