# SPDX-License-Identifier: Apache-2.0
"""``magadepth benchmark``: how long models, and other methods, take on this machine."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import cv2

from magadepth_ros.commands.arguments import add_command, baseline_names
from magadepth_ros.commands.benchmark_node import NodeRun, measure_node
from magadepth_ros.commands.benchmark_report import (
    machine_facts,
    read_report,
    to_markdown,
    to_text,
    write_plot,
)
from magadepth_ros.commands.benchmark_timing import (
    BUDGET_MS,
    Candidate,
    measure,
    method_candidate,
    model_candidate,
)
from magadepth_ros.commands.paths import Input, Model, Output
from magadepth_ros.commands.progress import progress
from magadepth_ros.commands.values import COUNT, TEXT, THREADS, OneOf, Size, require_package, whole
from magadepth_ros.completion import Completer
from magadepth_ros.engines import BACKENDS, PRECISIONS
from magadepth_ros.errors import EngineError, MagadepthError, ModelError
from magadepth_ros.files import write_all, write_result
from magadepth_ros.resources import DEFAULT_MODEL, find_model, model_names
from magadepth_ros.simulation import SIDES, simulated_frames, simulated_intrinsics

NODE_CAMERAS = (1, 2, 4)
FRAMES = 4

_DESCRIPTION = f"""\
Measure milliseconds per frame on simulated frames: of each stage of the library (fit to the
network's input, infer, restore the camera's pixels, confidence, merge with what was measured,
project to a cloud) and, with --peers, of classical methods. All take turns on the same frames, so
that a disturbance meets each; figures are medians, and the ratio is the median over the rounds of
the time divided by that of the first model. A slow method takes part in as many rounds as
{BUDGET_MS / 1e3:g} s allow. With --node, completion_node is measured too, live over DDS between
simulated cameras and a subscriber, with the first model.
"""


_EXAMPLES = """
magadepth benchmark --models guided_fill --sizes 640x480
magadepth benchmark --backends openvino torch-cpu --peers --node --json bench.json
magadepth benchmark --from-json bench.json --markdown page.md
"""


def add_parser(subparsers: Any) -> None:
    """Add ``benchmark`` to the parser of the ``magadepth`` command."""
    add = add_command(subparsers, 'benchmark', _DESCRIPTION, _EXAMPLES).add_argument
    add(
        '--models',
        nargs='+',
        type=Model(),
        default=[],
        metavar='MODEL',
        help='shipped models by name, or files (default: all that are installed)',
    )
    add(
        '--backends',
        nargs='+',
        default=['auto'],
        choices=BACKENDS,
        metavar='BACKEND',
        help='runtimes, each tried with each model',
    )
    add(
        '--precisions',
        nargs='+',
        default=['auto'],
        choices=PRECISIONS,
        metavar='PRECISION',
        help='likewise',
    )
    add(
        '--sizes',
        nargs='+',
        type=Size(*SIDES),
        default=[(640, 480), (848, 480), (1280, 720)],
        metavar='WxH',
        help='of the frames [px]',
    )
    add(
        '--peers',
        nargs='*',
        type=OneOf(baseline_names),
        default=None,
        metavar='NAME',
        help='measure these classical methods too, without names all; needs the extra train',
    )
    add(
        '--node',
        nargs='*',
        type=whole(1, 16),
        default=None,
        metavar='CAMERAS',
        help='measure the node too, with so many cameras, without numbers 1, 2 and 4; needs ROS 2',
    )
    add('--node-seconds', type=COUNT, default=6, metavar='S', help='of each run of the node')
    add('--repeats', type=COUNT, default=30, metavar='N', help='rounds')
    add('--threads', type=THREADS, default=0, metavar='N', help='CPU threads; 0: all cores')
    add(
        '--json',
        type=Output(),
        metavar='FILE',
        help='write all figures, the machine and the versions',
    )
    add(
        '--plot',
        type=Output(('.png', '.svg')),
        metavar='FILE',
        help='draw bars (PNG or SVG); needs matplotlib',
    )
    add('--markdown', type=Output(), metavar='FILE', help='write the tables as a page')
    add(
        '--note',
        type=TEXT,
        metavar='TEXT',
        help='what the report says beside the machine: its power mode, other load',
    )
    add(
        '--from-json',
        type=Input('a file that --json wrote'),
        metavar='FILE',
        help='measure nothing: report what --json wrote before',
    )


def check(args: argparse.Namespace) -> None:
    """Refuse what would be missed after the measurement only."""
    if args.plot:
        require_package('matplotlib', '--plot')


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the files; 2 where a model could not be opened."""
    report = read_report(args.from_json) if args.from_json else _measure(args)
    report['note'] = args.note or report.get('note') or ''
    print(to_text(report))

    def write_page(path: Path) -> None:
        picture = os.path.relpath(args.plot, path.parent) if args.plot else ''
        write_result(path, to_markdown(report, picture))

    write_all(
        (args.json, lambda path: write_result(path, json.dumps(report, indent=1) + '\n')),
        (args.markdown, write_page),
        (args.plot, lambda path: write_plot(path, report)),
    )
    return 2 if report['errors'] else 0


