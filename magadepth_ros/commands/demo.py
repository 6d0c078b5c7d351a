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
from magadepth_ros.commands.ros_processes import node_command, prepare_environment
from magadepth_ros.commands.stopping import Stop
from magadepth_ros.errors import DataError, EngineError
from magadepth_ros.files import is_bag_path, no_bag_reader
from magadepth_ros.manifest import read_manifest
from magadepth_ros.resources import AUTO_MODEL, find_config, find_model
from magadepth_ros.topics import realsense_topics
from magadepth_ros.viewer import require_rerun

CAMERA = realsense_topics()
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
TICK = 0.1
SNAPSHOT_LIMIT = 5.0


_DESCRIPTION = """\
Start a simulated camera and completion_node as two processes over ROS 2, watch them for a while,
and write summary.json (rate, latency, holes left) and preview.png.
"""

_EXAMPLES = """
magadepth demo --duration 60
magadepth demo --input BAG --viewer   # frames of one's own, on a timeline
"""


def add_parser(subparsers: Any) -> None:
    """Add ``demo`` and its options."""
    parser = add_command(subparsers, 'demo', _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add(
        '--input',
        default='',
        metavar='PATH',
        help='folder with a manifest.json, or bag, to play (default: a rendered room)',
    )
    add(
        '--duration',
        type=float,
        default=20.0,
        metavar='S',
        help='seconds to watch, from the first completed frame on',
    )
    add(
        '--output',
        type=Path,
        default=Path('out/demo'),
        metavar='FOLDER',
        help='where summary.json, preview.png and the logs go',
    )
    add_engine_options(parser, 'model', 'backend', 'precision')
    parser.set_defaults(model=AUTO_MODEL)
    add('--rate', type=float, default=30.0, metavar='HZ', help='frames a second of the camera')
    add('--width', type=int, default=640, metavar='PX', help='columns of the camera')
    add('--height', type=int, default=480, metavar='PX', help='rows of the camera')
    add(
        '--viewer',
        action='store_true',
        help='show picture, depth, confidence and cloud live by rerun, as `magadepth view` does',
    )
    add('--save', type=Path, metavar='FILE', help='write that to FILE (.rrd) instead of a window')
    add(
        '--patience',
        type=float,
        default=120.0,
        metavar='S',
        help='seconds that the first completed frame may take, building an engine included',
    )


def run(args: argparse.Namespace) -> int:
    """
    Run the demo; 0 = completed frames came and both processes lived.

    Raises
    ------
    MagadepthError
        the input, the model or the duration cannot be used.

    """
    if not args.duration > 0:
        raise DataError(f'duration: expected seconds above 0, got {args.duration:g}')
    # The node knows which model is fast enough for the runtime that it finds.
    model = args.model if args.model == AUTO_MODEL else str(find_model(args.model))
    if args.input:
        _check_input(Path(args.input))
    if args.viewer or args.save:
        require_rerun()
    args.output.mkdir(parents=True, exist_ok=True)
    for name in ('summary.json', 'preview.png'):
        (args.output / name).unlink(missing_ok=True)
    prepare_environment(args.output)
    # Imported here: it needs ROS, and whoever mistypes a folder need not wait for it.
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
            # First the others: they must not wait for this process to say good-bye.
            children.stop()
            watcher.close()


def _check_input(path: Path) -> None:
    """Raise DataError where the camera could not play this: it would say so in its log only."""
    if not is_bag_path(path):
        read_manifest(path)
        return
    try:
        from magadepth_ros.recordings.bags import find_topics, open_bag
    except ModuleNotFoundError as error:
        raise no_bag_reader(path, error) from None
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

    progress = _Progress()
    try:
        while not watcher.depth.stamps and not stop:
            watcher.spin(TICK)
            children.check()
            if watcher.trouble:
                # The node waits to be configured anew; nobody would do so here.
                progress.end()
                raise EngineError(f'completion_node could not start: {watcher.trouble}')
            waited = monotonic() - start
            if waited > args.patience:
                progress.end()
                _complain(children, f'no completed frame came within {waited:.0f} s')
                return EXIT_FAILED
            progress.show(f'{waited:5.1f} s  waiting for the first completed frame')
        first = monotonic()
        started = first - start
        while (elapsed := monotonic() - first) < args.duration and not stop:
            watcher.spin(min(TICK, args.duration - elapsed))
            children.check()
            progress.show(_line(elapsed, watcher))
        if not watcher.depth.stamps:
            progress.end()
            return EXIT_INTERRUPTED
        facts = {
            'seconds': round(monotonic() - first, 2),
            'start_seconds': round(started, 2),
            'input': args.input or 'simulated',
            'camera_rate_set_hz': args.rate,
        }
        summary = summarise(watcher, facts)
        if not stop:
            # After the measurement: the input images are read as well, which costs time.
            snapshot = _snapshot(watcher, children, stop)
            if snapshot is not None:
                write_preview(args.output / 'preview.png', snapshot)
        write_summary(args.output / 'summary.json', summary)
    except ChildError as error:
        progress.end()
        print(f'magadepth demo: {error}', file=sys.stderr)
        return EXIT_FAILED
    progress.end()
    print(table(summary))
    written = [name for name in ('summary.json', 'preview.png') if (args.output / name).exists()]
    print(f'written to {args.output}: {", ".join(written)}')
    print(f'to watch it live, run it with a longer duration and, beside it:\n  {_rviz()}')
    return EXIT_INTERRUPTED if stop else 0


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
        'input': str(Path(args.input).resolve()) if args.input else '',
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


def _line(elapsed: float, watcher: Any) -> str:
    recent = watcher.depth.latencies[-30:]
    latency = sum(recent) / len(recent)
    return (
        f'{elapsed:5.1f} s  {len(watcher.depth.stamps)} frames, {watcher.depth.rate:.1f} Hz, '
        f'latency {latency:.0f} ms, {len(watcher.cloud.stamps)} clouds'
    )


class _Progress:
    """One line that changes on a terminal; a line every five seconds elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._next = 0.0

    def show(self, text: str) -> None:
        if self._live:
            print(f'\r{text:<78}', end='', file=sys.stderr, flush=True)
        elif monotonic() >= self._next:
            self._next = monotonic() + 5.0
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._live:
            print(file=sys.stderr)
