# SPDX-License-Identifier: Apache-2.0
"""``magadepth evaluate``: score models and classical methods on frames with known depth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magadepth_ros.commands.arguments import (
    add_command,
    add_engine_options,
    add_settings_option,
    baseline_names,
)
from magadepth_ros.commands.paths import Input, Model, Output
from magadepth_ros.commands.progress import progress
from magadepth_ros.commands.values import COUNT, OneOf
from magadepth_ros.errors import DataError
from magadepth_ros.files import write_all, write_result

if TYPE_CHECKING:
    from magadepth_training.datasets.sample import Source
    from magadepth_training.evaluation.methods import Method
    from magadepth_training.evaluation.sheet import ContactSheet

_SHEET_LINES = 8

_DESCRIPTION = """\
Score completed depth where the true depth is known. The table has one row for each model and each
baseline. Its figures are: errors at pixels that were missing in the input (fill), by region and
size of the hole, and at pixels that were measured (keep); phantom obstacles; AUSE, which tells how
well the confidence ranks the errors (lower is better), and the AUSE of the distance to the nearest
measurement; flicker and lag in sequences; milliseconds per frame (median). Means have a 95 %
interval over scenes. Frames without a target are completed and timed, but not scored. With the
simulated robot, the figures of a costmap are added.
"""


_EXAMPLES = """
magadepth evaluate FRAMES --models guided_fill mine.onnx --sheet sheet.png
magadepth evaluate FRAMES --sparse 500 --baselines nearest ip_basic
magadepth evaluate FRAMES MORE --csv scores.csv --markdown scores.md
magadepth evaluate simulated:drive simulated:still --models guided_fill --baselines raw nearest
"""


def add_parser(subparsers: Any) -> None:
    """Add ``evaluate`` to the parser of the ``magadepth`` command."""
    parser = add_command(subparsers, 'evaluate', _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add(
        'data',
        type=Input('recorded frames', either=True, also=('simulated:drive', 'simulated:still')),
        nargs='*',
        metavar='DATA',
        help='folders with a manifest.json, nyu_depth_v2_labeled.mat, folders of SUN RGB-D or '
        'DIML, or bags; simulated:drive and simulated:still: a simulated robot that drives or '
        'stands while a person walks by; not with --from-csv',
    )
    add('--models', nargs='*', type=Model(), default=[], help='shipped models by name, or files')
    add_settings_option(
        parser,
        'run each model a second time, with this setting of the completion, for example '
        'replace_outliers=true; repeatable: the second run has all the settings',
    )
    add(
        '--baselines',
        nargs='*',
        type=OneOf(lambda: [*baseline_names(), 'raw']),
        default=['all'],
        help='classical methods: all, none, or names; levin needs SciPy, and takes seconds a '
        'frame; raw, the unfilled depth, is not among all',
    )
    add(
        '--predictions',
        nargs='*',
        default=[],
        type=Input('a folder of predictions', folder=True),
        help='also score the depth of another program: a folder with STEM.png for each frame (16 '
        'bit, mm, 0 = not filled)',
    )
    add('--json', type=Output(), help='write all figures')
    add('--csv', type=Output(), help='write a line for each method, region, sensor and scene')
    add('--markdown', type=Output(), help='write tables as a page; needs --csv')
    add(
        '--from-csv',
        type=Input('a file that --csv wrote'),
        nargs='+',
        help='make the page from files that --csv wrote, and run no method',
    )
    add('--sheet', type=Output(('.png',)), help='write pictures side by side (PNG)')
    add('--step', type=COUNT, default=1, help='take every N-th frame')
    add('--limit', type=COUNT, help='take N frames at most')
    add(
        '--split',
        default='test',
        choices=('train', 'test', 'all'),
        help='split of NYU-Depth V2, SUN RGB-D or DIML',
    )
    add(
        '--sparse',
        type=COUNT,
        help='give N random points of the true depth as input, and score all other pixels',
    )
    add_engine_options(parser, 'backend', 'precision', 'threads')


def check(args: argparse.Namespace) -> None:
    """Refuse arguments that leave nothing to evaluate."""
    if not args.from_csv and (not args.data or (args.markdown and not args.csv)):
        raise DataError(
            'expected DATA to evaluate (for --markdown also --csv FILE), or --from-csv FILE'
        )


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the files; raises MagadepthError."""
    if args.from_csv:
        _write_page(args.from_csv, args.markdown)
        return 0
    from magadepth_training.datasets.opening import open_source
    from magadepth_training.evaluation.report import write_csv, write_json
    from magadepth_training.evaluation.sheet import ContactSheet
    from magadepth_training.evaluation.simulated import SIMULATED, SimulatedRobot
    from magadepth_training.evaluation.sparse import SparseSource

    sources: list[Source] = [
        SimulatedRobot(str(path)) if str(path) in SIMULATED else open_source(path, args.split)
        for path in args.data
    ]
    if args.sparse:
        sources = [SparseSource(source, args.sparse) for source in sources]
    methods, sheet = _methods(args), ContactSheet()
    rows = [row for source in sources for row in _evaluate(source, methods, sheet, args)]
    write_all(
        (args.json, lambda path: write_json(path, rows)),
        (args.csv, lambda path: write_csv(path, rows)),
        (args.markdown, lambda path: _write_page([args.csv], path)),
        (args.sheet, sheet.write),
    )
    return 0


