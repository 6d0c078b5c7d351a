# SPDX-License-Identifier: Apache-2.0
"""Adapt a choosing network to one recording: its head and norms, kept only where that helps."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import DataError

from .datasets.sample import Sample, Source
from .export import export_onnx
from .frames import Frames
from .loading import WholeFrames
from .module import hidden_errors
from .networks.output import Network
from .networks.surfaces.choice import ChoiceHead
from .scene_source import GeneratedScenes
from .train import Run, train
from .weights import family_of, load_network

TRAINED = ('head', 'norms')
HELD_OUT = 5
"""Number of parts of a recording, of which the last one is held out."""
LEAST = 10
"""Least number of frames of a recording."""
MOST = 500
"""Largest number of frames used, evenly spaced: neighbouring frames are nearly the same."""
MEASURED = 60
"""Least number of measured samples; fewer held-out frames are hidden several times each."""
SCENES, SCENES_HELD_OUT = 32, 24
"""Numbers of generated scenes to train on beside the recording, and of others to measure on."""
ALLOWED_GROWTH = 0.02
"""Largest relative growth of the error on generated scenes."""
RECORDED = 11
"""Number of frames of the recording that are drawn for each generated scene."""
RECIPE = {
    'steps': 1_000_000,
    'batch_size': 4,
    'learning_rate': 3e-3,
    'weight_decay': 0.0,
    'warmup_steps': 10,
    'ema': 0.99,
    'save_every': 1_000_000,
}


@dataclass(eq=False)
class InMemory(Source):
    """Samples that have been read, as a `Source`."""

    name: str
    samples: Sequence[Sample]
    consecutive: bool = True

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


@dataclass(frozen=True)
class Adaptation:
    """
    The result of an adaptation.

    ``trained`` and ``held_out`` count frames of the recording. ``recording`` and ``scenes`` are
    REL before and after, at hidden pixels of the held-out frames and of generated scenes.
    """

    trained: int
    held_out: int
    recording: tuple[float, float]
    scenes: tuple[float, float]

    @property
    def kept(self) -> bool:
        """Whether the recording gains, and the scenes lose no more than 2 %."""
        before, after = self.scenes
        return self.recording[1] < self.recording[0] and after <= before * (1 + ALLOWED_GROWTH)


def adapt(source: Source, weights: Path, output: Path, minutes: float) -> Adaptation:
    """
    Train the head and the norms of a network on a recording, and export it where that helps.

    Measured pixels of the recording are hidden, as in every training without targets; the last
    fifth of its frames is held out. The training also uses generated scenes; others measure
    whether the network has forgotten what it knew.

    Parameters
    ----------
    source:
        frames in their order in time; their targets are not used.
    weights:
        .safetensors of a choosing network.
    output:
        the .onnx to write; it is written only where the result is kept.
    minutes:
        time for the whole adaptation.

    Raises
    ------
    DataError
        too few frames, or a network of another family.
    ModelError
        the weights cannot be read.

    """
    started = time.monotonic()
    network = load_network(weights)
    if not isinstance(getattr(network, 'head', None), ChoiceHead):
        raise DataError(
            f'{weights}: {network.config.name} does not choose among surfaces; expected weights '
            'of magadepth_small, magadepth_tiny, or one made like them'
        )
    own, held_out = split(source)
    size = network.height, network.width
    times = -(-MEASURED // len(held_out))
    watched = {
        'recording': Frames([held_out] * times, *size, [1] * times),
        'scenes': Frames([generated(SCENES_HELD_OUT, *size, seed=2)], *size, [1]),
    }
    scenes = generated(SCENES, *size, seed=1)
    begun = time.monotonic()
    before = {name: relative_error(network, frames) for name, frames in watched.items()}
    # Time for the measurement at the end and for the export.
    left = 60 * minutes - (time.monotonic() - started) - 1.5 * (time.monotonic() - begun) - 10
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, f'{network.config.name}.yaml')
        settings = {'family': family_of(network), **asdict(network.config)}
        # A JSON file is also a YAML file.
        config.write_text(json.dumps({'network': settings, 'recipe': RECIPE}), encoding='utf-8')
        trained = train(
            Run(
                config=str(config),
                output=Path(folder, 'run'),
                sources=[own, scenes],
                # `Frames` weighs a place by the root of its number of frames; both are one place.
                shares=[RECORDED / math.sqrt(len(own)), 1 / math.sqrt(len(scenes))],
                finish_in=max(left, 1.0),
                start_from=weights,
                train_only=TRAINED,
                trainer={'devices': 1},
            )
        )
        network = load_network(trained)
    after = {name: relative_error(network, frames) for name, frames in watched.items()}
    result = Adaptation(
        len(own),
        len(held_out),
        (before['recording'], after['recording']),
        (before['scenes'], after['scenes']),
    )
    if result.kept:
        export_onnx(network, output, training_data=f'{_origin(weights)}; adapted to {source.name}')
    return result


def split(source: Source) -> tuple[InMemory, InMemory]:
    """
    Read a recording; return the frames to train on, and its last fifth in time.

    Frames held out at random would have neighbours among the training frames.

    Raises
    ------
    DataError
        there are fewer than 10 frames, or nothing is measured in one of the parts.

    """
    indices = np.unique(np.linspace(0, len(source) - 1, min(len(source), MOST)).astype(int))
    if len(indices) < LEAST:
        raise DataError(
            f'{source.name}: expected {LEAST} frames or more, got {len(source)}; record about a '
            'minute'
        )
    samples = [
        replace(source[int(i)], target=None, score=None, place=source.name) for i in indices
    ]
    first = len(samples) - max(2, len(samples) // HELD_OUT)
    parts = samples[:first], samples[first:]
    if not all(any((sample.depth > 0).any() for sample in part) for part in parts):
        raise DataError(f'{source.name}: no depth is measured; expected depth in metres')
    own, held_out = (InMemory(source.name, part) for part in parts)
    return own, held_out


def generated(count: int, height: int, width: int, seed: int) -> InMemory:
    """Generate scenes on one thread: several threads would wait at the many small steps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        source = GeneratedScenes(count, height, width, seed)
        return InMemory(source.name, [source[i] for i in range(count)])
    finally:
        torch.set_num_threads(threads)


def relative_error(network: Network, frames: Frames) -> float:
    """Return REL at hidden pixels, a mean over the frames."""
    sums = torch.zeros(3)
    with torch.inference_mode():
        for batch in DataLoader(WholeFrames(frames.frames), batch_size=4):
            sums += hidden_errors(network(batch['rgb'], batch['depth']).depth, batch)
    return float(sums[0] / sums[2].clamp(min=1))


def _origin(weights: Path) -> str:
    """Return the training data of weights by the metadata of the ONNX beside them."""
    exported = weights.with_suffix('.onnx')
    return read_model_info(exported).training_data if exported.is_file() else 'unknown'
