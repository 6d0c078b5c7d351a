# SPDX-License-Identifier: Apache-2.0
"""``magadepth benchmark``: times of models and other methods on this machine."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from magadepth_ros.commands.arguments import add_command, baseline_names
from magadepth_ros.commands.benchmark_compare import LIMIT, compare
from magadepth_ros.commands.benchmark_growth import laws
from magadepth_ros.commands.benchmark_plots import write_growth, write_plot
from magadepth_ros.commands.benchmark_report import read_report, to_markdown, to_text
from magadepth_ros.commands.benchmark_run import measure_all, profile_node
from magadepth_ros.commands.benchmark_timing import BUDGET_MS
from magadepth_ros.commands.paths import Input, Model, Output
from magadepth_ros.commands.values import COUNT, TEXT, THREADS, OneOf, Size, require_package, whole
from magadepth_ros.engines import BACKENDS, PRECISIONS
from magadepth_ros.files import write_all, write_result
from magadepth_ros.simulation import SIDES

_DESCRIPTION = f"""\
Measure milliseconds per frame on simulated frames: of each stage of the library (fit to the
network's input, infer, restore the camera's pixels, confidence, merge with the measurements,
project to a cloud) and, with --peers, of classical methods. All methods take turns on the same
frames, so that other load on the machine affects all of them. Figures are medians. The ratio is
the time divided by that of the first model, as a median over the rounds. A slow method runs in as
many rounds as {BUDGET_MS / 1e3:g} s allow.

With --node, completion_node is measured too, with the first model, live over DDS between simulated
cameras and a subscriber. With --growth, the library is measured on fewer cores too, and the node
with fewer topics; lines are fitted to the cost. Where a GPU is found, PyTorch and TensorRT on the
GPU are measured too, and batches of 1, 4 and 8.
"""


_EXAMPLES = """
magadepth benchmark --models guided_fill --sizes 640x480
magadepth benchmark --backends openvino torch-cpu --peers --node --json bench.json
magadepth benchmark --models guided_fill --growth --node --peers nearest --plot bench.svg
magadepth benchmark --from-json bench.json --markdown page.md
magadepth benchmark --compare old.json new.json
magadepth benchmark --models guided_fill --profile node.speedscope.json
"""


def add_parser(subparsers: Any) -> None:
    """Add ``benchmark`` to the parser of the ``magadepth`` command."""
    add = add_command(subparsers, 'benchmark', _DESCRIPTION, _EXAMPLES).add_argument
    add(
        '--models',
        nargs='+',
        type=Model(),
        default=[],
        help='shipped models by name, or files (default: all that are installed)',
    )
    add(
        '--backends',
        nargs='+',
        default=None,
        choices=BACKENDS,
        metavar='BACKEND',
        help='runtimes, each tried with each model (default: auto, and those of a GPU)',
    )
    add(
        '--precisions',
        nargs='+',
        default=['auto'],
        choices=PRECISIONS,
        metavar='PRECISION',
        help='precisions, each tried with each model and runtime',
    )
    add(
        '--sizes',
        nargs='+',
        type=Size(*SIDES),
        default=[(640, 480), (848, 480), (1280, 720)],
        help='sizes of the frames [px]',
    )
    add(
        '--peers',
        nargs='*',
        type=OneOf(baseline_names),
        default=None,
        help='measure these classical methods too (without names: all); needs the extra train',
    )
    add(
        '--node',
        nargs='*',
        type=whole(1, 16),
        default=None,
        metavar='CAMERAS',
        help='measure the node too, with these numbers of cameras (without numbers: 1, 2 and 4); '
        'needs ROS 2',
    )
    add(
        '--growth',
        action='store_true',
        help='measure fewer cores and fewer topics too, with the first size; needs ROS 2',
    )
    add(
        '--batches',
        nargs='+',
        type=whole(1, 16),
        default=None,
        help='measure the first size in batches (default: 1, 4 and 8 where a GPU is found)',
    )
    add('--node-seconds', type=COUNT, default=6, metavar='S', help='time of a run of the node [s]')
    add('--repeats', type=COUNT, default=30, help='number of rounds')
    add('--threads', type=THREADS, default=0, help='CPU threads; 0: all cores')
    add('--json', type=Output(), help='write all figures, the machine and the versions')
    add(
        '--plot',
        type=Output(('.png', '.svg')),
        help='draw the times as bars (PNG or SVG), and the growth of the cost as FILE_growth; '
        'needs matplotlib',
    )
    add('--markdown', type=Output(), help='write the tables as a page')
    add(
        '--note',
        type=TEXT,
        metavar='TEXT',
        help='a remark for the report beside the machine, such as its power mode or other load',
    )
    add(
        '--from-json',
        type=Input('a file that --json wrote'),
        help='report a file that --json wrote, and measure nothing',
    )
    add(
        '--compare',
        nargs=2,
        type=Input('a file that --json wrote'),
        metavar=('OLD', 'NEW'),
        help='list the changes between two runs with --peers, and measure nothing; the exit code '
        f'is 1 where a time rose by more than {100 * LIMIT:.0f} percent',
    )
    add(
        '--profile',
        type=Output(),
        help='run the node, and write the stacks of its threads during one second for '
        'speedscope.app; measure nothing else; needs ROS 2',
    )


def check(args: argparse.Namespace) -> None:
    """Refuse options whose error would show only after the measurement."""
    if args.plot:
        require_package('matplotlib', '--plot')


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the files; 2 where a model could not be opened."""
    if args.compare:
        table, slower = compare(*args.compare)
        print(table)
        return 1 if slower else 0
    if args.profile:
        profile_node(args)
        print(f'{args.profile}: open it on https://www.speedscope.app')
        return 0
    report = read_report(args.from_json) if args.from_json else measure_all(args)
    report['note'] = args.note or report.get('note') or ''
    found = laws(report)
    report['laws'] = [str(law) for law in found]
    print(to_text(report))
    growth = args.plot.with_stem(f'{args.plot.stem}_growth') if args.plot and found else None

    def write_page(path: Path) -> None:
        pictures = [os.path.relpath(p, path.parent) if p else '' for p in (args.plot, growth)]
        write_result(path, to_markdown(report, *pictures))

    write_all(
        (args.json, lambda path: write_result(path, json.dumps(report, indent=1) + '\n')),
        (args.markdown, write_page),
        (args.plot, lambda path: write_plot(path, report)),
        (growth, lambda path: write_growth(path, found)),
    )
    return 2 if report['errors'] else 0
