# SPDX-License-Identifier: Apache-2.0
"""The command `magadepth adapt`: make a model that fits a recording better."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from magadepth_ros.commands.arguments import add_command
from magadepth_ros.commands.paths import Model, Output, Recording
from magadepth_ros.commands.values import Number
from magadepth_ros.errors import DataError
from magadepth_ros.resources import DEFAULT_MODEL, find_model

NOT_KEPT = 1

_DESCRIPTION = """\
Fine-tune a network that chooses among surfaces (magadepth_small, magadepth_tiny) on your own
recording, on a CPU. Measured pixels are hidden, and the head and the norms of the network are
trained to predict them. The last fifth of the recording is held out. The result is written only if
the error at hidden pixels of the held-out frames falls and the error on generated scenes grows by
no more than 2 %; both are printed. Otherwise nothing is written, and the exit code is 1.
"""

_EXAMPLES = """
magadepth adapt room.mcap --output room.onnx
magadepth adapt FRAMES --output room.onnx --minutes 4
"""


def add_parser(subparsers: Any) -> None:
    """Add ``adapt`` and its options."""
    add = add_command(subparsers, 'adapt', _DESCRIPTION, _EXAMPLES).add_argument
    add(
        'recording',
        type=Recording(),
        metavar='RECORDING',
        help='bag, or folder with a manifest.json whose frames are in their order in time; the '
        'frames need no target',
    )
    add('--output', type=Output(('.onnx',)), required=True, help='.onnx to write')
    add(
        '--model',
        type=Model(('.onnx', '.safetensors')),
        default=DEFAULT_MODEL,
        help='weights to begin with: a shipped model by name, or .safetensors',
    )
    add(
        '--minutes',
        type=Number(0.0, 1440.0, above=True),
        default=8.0,
        help='approximate time of the command [min]',
    )


def weights_of(model: str) -> Path:
    """Return the weights of a model by name or path; DataError where there are none."""
    weights = find_model(model).with_suffix('.safetensors')
    if not weights.is_file():
        raise DataError(
            f'--model {model}: expected its weights in {weights}, found no such file; name a '
            'model whose .safetensors is beside its ONNX'
        )
    return weights


def check(args: argparse.Namespace) -> None:
    """Refuse a model without weights."""
    weights_of(args.model)


def run(args: argparse.Namespace) -> int:
    """Adapt, and print both errors before and after, and whether the result was kept."""
    from magadepth_training.adapt import adapt
    from magadepth_training.datasets.opening import open_source

    source = open_source(args.recording)
    result = adapt(source, weights_of(args.model), args.output, args.minutes)
    print(f'{source.name}: {result.trained} frames to adapt to, {result.held_out} held out')
    for name, (before, after) in (
        ('held-out frames', result.recording),
        ('generated scenes', result.scenes),
    ):
        change = 100 * (after / before - 1) if before else 0.0
        print(f'{name + ", REL":<21} before {before:.4f}, after {after:.4f} ({change:+.1f} %)')
    if not result.kept:
        print(
            'not kept: expected a lower error on the held-out frames, and an error on the scenes '
            'that grows by 2 % at most'
        )
        return NOT_KEPT
    print(f'{args.output}: {args.output.stat().st_size / 2**20:.1f} MiB')
    return 0
