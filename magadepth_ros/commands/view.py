# SPDX-License-Identifier: Apache-2.0
"""``magadepth view``: a bag or a running node on a timeline, on machines without RViz."""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import chain
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from magadepth_ros.commands.arguments import (
    add_command,
    add_engine_options,
    refuse_given,
    topics_by_option,
)
from magadepth_ros.commands.paths import Output, Source
from magadepth_ros.commands.stopping import Stop
from magadepth_ros.commands.values import COUNT, NAMESPACE, SECONDS, Number, Topic
from magadepth_ros.errors import DataError
from magadepth_ros.recordings import is_bag_path
from magadepth_ros.simulation import RATES
from magadepth_ros.viewer import ViewedFrame, Viewer, require_display, require_rerun

if TYPE_CHECKING:
    from magadepth_ros.completion.frame import RgbdFrame

_DESCRIPTION = 'Show picture, depth, confidence and cloud of a bag or a running node in rerun.'

_EXAMPLES = """
magadepth view                      # what completion_node publishes on /depth/completed
magadepth view /arm/depth/completed
magadepth view /depth/completed/compressedDepth     # from another computer
magadepth view BAG                  # completes it, unless `magadepth complete` did so
magadepth view BAG --save view.rrd  # without a screen; show it later with: rerun view.rrd
"""


def add_parser(subparsers: Any) -> None:
    """Add ``view`` and its options."""
    parser = add_command(subparsers, 'view', _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add(
        'source',
        nargs='?',
        type=Source(),
        default='/depth/completed',
        metavar='SOURCE',
        help='bag, or topic of completed depth',
    )
    add('--save', type=Output(('.rrd',)), help='write FILE (.rrd) instead of opening a window')
    add(
        '--rgb-topic',
        type=Topic(),
        help='colour images (default: found by name in a bag; the input of a running node)',
    )
    add('--depth-topic', type=Topic(), help='measured depth (default: found in the same way)')
    add('--frames', type=COUNT, help='stop after N frames (default: show all)')
    add = parser.add_argument_group('topics').add_argument
    add('--rate', type=Number(*RATES), default=10.0, metavar='HZ', help='frames a second at most')
    add(
        '--patience',
        type=SECONDS,
        default=30.0,
        help='longest wait for a frame [s]',
    )
    bags = parser.add_argument_group('bags')
    bags.add_argument(
        '--namespace',
        type=NAMESPACE,
        default='/depth',
        help='namespace of completed topics in the bag',
    )
    add_engine_options(bags, 'model', 'backend')


def check(args: argparse.Namespace) -> None:
    """Refuse options that have no effect."""
    require_rerun()
    if args.save is None:
        require_display()
    if is_bag_path(args.source):
        refuse_given(args, 'topics', f'{args.source} is a bag')
    else:
        refuse_given(args, 'bags', f'{args.source} is a topic')


def run(args: argparse.Namespace) -> int:
    """Show until the end of the bag, or until Ctrl-C; raises MagadepthError on bad input."""
    source = Path(args.source)
    with Stop() as stop, topics_by_option():
        frames = _of_bag(args) if is_bag_path(source) else _of_topic(args, stop)
        first = next(frames, None)
        if first is None:
            return 0
        shown = 0
        with Viewer(args.save) as viewer:
            for frame in chain((first,), frames):
                viewer.show(frame)
                shown += 1
                if stop or viewer.closed or shown == args.frames:
                    break
        frames.close()
    print(f'{shown} frames shown' if args.save is None else f'{args.save}: {shown} frames')
    return 0


def _of_topic(args: argparse.Namespace, stop: Stop) -> Any:
    # Imported here: a bag needs no ROS.
    from magadepth_ros.nodes.dds import use_shipped_profile
    from magadepth_ros.subscribers.frame_subscriber import FrameSubscriber

    use_shipped_profile()
    listener = FrameSubscriber(args.source, args.rgb_topic or '', args.depth_topic or '')
    found = False
    try:
        while not stop:
            began = monotonic()
            frame = listener.wait(args.patience, lambda: bool(stop))
            if frame is None:
                if stop or found:
                    return
                raise DataError(
                    f'{args.source}: no frame within {args.patience:g} s; missing: '
                    f'{listener.missing()}; check that completion_node is active and has this '
                    'ROS_DOMAIN_ID'
                )
            found = True
            yield frame
            sleep(max(0.0, 1.0 / args.rate - (monotonic() - began)))
    finally:
        listener.close()


def _of_bag(args: argparse.Namespace) -> Any:
    # Imported here: a topic needs no rosbags.
    from magadepth_ros.completion import Completer
    from magadepth_ros.recordings.bag_frames import bag_frames, completed_frames

    topics = args.rgb_topic, args.depth_topic
    recorded = completed_frames(args.source, f'/{args.namespace.strip("/")}', *topics)
    if recorded is not None:
        for frame, depth, confidence in recorded:
            yield _viewed(frame, depth, confidence)
        return
    with Completer.open(args.model, args.backend) as completer:
        for frame in bag_frames(args.source, *topics):
            completion = completer.complete(frame.rgb, frame.depth)
            yield _viewed(frame, completion.depth, completion.confidence)


def _viewed(frame: RgbdFrame, depth: Any, confidence: Any) -> ViewedFrame:
    return ViewedFrame(replace(frame, depth=depth), frame.depth, confidence)
