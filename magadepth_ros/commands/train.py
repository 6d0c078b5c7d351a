# SPDX-License-Identifier: Apache-2.0
"""The command `magadepth train`: a configuration and data in, checkpoints and weights out."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from magadepth_ros.errors import DataError


def seconds(text: str) -> float:
    """Read `90`, `90s`, `10m` or `2h`."""
    units = {'s': 1, 'm': 60, 'h': 3600}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        return float(number) * unit
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text}: expected e.g. 90s, 10m or 2h') from error


def add_parser(subparsers: Any) -> None:
    """Add the command's arguments."""
    parser = subparsers.add_parser(
        'train',
        help='train a network',
        description='Train on generated scenes and, with --data, on recorded frames.',
    )
    parser.add_argument('--list', action='store_true', help='list the networks and exit')
    parser.add_argument('--config', default='magadepth_small', help='shipped name or YAML file')
    parser.add_argument(
        '--data',
        action='append',
        default=[],
        metavar='PATH',
        help='recorded frames: a manifest folder, NYU, SUN RGB-D, DIML or a bag; repeatable',
    )
    parser.add_argument('--output', type=Path, default=Path('runs'), help='folder (runs)')
    parser.add_argument('--max-time', type=seconds, help='stop after e.g. 90s, 10m, 2h')
    parser.add_argument(
        '--finish-in', type=seconds, help='as --max-time, with the learning rate annealed by then'
    )
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument(
        '--start-from', type=Path, metavar='WEIGHTS', help='fine-tune these .safetensors'
    )
    parser.add_argument('--compile', action='store_true', help='torch.compile the network')
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='FIELD=VALUE',
        help='replace a field of the recipe, for example steps=2000; repeatable',
    )
    parser.add_argument('--accelerator', default='auto', help='Lightning: auto, cpu, gpu, ...')
    parser.add_argument('--devices', default='auto', help='Lightning: number or list of devices')
    parser.add_argument('--num-nodes', type=int, default=1, help='Lightning: machines')
    parser.add_argument('--strategy', default='auto', help='Lightning: auto, ddp, ...')
    parser.add_argument('--precision', help='Lightning: 32-true, bf16-mixed, ...')


def overrides(pairs: list[str]) -> dict[str, Any]:
    """Read FIELD=VALUE pairs of the recipe; values are YAML."""
    import yaml

    values = {}
    for pair in pairs:
        field, equals, value = pair.partition('=')
        if not equals:
            raise DataError(f'--set {pair}: expected FIELD=VALUE')
        values[field] = yaml.safe_load(value)
        if isinstance(values[field], str):
            # YAML 1.1 takes 1e-3 for a word.
            with contextlib.suppress(ValueError):
                values[field] = float(value)
    return values


def run(args: argparse.Namespace) -> int:
    """Train, or list the networks."""
    if args.list:
        from magadepth_training import listing
        from magadepth_training.networks.registry import network_names

        print(listing.table([listing.measure(name) for name in network_names()]))
        return 0
    from magadepth_training.datasets.opening import open_source
    from magadepth_training.train import Run, train

    trainer = {
        'accelerator': args.accelerator,
        'devices': args.devices,
        'num_nodes': args.num_nodes,
        'strategy': args.strategy,
    }
    if args.precision:
        trainer['precision'] = args.precision
    weights = train(
        Run(
            config=args.config,
            output=args.output,
            sources=[open_source(path, split='train') for path in args.data],
            max_seconds=args.max_time,
            finish_in=args.finish_in,
            resume=args.resume,
            start_from=args.start_from,
            compile=args.compile,
            overrides=overrides(args.set),
            trainer=trainer,
        )
    )
    print(f'{weights}: {weights.stat().st_size / 2**20:.1f} MiB')
    return 0
