# SPDX-License-Identifier: Apache-2.0
"""``magadepth complete``: complete folders of frames, bags, or one pair of pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from magadepth_ros.commands.arguments import (
    add_command,
    add_engine_options,
    add_settings_option,
    refuse_given,
    topics_by_option,
)
from magadepth_ros.commands.complete_folder import Open, complete_folder, complete_pair
from magadepth_ros.commands.complete_many import Item, complete_many, items, keep_settings
from magadepth_ros.commands.paths import Input, Recording, Result
from magadepth_ros.commands.values import BATCH, METRES, NAMESPACE, Number, Shard, Topic
from magadepth_ros.completion import Completer, CompletionSettings
from magadepth_ros.completion.settings import read_settings
from magadepth_ros.completion.static_frames import transform_matrix
from magadepth_ros.errors import DataError
from magadepth_ros.manifest import read_manifest
from magadepth_ros.recordings import importing_rosbags, is_bag_path

_DESCRIPTION = """\
Fill the holes of recorded depth images: of folders of frames, of bags, or of one pair.

Depth pictures are 16-bit PNG files. Results have the size of the depth. The unit of result
pictures is millimetres, 0 = not filled.
"""

_EXAMPLES = """
magadepth complete FOLDER OUT            # the frames of FOLDER/manifest.json, to OUT/NAME.png
magadepth complete --rgb a.jpg --depth b.png OUT.png
magadepth complete BAG OUT_BAG --points  # a ROS 2 bag with the completed topics added
magadepth complete bags/* OUT            # each to OUT/NAME; a second start resumes
magadepth complete bags/* OUT --shard 2/8   # the second of eight machines
magadepth complete BAG OUT_BAG --set temporal_smoothing=0.8   # steady fills
"""


def add_parser(subparsers: Any) -> None:
    """Add ``complete`` and its options."""
    parser = add_command(subparsers, 'complete', _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add(
        'input',
        nargs='*',
        type=Recording(),
        metavar='INPUT',
        help='folder with a manifest.json, or bag (.mcap, .db3, .bag, or a folder of them); with '
        '--rgb and --depth there is no INPUT',
    )
    add(
        'output',
        type=Result(),
        metavar='OUTPUT',
        help='folder, new bag or, for one pair, .png to write; for several INPUTs the folder of '
        'their results, where existing results are skipped',
    )
    add(
        '--shard',
        type=Shard(),
        help='complete only the K-th of N parts; the name of an INPUT decides its part; OUTPUT is '
        'then always the folder of the results',
    )
    add('--rgb', type=Input('a picture'), help='one colour picture in place of INPUT')
    add('--depth', type=Input('a 16-bit PNG'), help='the depth picture of --rgb, 16-bit PNG')
    add(
        '--depth-scale',
        type=Number(0.0, 1.0, above=True),
        default=0.001,
        metavar='M',
        help='metres per unit of --depth',
    )
    add_engine_options(parser, 'model', 'backend', 'precision', 'threads')
    add(
        '--min-depth',
        type=METRES,
        help='nearest plausible depth [m]; nearer depth counts as missing (default: that of the '
        'model)',
    )
    add(
        '--max-depth',
        type=Number(0.0, METRES.high, above=True),
        metavar='M',
        help='farthest plausible depth [m] (default: that of the model)',
    )
    add(
        '--confidence-threshold',
        type=Number(0.0, 1.0),
        default=0.0,
        metavar='C',
        help='leave pixels of a lower confidence unfilled, 0 to 1',
    )
    add(
        '--replace-outliers',
        action='store_true',
        help='treat flying pixels and speckle as missing, so that they are filled too',
    )
    add_settings_option(
        parser,
        'any other setting of the completion: temporal_smoothing=0.8 reduces the flicker of bags, '
        'and of folders whose frames follow each other; repeatable',
    )
    add = parser.add_argument_group('bags').add_argument
    add('--rgb-topic', type=Topic(), help='colour images (default: found by name)')
    add(
        '--depth-topic',
        type=Topic(),
        help='depth images (default: found by name, aligned ones first)',
    )
    add(
        '--namespace',
        type=NAMESPACE,
        default='/depth',
        help='namespace of the new topics: NAMESPACE/completed, NAMESPACE/confidence and so on',
    )
    add(
        '--output-encoding',
        choices=('32FC1', '16UC1'),
        default='32FC1',
        help='encoding of the completed depth: metres, NaN = unknown; or millimetres, 0 = unknown',
    )
    add('--points', action='store_true', help='add coloured point clouds as well')
    add(
        '--depth-to-rgb',
        type=Number(-1000.0, 1000.0),
        nargs=7,
        default=(),
        metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
        help='extrinsics for depth that is not aligned: position [m] and quaternion of the depth '
        'frame in the RGB frame (default: from /tf_static)',
    )
    add(
        '--assume-aligned',
        action='store_true',
        help='take depth as aligned to the RGB though its frame_id is another',
    )
    add('--batch', type=BATCH, default=1, help='frames in one inference')


def check(args: argparse.Namespace) -> None:
    """Refuse options that contradict each other or have no effect."""
    _settings(args)
    if args.rgb or args.depth:
        _check_pair(args)
        return
    if not args.input:
        raise DataError('OUTPUT is missing; say where to write: magadepth complete INPUT OUTPUT')
    if args.depth_scale != args.parser.get_default('depth_scale'):
        raise DataError(
            '--depth-scale has no effect here: it belongs to --depth, and a manifest states its '
            'own depth_scale; remove it'
        )
    if args.depth_to_rgb:
        transform_matrix(args.depth_to_rgb[:3], args.depth_to_rgb[3:])
    if not _several(args) and not is_bag_path(args.input[0]):
        read_manifest(args.input[0])
    if not any(map(is_bag_path, args.input)):
        refuse_given(args, 'bags', f'{args.input[0]} is no bag')
    if args.output.is_file() and (_several(args) or not is_bag_path(args.input[0])):
        raise DataError(f'{args.output}: is a file; give a folder for the results')
    if _several(args):
        items(args.input, args.output)


def run(args: argparse.Namespace) -> int:
    """Complete what the arguments name; raises MagadepthError on bad input."""
    if args.rgb:
        print(
            complete_pair(lambda: _open(args), args.rgb, args.depth, args.depth_scale, args.output)
        )
        return 0
    if _several(args):
        keep_settings(args, _settings(args))
        with _shared(args) as opened:
            return complete_many(
                items(args.input, args.output, args.shard or (1, 1)),
                lambda item: _complete(args, opened, item, resume=True),
            )
    print(_complete(args, lambda: _open(args), Item(args.input[0], args.output), resume=False))
    return 0


def _several(args: argparse.Namespace) -> bool:
    return len(args.input) > 1 or args.shard is not None


def _check_pair(args: argparse.Namespace) -> None:
    if not (args.rgb and args.depth):
        raise DataError('--rgb and --depth belong together; give both')
    if args.shard:
        raise DataError('--shard has no effect here: a pair of pictures is completed')
    if args.input:
        raise DataError(
            f"expected --rgb, --depth and one OUTPUT, got also '{args.input[0]}'; remove one path"
        )
    if args.output.suffix.lower() != '.png':
        raise DataError(f'{args.output}: a single result is written as 16-bit PNG; name it *.png')
    refuse_given(args, 'bags', 'a pair of pictures is completed')
    if _settings(args).temporal_smoothing:
        raise DataError('temporal_smoothing has no effect here: a pair of pictures is completed')


def _settings(args: argparse.Namespace) -> CompletionSettings:
    options = ('min_depth', 'max_depth', 'replace_outliers', 'confidence_threshold')
    default = args.parser.get_default
    given = {name: getattr(args, name) for name in options}
    return read_settings(
        args.set, **{name: value for name, value in given.items() if value != default(name)}
    )


def _open(args: argparse.Namespace) -> AbstractContextManager[Completer]:
    return Completer.open(
        args.model, args.backend, args.precision, args.threads, args.batch, _settings(args)
    )


@contextmanager
def _shared(args: argparse.Namespace) -> Iterator[Open]:
    """Share one completer between recordings; it is opened for the first that needs it."""
    with ExitStack() as stack:
        completer = cache(lambda: stack.enter_context(_open(args)))

        def opened() -> AbstractContextManager[Completer]:
            completer().begin()
            return nullcontext(completer())

        yield opened


def _complete(args: argparse.Namespace, opened: Open, item: Item, resume: bool) -> str:
    if is_bag_path(item.source):
        return _complete_bag(args, opened, item.source, item.output)
    return complete_folder(opened, item.source, item.output, resume)


def _complete_bag(args: argparse.Namespace, opened: Open, source: Path, output: Path) -> str:
    """Complete a bag; returns a sentence about the result."""
    with importing_rosbags(source):
        from magadepth_ros.commands.complete_bag import BagOptions, complete_bag

    options = BagOptions(
        args.rgb_topic,
        args.depth_topic,
        f'/{args.namespace.strip("/")}',
        args.output_encoding,
        args.points,
        args.batch,
        args.depth_to_rgb,
        args.assume_aligned,
    )
    with topics_by_option():
        report = complete_bag(opened, source, output, options)
    lines = [
        f'{report.completed} frames of {report.topics.depth} completed with '
        f'{report.topics.rgb}, {report.unmatched} without a partner, {report.broken} broken'
        + (f' (first: {report.first_fault})' if report.broken else '')
    ]
    if args.points and report.camera_fault:
        lines.append(f'no clouds: {report.camera_fault}')
    if not report.topics.rgb_info:
        lines.append(f'no camera_info beside {report.topics.rgb}: none added, no clouds')
    return '\n'.join(f'{output}: {line}' for line in lines)
