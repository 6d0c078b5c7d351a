# SPDX-License-Identifier: Apache-2.0
"""The command `magadepth train`: train a network by a configuration."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from magadepth_ros.commands.arguments import add_command
from magadepth_ros.commands.paths import Config, Input, Output, SharedInput
from magadepth_ros.commands.values import COUNT, Duration, Pattern, whole
from magadepth_ros.errors import DataError

_DESCRIPTION = """\
Train a network on recorded frames (--data), on generated scenes (--scenes), or on both. The output
folder gets a checkpoint for --resume, curves, and the weights with the lowest error on the frames
of the first --validate (without it, the last weights). A run that is stopped by SIGTERM, Ctrl-C or
--max-time writes a checkpoint first.
"""

_EXAMPLES = """
magadepth train --list
magadepth train --config magadepth_small --scenes 2000 --output runs/small --finish-in 1h
magadepth train --config mine.yaml --data FRAMES --output runs/mine --set steps=2000
"""


def add_parser(subparsers: Any) -> None:
    """Add ``train`` and its options."""
    add = add_command(subparsers, 'train', _DESCRIPTION, _EXAMPLES).add_argument
    add('--list', action='store_true', help='list the networks and exit')
    add(
        '--measure',
        action='store_true',
        help='with --list: count the parameters and measure the time of each network here first',
    )
    add(
        '--config',
        type=Config(),
        default='magadepth_small',
        help='network and recipe: a shipped configuration by name, or a YAML file',
    )
    add(
        '--data',
        action='append',
        type=SharedInput(),
        default=[],
        metavar='PATH[=SHARE]',
        help='recorded frames: folder with a manifest.json, nyu_depth_v2_labeled.mat, folder of '
        'SUN RGB-D or DIML, or bag; SHARE: how often each frame is drawn, relative to the frames '
        'of other data (1); repeatable',
    )
    add(
        '--validate',
        action='append',
        type=Input('frames with a target', either=True),
        default=[],
        metavar='PATH',
        help='frames with a target to measure the error on, never trained on; the first chooses '
        'the weights; repeatable',
    )
    add('--scenes', type=whole(0, 1_000_000), default=0, help='train on N generated scenes')
    add('--output', type=Output(folder=True), default=Path('runs'), help='folder of the run')
    add(
        '--max-time',
        type=Duration(),
        help='stop after e.g. 90s, 10m or 2h; --resume continues',
    )
    add(
        '--finish-in',
        type=Duration(),
        help='finish after e.g. 1h: the learning rate falls to 0 in this time',
    )
    add('--resume', action='store_true', help='continue from the last checkpoint of the folder')
    add(
        '--start-from',
        type=Input('weights (.safetensors)', ('.safetensors',)),
        metavar='WEIGHTS',
        help='weights (.safetensors) to begin with',
    )
    add('--compile', action='store_true', help='compile the network with torch.compile')
    add(
        '--set',
        action='append',
        type=Pattern('FIELD=VALUE', r'\w+=.+'),
        default=[],
        metavar='FIELD=VALUE',
        help='replace a field of the recipe, for example steps=2000; repeatable',
    )
    add('--workers', type=whole(0, 256), default=0, help='processes that make samples')
    add(
        '--accelerator',
        default='auto',
        choices=('auto', 'cpu', 'gpu', 'cuda', 'mps', 'tpu'),
        metavar='NAME',
        help='accelerator of Lightning',
    )
    add(
        '--devices',
        type=Pattern(
            'auto, -1 (all), a number from 1 on, or a list', r'auto|-1|[1-9]\d*|\d+(,\d+)+'
        ),
        default='auto',
        help='devices of Lightning: auto, a number of devices, or a list of their indices',
    )
    add('--num-nodes', type=COUNT, default=1, help='number of machines')
    add(
        '--strategy',
        default='auto',
        choices=('auto', 'ddp', 'ddp_spawn', 'fsdp', 'deepspeed'),
        metavar='NAME',
        help='strategy of Lightning for several processes',
    )
    add(
        '--precision',
        choices=('32-true', '64-true', '16-mixed', '16-true', 'bf16-mixed', 'bf16-true'),
        metavar='NAME',
        help='precision setting of Lightning (default: bf16-mixed on a GPU and on a CPU with '
        'AVX-512 BF16, else 32-true)',
    )


def overrides(pairs: list[str]) -> dict[str, Any]:
    """Read FIELD=VALUE pairs of the recipe; values are YAML."""
    import yaml

    values = {}
    for pair in pairs:
        field, _, value = pair.partition('=')
        try:
            values[field] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise DataError(f'--set {pair}: expected a value as YAML has it') from None
        if isinstance(values[field], str):
            # YAML 1.1 reads 1e-3 as a word.
            with contextlib.suppress(ValueError):
                values[field] = float(value)
    return values


def check(args: argparse.Namespace) -> None:
    """Refuse options that would be ignored."""
    if args.measure and not args.list:
        raise DataError('--measure has no effect here: it needs --list; add --list or remove it')
    if args.resume and args.start_from:
        raise DataError(
            '--resume continues with the weights of the run, --start-from begins with other '
            'weights; drop one'
        )
    if args.max_time and args.finish_in:
        raise DataError(
            '--max-time stops a run before its end, --finish-in ends a run in the given time; '
            'drop one'
        )


def run(args: argparse.Namespace) -> int:
    """Train, or list the networks."""
    if args.list:
        from magadepth_training import listing

        print(listing.table(listing.measure_all() if args.measure else listing.measured()))
        return 0
    from magadepth_training.datasets.opening import open_source
    from magadepth_training.networks.registry import network_config
    from magadepth_training.scene_source import GeneratedScenes
    from magadepth_training.train import Run, train

    sources = [open_source(path, split='train') for path, _ in args.data]
    shares = [share for _, share in args.data]
    if args.scenes:
        config = network_config(args.config)
        sources.append(GeneratedScenes(args.scenes, config.height, config.width))
        shares.append(1.0)

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
            sources=sources,
            shares=shares,
            validation=[open_source(path) for path in args.validate],
            max_seconds=args.max_time,
            finish_in=args.finish_in,
            resume=args.resume,
            start_from=args.start_from,
            compile=args.compile,
            overrides=overrides(args.set),
            workers=args.workers,
            trainer=trainer,
        )
    )
    # Only the first process of a run writes the weights, maybe later or on another machine.
    if weights.is_file():
        print(f'{weights}: {weights.stat().st_size / 2**20:.1f} MiB')
    return 0
