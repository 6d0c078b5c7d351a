# SPDX-License-Identifier: Apache-2.0
"""The command `magadepth export-onnx`: export trained weights to an ONNX with metadata."""

from __future__ import annotations

import argparse
from typing import Any

from magadepth_ros.commands.arguments import add_command
from magadepth_ros.commands.paths import Input, Output
from magadepth_ros.commands.values import TEXT
from magadepth_ros.files import require_writable

UNLEARNED = 'guided_fill'
"""The network that has no weights."""

_DESCRIPTION = 'Export weights (.safetensors) to the ONNX file that every runtime reads.'

_EXAMPLES = """
magadepth export-onnx runs/mine/mine.safetensors --training-data 'my kitchen, 2 hours'
magadepth export-onnx guided_fill
"""


def add_parser(subparsers: Any) -> None:
    """Add ``export-onnx`` and its options."""
    add = add_command(subparsers, 'export-onnx', _DESCRIPTION, _EXAMPLES).add_argument
    add(
        'weights',
        type=Input('weights (.safetensors)', ('.safetensors',), also=(UNLEARNED,)),
        metavar='WEIGHTS',
        help='.safetensors that `magadepth train` wrote; or guided_fill, which has no weights',
    )
    add(
        'output',
        type=Output(('.onnx',)),
        nargs='?',
        metavar='OUTPUT',
        help='.onnx to write (default: beside the weights)',
    )
    add(
        '--training-data',
        type=TEXT,
        default='unknown',
        metavar='TEXT',
        help='training data, for the metadata of the file',
    )
    add(
        '--licence',
        type=TEXT,
        default='Apache-2.0',
        metavar='NAME',
        help='licence of the weights, for the metadata of the file',
    )
    add(
        '--low-precision-safe',
        action='store_true',
        help='state in the metadata that the errors of bf16 and fp16 were measured and are below '
        'the noise of a sensor: precision auto then uses them',
    )


def check(args: argparse.Namespace) -> None:
    """Refuse a folder beside the weights that cannot be written."""
    require_writable(args.output or args.weights.with_suffix('.onnx'))


def run(args: argparse.Namespace) -> int:
    """Export and print what was written."""
    from magadepth_training.export import export_onnx
    from magadepth_training.networks.registry import create_network
    from magadepth_training.weights import load_network

    unlearned = str(args.weights) == UNLEARNED
    output = args.output or args.weights.with_suffix('.onnx')
    export_onnx(
        create_network(UNLEARNED) if unlearned else load_network(args.weights),
        output,
        training_data=args.training_data,
        licence=args.licence,
        low_precision_safe=args.low_precision_safe,
    )
    print(f'{output}: {output.stat().st_size / 2**20:.1f} MiB')
    return 0
