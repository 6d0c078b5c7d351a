# SPDX-License-Identifier: Apache-2.0
"""``magadepth demo``: a camera and the completion node as two processes over DDS, measured."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from time import monotonic
from typing import Any

from magadepth_ros.commands.arguments import add_command, add_engine_options
from magadepth_ros.commands.children import ChildError, Children
from magadepth_ros.commands.paths import Model, Output, Recording
from magadepth_ros.commands.progress import progress
from magadepth_ros.commands.ros_processes import node_command, prepare_environment
from magadepth_ros.commands.stopping import Stop
from magadepth_ros.commands.values import SECONDS, Number, whole
from magadepth_ros.errors import EngineError
from magadepth_ros.manifest import read_manifest
from magadepth_ros.recordings import is_bag_path
from magadepth_ros.resources import AUTO_MODEL, find_config, find_model
from magadepth_ros.simulation import RATES, SIDES
from magadepth_ros.topics import realsense_topics
from magadepth_ros.viewer import require_display, require_rerun

CAMERA = realsense_topics()
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
TICK = 0.1
SNAPSHOT_LIMIT = 5.0
SECONDS_BAR = '{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s{postfix}'


_DESCRIPTION = """\
Start a simulated camera and completion_node as two processes over ROS 2, measure them for some
seconds, and write summary.json (rate, latency, unfilled share) and preview.png.
"""

_EXAMPLES = """
magadepth demo --duration 60
magadepth demo --input BAG --viewer   # your own frames, on a timeline
"""


def add_parser(subparsers: Any) -> None:
    """Add ``demo`` and its options."""
    parser = add_command(subparsers, 'demo', _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add(
        '--input',
        type=Recording(),
        metavar='PATH',
        help='folder with a manifest.json, or bag, to play (default: a rendered room)',
    )
    add(
        '--duration',
        type=SECONDS,
        default=20.0,
        help='seconds to measure, from the first completed frame on',
    )
    add(
        '--output',
        type=Output(folder=True),
        default=Path('out/demo'),
        help='folder for summary.json, preview.png and the logs',
    )
    add(
        '--model',
        type=Model(also=(AUTO_MODEL,)),
        default=AUTO_MODEL,
        help='shipped model by name, or path of an ONNX or of an engine; auto: magadepth_small on '
        'a GPU, magadepth_tiny on a CPU',
    )
    add_engine_options(parser, 'backend', 'precision')
    add(
        '--rate',
        type=Number(*RATES),
        default=30.0,
        metavar='HZ',
        help='frames a second of the camera',
    )
    add('--width', type=whole(*SIDES), default=640, metavar='PX', help='width of the images')
    add('--height', type=whole(*SIDES), default=480, metavar='PX', help='height of the images')
    add(
        '--viewer',
        action='store_true',
        help='show picture, depth, confidence and cloud live in rerun, as `magadepth view` does',
    )
    add(
        '--save',
        type=Output(('.rrd',)),
        help='write the view to FILE (.rrd) instead of opening a window',
    )
    add(
        '--patience',
        type=SECONDS,
        default=120.0,
        help='longest wait for the first completed frame [s], with the build of an engine',
    )


def check(args: argparse.Namespace) -> None:
    """Refuse values that a child process would refuse in its log only."""
    if args.viewer or args.save:
        require_rerun()
    if args.viewer and not args.save:
        require_display()
    if args.input:
        _check_input(args.input)


def run(args: argparse.Namespace) -> int:
    """
    Run the demo; 0 = completed frames came and both processes lived.

    Raises
    ------
    MagadepthError
        the model cannot be used.

    """
    # The node chooses a model that is fast enough for its runtime.
    model = args.model if args.model == AUTO_MODEL else str(find_model(args.model))
    args.output.mkdir(parents=True, exist_ok=True)
    for name in ('summary.json', 'preview.png'):
        (args.output / name).unlink(missing_ok=True)
    prepare_environment(args.output)
    # Imported late, as it needs ROS and takes seconds: refusing an argument needs neither.
    from magadepth_ros.subscribers.demo_subscriber import DemoSubscriber

    stop = Stop()
    with stop, Children() as children:
        start = monotonic()
        children.start('simulated_camera', _camera(args), args.output / 'simulated_camera.log')
        children.start(
            'completion_node', _completion(args, model), args.output / 'completion_node.log'
        )
        if args.viewer or args.save:
            children.start('viewer', _viewer(args), args.output / 'viewer.log')
        print(f'starting; to watch it in RViz:\n  {_rviz()}', flush=True)
        watcher = DemoSubscriber()
        try:
            return _watch(args, children, watcher, stop, start)
        finally:
            # The children first: they must not wait until this process has left the graph.
            children.stop()
            watcher.close()


def _check_input(path: Path) -> None:
    """Raise DataError where the camera could not play the input, as it reports in its log only."""
    if not is_bag_path(path):
        read_manifest(path)
        return
    from magadepth_ros.recordings.bags import find_topics, open_bag

    with open_bag(path) as reader:
        find_topics(reader)


def _watch(
    args: argparse.Namespace, children: Children, watcher: Any, stop: Stop, start: float
) -> int:
    from magadepth_ros.commands.demo_report import (
        summarise,
        table,
        write_preview,
        write_summary,
    )

    try:
        if not _wait(args, children, watcher, stop, start):
            return EXIT_INTERRUPTED if stop else EXIT_FAILED
        first = monotonic()
        _measure(args.duration, children, watcher, stop)
        facts = {
            'seconds': round(monotonic() - first, 2),
            'start_seconds': round(first - start, 2),
            'input': str(args.input or 'simulated'),
            'camera_rate_set_hz': args.rate,
        }
        summary = summarise(watcher, facts)
        # After the measurement, as subscribing to the input images costs processor time.
        snapshot = None if stop else _snapshot(watcher, children, stop)
        if snapshot is not None:
            write_preview(args.output / 'preview.png', snapshot)
        write_summary(args.output / 'summary.json', summary)
    except ChildError as error:
        print(f'magadepth demo: {error}', file=sys.stderr)
        return EXIT_FAILED
    print(table(summary))
    written = 'summary.json' + (', preview.png' if snapshot is not None else '')
    print(f'written to {args.output}: {written}')
    if snapshot is None:
        why = 'it was interrupted' if stop else watcher.missing(SNAPSHOT_LIMIT)
        print(f'no preview.png: {why}')
    print(f'to watch it live, run it with a longer duration and, beside it:\n  {_rviz()}')
    return EXIT_INTERRUPTED if stop else 0


def _wait(
    args: argparse.Namespace, children: Children, watcher: Any, stop: Stop, start: float
) -> bool:
    """Wait for the first completed frame; False where none came."""
    with progress(args.patience, 'waiting for the first frame', bar_format=SECONDS_BAR) as bar:
        while not watcher.depth.stamps and not stop:
            watcher.spin(TICK)
            children.check()
            if watcher.trouble:
                # The node waits to be configured again, which nobody does in the demo.
                raise EngineError(f'completion_node could not start: {watcher.trouble}')
            waited = monotonic() - start
            if waited > args.patience:
                break
            bar.update(waited - bar.n)
    if not watcher.depth.stamps and not stop:
        _complain(children, f'no completed frame came within {args.patience:g} s')
    return bool(watcher.depth.stamps)


def _measure(duration: float, children: Children, watcher: Any, stop: Stop) -> None:
    """Receive messages for some seconds."""
    first = monotonic()
    with progress(duration, 'demo', bar_format=SECONDS_BAR) as bar:
        while (elapsed := monotonic() - first) < duration and not stop:
            watcher.spin(min(TICK, duration - elapsed))
            children.check()
            bar.set_postfix_str(_line(watcher), refresh=False)
            bar.update(min(monotonic() - first, duration) - bar.n)


def _snapshot(watcher: Any, children: Children, stop: Stop) -> Any:
    watcher.start_keeping()
    end = monotonic() + SNAPSHOT_LIMIT
    while monotonic() < end and not stop:
        watcher.spin(TICK)
        children.check()
        found = watcher.snapshot()
        if found is not None:
            return found
    return None


def _camera(args: argparse.Namespace) -> list[str]:
    parameters = {
        'input': str(args.input.resolve()) if args.input else '',
        'rate': args.rate,
        'width': args.width,
        'height': args.height,
    }
    return node_command('simulated_camera', parameters)


def _completion(args: argparse.Namespace, model: str) -> list[str]:
    parameters = {'model': model, 'backend': args.backend, 'precision': args.precision}
    return node_command('completion_node', parameters, CAMERA.as_inputs())


def _viewer(args: argparse.Namespace) -> list[str]:
    command = [sys.executable, '-m', 'magadepth_ros.commands.main', 'view', '/depth/completed']
    command += ['--rgb-topic', CAMERA.rgb, '--depth-topic', CAMERA.depth]
    command += ['--patience', f'{args.patience + args.duration}']
    return command + (['--save', str(args.save.resolve())] if args.save else [])


def _rviz() -> str:
    names = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY')
    prefix = ' '.join(f'{name}={os.environ[name]}' for name in names if name in os.environ)
    return f'{prefix} rviz2 -d {find_config("magadepth.rviz")}'


def _complain(children: Children, text: str) -> None:
    tails = [f'--- {c.name} ({c.log}):\n{c.tail()}' for c in children.running]
    print('\n'.join([f'magadepth demo: {text}', *tails]), file=sys.stderr)


def _line(watcher: Any) -> str:
    recent = watcher.depth.latencies[-30:]
    latency = sum(recent) / len(recent)
    return (
        f'{len(watcher.depth.stamps)} frames, {watcher.depth.rate:.1f} Hz, '
        f'latency {latency:.0f} ms, {len(watcher.cloud.stamps)} clouds'
    )
