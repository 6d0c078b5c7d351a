# SPDX-License-Identifier: Apache-2.0
"""``magadepth evaluate``: score models and classical methods on frames with known depth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magadepth_ros.commands.arguments import add_command, add_engine_options, count
from magadepth_ros.commands.progress import Progress
from magadepth_ros.errors import DataError
from magadepth_ros.files import write_all, write_result

if TYPE_CHECKING:
    from magadepth_training.evaluation.methods import Method

_SHEET_LINES = 8

_DESCRIPTION = """\
Score completed depth where the true depth is known. One row for each model and each baseline:
errors at pixels that were missing in the input (fill) and near depth edges, at pixels that were
measured (keep), how well the confidence ranks the errors (AUSE, lower is better, beside that of
the plain distance to the nearest measurement), flicker between consecutive frames, and
milliseconds per frame (median). Frames without a target are run and timed, but not scored.
"""


_EXAMPLES = """
magadepth evaluate FRAMES --models magadepth_small mine.onnx --sheet sheet.png
magadepth evaluate BAG --models magadepth_small --baselines nearest ip_basic
magadepth evaluate FRAMES --csv scores.csv --markdown scores.md
"""


def add_parser(subparsers: Any) -> None:
    """Add ``evaluate`` to the parser of the ``magadepth`` command."""
    parser = add_command(subparsers, 'evaluate', _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add(
        'data',
        type=Path,
        nargs='?',
        metavar='DATA',
        help='folder with a manifest.json, nyu_depth_v2_labeled.mat, folder of SUN RGB-D or DIML, '
        'or bag; needed but for --from-csv',
    )
    add(
        '--models', nargs='*', default=[], metavar='MODEL', help='shipped models by name, or files'
    )
    add(
        '--baselines',
        nargs='*',
        default=['all'],
        metavar='NAME',
        help='classical methods: all, none, or names; levin takes seconds a frame',
    )
    add(
        '--predictions',
        nargs='*',
        default=[],
        type=Path,
        metavar='FOLDER',
        help='score depth of another program too: STEM.png for each frame (16 bit, mm, 0 = not '
        'filled)',
    )
    add('--json', type=Path, metavar='FILE', help='write all figures')
    add('--csv', type=Path, metavar='FILE', help='write a line for each method, sensor and scene')
    add('--markdown', type=Path, metavar='FILE', help='write tables as a page; needs --csv')
    add(
        '--from-csv',
        type=Path,
        metavar='FILE',
        help='run nothing: make the page of what --csv wrote before',
    )
    add('--sheet', type=Path, metavar='FILE', help='write pictures side by side (PNG)')
    add('--step', type=count, default=1, metavar='N', help='take every N-th frame')
    add('--limit', type=count, metavar='N', help='take N frames at most')
    add(
        '--split',
        default='test',
        choices=('train', 'test', 'all'),
        help='part of NYU-Depth V2, SUN RGB-D or DIML',
    )
    add(
        '--task',
        default='raw',
        choices=('raw', 'sparse500'),
        help='input of NYU-Depth V2: the raw depth, or 500 points of the target',
    )
    add_engine_options(parser, 'backend', 'precision', 'threads')


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the files; raises MagadepthError."""
    if args.from_csv:
        args.csv = args.from_csv
        _write_page(args)
        return 0
    if args.data is None or (args.markdown and not args.csv):
        raise DataError('name the data to evaluate, and --csv with --markdown; or --from-csv')
    from magadepth_training.datasets.opening import open_source
    from magadepth_training.evaluation.evaluator import evaluate
    from magadepth_training.evaluation.report import table, write_csv, write_json
    from magadepth_training.evaluation.sheet import ContactSheet

    source = open_source(args.data, args.split, args.task)
    indices = list(range(len(source)))[:: args.step][: args.limit]
    methods = _methods(args)
    sheet = ContactSheet()
    # Evenly spaced, so that the sheet shows every scene of an ordered set.
    stride = max(1, -(-len(indices) // _SHEET_LINES))
    drawn = set(indices[::stride]) if args.sheet else set()
    # The sheet has room for a few: models first, then the stronger baselines (last in the list).
    order = [method.name for method in methods if method.kind != 'baseline']
    order += [method.name for method in reversed(methods) if method.kind == 'baseline']
    with Progress(len(indices), 'frames') as progress:

        def watch(index: int, sample: Any, predictions: dict[str, Any]) -> None:
            progress.advance()
            if index in drawn:
                sheet.add(sample, {name: predictions[name] for name in order})

        results = evaluate(source, methods, indices, watch)
    rows = [row.as_dict() for row in results]
    if not any(row['frames_scored'] for row in rows):
        print(
            f'magadepth: no frame of {source.name} has a target with holes to score; '
            'only times and shares are shown',
            file=sys.stderr,
        )
    print(f'{source.name}: {len(indices)} frames')
    print(table(rows, source.target_made_by))
    write_all(
        (args.json, lambda path: write_json(path, source.name, rows, source.target_made_by)),
        (args.csv, lambda path: write_csv(path, rows)),
        (args.markdown, lambda _: _write_page(args)),
        (args.sheet, sheet.write),
    )
    return 0


def _write_page(args: argparse.Namespace) -> None:
    from magadepth_training.evaluation.page import read_lines, to_markdown

    page = to_markdown(read_lines(args.csv), args.csv.as_posix())
    if args.markdown:
        write_result(args.markdown, page)
    else:
        print(page)


def _methods(args: argparse.Namespace) -> list[Method]:
    from magadepth_training.evaluation.methods import (
        baseline_methods,
        model_method,
        predictions_method,
    )

    models = [
        model_method(model, args.backend, args.precision, args.threads) for model in args.models
    ]
    methods = models + [predictions_method(folder) for folder in args.predictions]
    methods += baseline_methods(args.baselines)
    if not methods:
        raise DataError('nothing to evaluate; name --models, --baselines or --predictions')
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f'two methods are called {name!r}; rename one of the files or folders')
    return methods