def _measure(args: argparse.Namespace) -> dict[str, Any]:
    # The default first: the ratios are to it, and the node runs it.
    names = args.models or sorted(model_names(), key=lambda name: name != DEFAULT_MODEL)
    if not names:
        raise ModelError('no model is installed; name a file: --models FILE.onnx')
    peers = _peers(args.peers)
    # First, while this process has no threads: it starts others.
    node = _measure_node(names[0], args)
    completers, errors = _open(names, args)
    if not completers:
        raise EngineError('nothing to measure: ' + '; '.join(errors))
    rows: list[dict[str, Any]] = []
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(args.threads or threads)
        with progress(len(args.sizes) * args.repeats, 'rounds', ' rounds') as bar:
            for width, height in args.sizes:
                camera = simulated_intrinsics(width, height)
                candidates = [model_candidate(n, c, camera) for n, c in completers]
                frames = simulated_frames(width, height, FRAMES)
                rows += measure(candidates + peers, frames, args.repeats, bar.update)
    finally:
        cv2.setNumThreads(threads)
        for _, completer in completers:
            completer.close()
    return {
        **machine_facts(args.threads),
        'command': shlex.join(['magadepth', *sys.argv[1:]]),
        'repeats': args.repeats,
        'rows': rows,
        'node': node,
        'errors': errors,
    }


def _measure_node(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    if args.node is None:
        return []
    run = NodeRun(
        str(find_model(name)),
        args.backends[0],
        args.precisions[0],
        args.threads,
        seconds=args.node_seconds,
    )
    cameras = args.node or NODE_CAMERAS
    with progress(len(args.sizes) * len(cameras), 'node', ' runs') as bar:
        return measure_node(run, args.sizes, cameras, bar.update)


def _open(
    names: list[str], args: argparse.Namespace
) -> tuple[list[tuple[str, Completer]], list[str]]:
    """Open each model on each runtime once: two precisions may come to the same."""
    completers: dict[tuple[str, str, str], Completer] = {}
    errors = []
    for name, backend, precision in product(names, args.backends, args.precisions):
        try:
            completer = Completer.open(name, backend, precision, args.threads)
        except MagadepthError as error:
            errors.append(f'{name} {backend} {precision}: {error}')
            continue
        key = (Path(name).stem, completer.engine.backend, completer.engine.precision)
        if key in completers:
            completer.close()
        else:
            completers[key] = completer
    return [(key[0], completer) for key, completer in completers.items()], errors


def _peers(names: list[str] | None) -> list[Candidate]:
    if names is None:
        return []
    from magadepth_training.evaluation.baselines import select_baselines

    chosen: dict[str, Callable[..., Any]] = select_baselines(names or ['all'])
    return [method_candidate(name, function) for name, function in chosen.items()]
