# SPDX-License-Identifier: Apache-2.0
"""``magadepth complete``: complete a folder of frames, one pair of pictures, or a bag."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from magadepth_ros.commands.arguments import add_command, add_engine_options, topics_by_option
from magadepth_ros.commands.progress import Progress
from magadepth_ros.completion import Completer, CompletionSettings
from magadepth_ros.errors import DataError
from magadepth_ros.files import is_bag_path, no_bag_reader
from magadepth_ros.manifest import (
    Manifest,
    read_depth,
    read_manifest,
    read_rgb,
    write_depth_png,
)

_DESCRIPTION = """\
Fill the holes of recorded depth images: of a folder of frames, of a bag, or of one pair.

Depth pictures are 16-bit PNG. What comes out has the size of what went in; it is in millimetres,
0 = not filled.
"""

_EXAMPLES = """
magadepth complete FOLDER OUT            # the frames of FOLDER/manifest.json, to OUT/NAME.png
magadepth complete --rgb a.jpg --depth b.png OUT.png
magadepth complete BAG OUT_BAG --points  # a ROS 2 bag with the completed topics added
"""


def add_parser(subparsers: Any) -> None:
    """Add ``complete`` and its options."""
    parser = add_command(subparsers, 'complete', _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add(
        'input',
        metavar='INPUT',
        help='folder with a manifest.json, or bag (.mcap, .db3, .bag, or a folder of them); with '
        '--rgb and --depth there is no INPUT',
    )
    # With --rgb and --depth there is one path only; nargs='?' would refuse options in between.
    output = add('output', metavar='OUTPUT', help='folder, new bag or, of one pair, .png to write')
    output.required = False
    add('--rgb', metavar='FILE', help='one colour picture, instead of INPUT')
    add('--depth', metavar='FILE', help='its depth picture, 16-bit PNG')
    add('--depth-scale', type=float, default=0.001, metavar='M', help='metres per unit of --depth')
    add_engine_options(parser, 'model', 'backend', 'precision', 'threads')
    add(
        '--min-depth',
        type=float,
        metavar='M',
        help="nearest plausible depth [m], nearer counts as missing (default: the model's)",
    )
    add(
        '--max-depth',
        type=float,
        metavar='M',
        help="farthest plausible depth [m] (default: the model's)",
    )
    add(
        '--confidence-threshold',
        type=float,
        default=0.0,
        metavar='C',
        help='leave pixels with less confidence unfilled, 0 to 1',
    )
    add(
        '--replace-outliers',
        action='store_true',
        help='treat flying pixels and speckle as missing, so that they are filled too',
    )
    add = parser.add_argument_group('bags').add_argument
    add('--rgb-topic', metavar='TOPIC', help='colour images (default: found by name)')
    add(
        '--depth-topic',
        metavar='TOPIC',
        help='depth images (default: found by name, aligned ones first)',
    )
    add(
        '--namespace',
        default='/depth',
        help='of the new topics: NAMESPACE/completed, NAMESPACE/confidence and so on',
    )
    add(
        '--output-encoding',
        choices=('32FC1', '16UC1'),
        default='32FC1',
        help='of the completed depth: metres with NaN, or millimetres with 0, where unknown',
    )
    add('--points', action='store_true', help='add coloured point clouds as well')
    add(
        '--depth-to-rgb',
        type=float,
        nargs=7,
        default=(),
        metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
        help='where depth is not aligned: position [m] and quaternion of the depth frame in the '
        'RGB frame (default: from /tf_static)',
    )
    add(
        '--assume-aligned',
        action='store_true',
        help='take depth as aligned to the RGB though its frame_id is another',
    )
    add('--batch', type=int, default=1, metavar='N', help='frames in one inference')


def run(args: argparse.Namespace) -> int:
    """Complete what the arguments name; raises MagadepthError on bad input."""
    settings = CompletionSettings(
        min_depth=args.min_depth,
        max_depth=args.max_depth,
        replace_outliers=args.replace_outliers,
        confidence_threshold=args.confidence_threshold,
    )
    if args.rgb or args.depth:
        return _run_pair(args, settings)
    if args.output is None:
        raise DataError('OUTPUT is missing; say where to write: magadepth complete INPUT OUTPUT')
    if is_bag_path(Path(args.input)):
        return _run_bag(args, settings)
    return _run_manifest(args, settings)


def _open(args: argparse.Namespace, settings: CompletionSettings, batch: int = 1) -> Completer:
    return Completer.open(args.model, args.backend, args.precision, args.threads, batch, settings)


def _run_bag(args: argparse.Namespace, settings: CompletionSettings) -> int:
    try:
        from magadepth_ros.commands.complete_bag import BagOptions, complete_bag
    except ModuleNotFoundError as error:
        raise no_bag_reader(args.input, error) from None

    if args.batch < 1:
        raise DataError(f'--batch is {args.batch}, expected 1 or more')
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
        report = complete_bag(
            lambda: _open(args, settings, args.batch), Path(args.input), Path(args.output), options
        )
    print(
        f'{args.output}: {report.completed} frames of {report.topics.depth} completed with '
        f'{report.topics.rgb}, {report.unmatched} without a partner, {report.broken} broken'
        + (f' (first: {report.first_fault})' if report.broken else '')
    )
    if args.points and report.camera_fault:
        print(f'{args.output}: no clouds: {report.camera_fault}')
    if not report.topics.rgb_info:
        print(f'{args.output}: no camera_info beside {report.topics.rgb}: none added, no clouds')
    return 0


def _run_pair(args: argparse.Namespace, settings: CompletionSettings) -> int:
    if not (args.rgb and args.depth):
        raise DataError('--rgb and --depth belong together; give both')
    if args.output is not None:
        raise DataError(f"'{args.input}' is one too many; give --rgb, --depth and one OUTPUT")
    output = Path(args.input)
    if output.suffix.lower() != '.png':
        raise DataError(f'{output}: a single result is written as 16-bit PNG; name it *.png')
    _leave((Path(args.rgb), Path(args.depth)), [output])
    rgb, depth = read_rgb(args.rgb), read_depth(args.depth, args.depth_scale)
    with _open(args, settings) as completer:
        completion = completer.complete(rgb, depth)
    write_depth_png(output, completion.depth)
    print(f'{output}: {completion.filled.mean():.1%} of the pixels filled')
    return 0


def _run_manifest(args: argparse.Namespace, settings: CompletionSettings) -> int:
    manifest = read_manifest(args.input)
    manifest.require_unique_stems()
    output = Path(args.output)
    if output.is_file():
        raise DataError(
            f'{output}: is a file; give a folder for the {len(manifest.frames)} results'
        )
    _leave_inputs(manifest, output)
    missing = filled = 0.0
    with _open(args, settings) as completer, Progress(len(manifest.frames), 'frames') as progress:
        for frame in manifest.frames:
            data = frame.load()
            completion = completer.complete(data.rgb, data.depth)
            write_depth_png(output / f'{frame.stem}.png', completion.depth)
            missing += 1.0 - completion.measured_share
            filled += float(completion.filled.mean())
            progress.advance()
    count = len(manifest.frames)
    print(
        f'{output}: {count} frames, {missing / count:.1%} of the pixels were missing, '
        f'{filled / count:.1%} filled'
    )
    return 0


def _leave_inputs(manifest: Manifest, output: Path) -> None:
    inputs = [
        path
        for frame in manifest.frames
        for path in (frame.rgb_path, frame.depth_path, frame.target_path, frame.score_path)
        if path is not None
    ]
    _leave(inputs, [output / f'{frame.stem}.png' for frame in manifest.frames])


def _leave(inputs: Iterable[Path], results: Iterable[Path]) -> None:
    """Raise DataError where a result would be written over an input, by whatever name."""

    def identity(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_dev, status.st_ino

    taken = {identity(path) for path in inputs if path.exists()}
    for result in results:
        if result.exists() and identity(result) in taken:
            raise DataError(f'{result}: is an input, which would be lost; give another OUTPUT')