def _evaluate(
    source: Source, methods: list[Method], sheet: ContactSheet, args: argparse.Namespace
) -> list[dict[str, Any]]:
    from magadepth_training.evaluation.evaluator import evaluate
    from magadepth_training.evaluation.report import table

    indices = list(range(len(source)))[:: args.step][: args.limit]
    # Evenly spaced, so that the sheet shows every scene of an ordered set.
    stride = max(1, -(-len(indices) // _SHEET_LINES))
    drawn = set(indices[::stride]) if args.sheet else set()
    # The sheet has room for a few methods: the models, then the stronger baselines, which are
    # last in the list.
    order = [method.name for method in methods if method.kind != 'baseline']
    order += [method.name for method in reversed(methods) if method.kind == 'baseline']
    with progress(len(indices), 'frames') as bar:

        def watch(index: int, sample: Any, predictions: dict[str, Any]) -> None:
            bar.update()
            if index in drawn:
                sheet.add(sample, {name: predictions[name] for name in order})

        results = evaluate(source, methods, indices, watch)
    rows = [{'data': source.name, **row.as_dict()} for row in results]
    if not any(row['frames_scored'] for row in rows):
        print(
            f'magadepth: no frame of {source.name} has a target with holes to score; '
            'only times and shares are shown',
            file=sys.stderr,
        )
    print(f'{source.name}: {len(indices)} frames')
    print(table(rows, source.target_made_by))
    return rows


def distinct_names(paths: Sequence[Path], taken: Sequence[str] = ()) -> list[str]:
    """
    Name files and folders by the shortest ends of their paths that differ.

    No file gets a name of ``taken``.

    Raises
    ------
    DataError
        a path is given twice.

    """
    wholes = [path.with_suffix('').parts for path in paths]
    lengths = [1] * len(wholes)
    while True:
        names = ['/'.join(whole[-n:]) for whole, n in zip(wholes, lengths)]
        same = [i for i, name in enumerate(names) if [*names, *taken].count(name) > 1]
        if not same:
            return names
        if all(lengths[i] >= len(wholes[i]) for i in same):
            raise DataError(f'two methods are called {names[same[0]]!r}; name each once')
        for i in same:
            lengths[i] += 1


def _write_page(tables: list[Path], path: Path | None) -> None:
    from magadepth_training.evaluation.page import read_lines, to_markdown

    page = to_markdown(read_lines(tables), [table.as_posix() for table in tables])
    if path:
        write_result(path, page)
    else:
        print(page)


def _methods(args: argparse.Namespace) -> list[Method]:
    from magadepth_training.evaluation.methods import (
        baseline_methods,
        model_method,
        predictions_method,
    )

    variants: list[list[str]] = [[], args.set] if args.set else [[]]
    folders = [folder.resolve() for folder in args.predictions]
    baselines = baseline_methods(args.baselines)
    given = [*map(Path, args.models), *folders]
    names = iter(distinct_names(given, [method.name for method in baselines]))
    methods = []
    for model, name in zip(args.models, names):
        for settings in variants:
            method = model_method(model, args.backend, args.precision, args.threads, settings)
            methods.append(replace(method, name=' '.join([name, *settings])))
    methods += [
        replace(predictions_method(folder), name=name) for folder, name in zip(folders, names)
    ]
    methods += baselines
    if not methods:
        raise DataError('nothing to evaluate; name --models, --baselines or --predictions')
    return methods
