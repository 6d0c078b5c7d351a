# SPDX-License-Identifier: Apache-2.0
"""``magadepth complete``: complete a folder of frames, one pair of pictures, or a bag."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

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
from magadepth_ros.resources import DEFAULT_MODEL

_EXAMPLES = """
examples:
  magadepth complete FOLDER OUT            each frame of FOLDER/manifest.json to OUT/<stem>.png
  magadepth complete --rgb a.jpg --depth b.png OUT.png
  magadepth complete BAG OUT_BAG --points  a ROS 2 bag with the completed topics added

Depth pictures are 16-bit PNG; what comes out has the size of what went in, in millimetres,
0 = not filled.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add ``complete`` and its options."""
    parser = subparsers.add_parser(
        'complete',
        help='complete a folder of frames, a bag, or one RGB and depth pair',
        description='Fill the holes of recorded depth images.',
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'input', metavar='INPUT', help='folder with a manifest.json, or a bag (mcap, db3, folder)'
    )
    output = parser.add_argument(
        'output', metavar='OUTPUT', help='folder, bag, or .png file to write'
    )
    # With --rgb and --depth there is one path only; nargs='?' would refuse options in between.
    output.required = False
    parser.add_argument('--rgb', metavar='FILE', help='one colour picture, instead of INPUT')
    parser.add_argument('--depth', metavar='FILE', help='its depth picture, 16-bit PNG')
    parser.add_argument(
        '--depth-scale',
        type=float,
        default=0.001,
        metavar='M',
        help='metres per unit of --depth (default 0.001)',
    )
    parser.add_argument(
        '--model', default=DEFAULT_MODEL, help='name or path (default %(default)s)'
    )
    parser.add_argument('--backend', default='auto', help='runtime (default %(default)s)')
    parser.add_argument(
        '--precision', default='auto', help='fp32, bf16, fp16 or int8 (default %(default)s)'
    )
    parser.add_argument('--threads', type=int, default=0, help='CPU threads, 0 = all cores')
    parser.add_argument('--min-depth', type=float, metavar='M', help="metres; default the model's")
    parser.add_argument('--max-depth', type=float, metavar='M', help="metres; default the model's")
    parser.add_argument(
        '--confidence-threshold',
        type=float,
        default=0.0,
        metavar='C',
        help='leave pixels with less confidence unfilled, 0 to 1 (default 0)',
    )
    parser.add_argument(
        '--replace-outliers', action='store_true', help='also replace flying pixels and speckle'
    )
    bag = parser.add_argument_group('bags')
    bag.add_argument('--rgb-topic', metavar='TOPIC', help='default: found by name')
    bag.add_argument('--depth-topic', metavar='TOPIC', help='default: found by name')
    bag.add_argument(
        '--namespace', default='/depth', help='of the new topics (default %(default)s)'
    )
    bag.add_argument(
        '--output-encoding',
        choices=('32FC1', '16UC1'),
        default='32FC1',
        help='of the completed depth (default %(default)s)',
    )
    bag.add_argument('--points', action='store_true', help='add coloured point clouds as well')
    bag.add_argument(
        '--depth-to-rgb',
        type=float,
        nargs=7,
        default=(),
        metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
        help='the depth frame in the RGB frame, where depth is not aligned (default: /tf_static)',
    )
    bag.add_argument(
        '--assume-aligned',
        action='store_true',
        help='the depth is aligned to the RGB though its frame_id is another',
    )
    bag.add_argument(
        '--batch', type=int, default=1, metavar='N', help='frames per inference (default 1)'
    )


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
    if report.topics.info is None:
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
    taken = {(s.st_dev, s.st_ino) for s in (path.stat() for path in inputs if path.exists())}
    for result in results:
        if result.exists() and (result.stat().st_dev, result.stat().st_ino) in taken:
            raise DataError(f'{result}: is an input, which would be lost; give another OUTPUT')
