# SPDX-License-Identifier: Apache-2.0
"""The command `magadepth export-onnx`: trained weights in, an ONNX file with metadata out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command's arguments."""
    parser = subparsers.add_parser(
        'export-onnx',
        help='export a trained network to ONNX with its metadata',
        description='Export weights (.safetensors) to the ONNX file that every runtime reads.',
    )
    parser.add_argument('weights', type=Path, help='weights, as `magadepth train` writes them')
    parser.add_argument('output', type=Path, nargs='?', help='default: beside the weights')
    parser.add_argument('--training-data', default='unknown', help='what it was trained on')
    parser.add_argument('--licence', default='Apache-2.0', help='licence of the weights')
    parser.add_argument(
        '--low-precision-safe',
        action='store_true',
        help='state that bf16/fp16 was measured to cost less than a sensor is noisy',
    )


def run(args: argparse.Namespace) -> int:
    """Export and print what was written."""
    from magadepth_training.export import export_onnx
    from magadepth_training.weights import load_network

    output = args.output or args.weights.with_suffix('.onnx')
    export_onnx(
        load_network(args.weights),
        output,
        training_data=args.training_data,
        licence=args.licence,
        low_precision_safe=args.low_precision_safe,
    )
    print(f'{output}: {output.stat().st_size / 2**20:.1f} MiB')
    return 0
