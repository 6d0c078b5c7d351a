# SPDX-License-Identifier: Apache-2.0
"""The command `magadepth export-trt`: weights or ONNX in, a checked TensorRT engine out."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from magadepth_ros.commands.arguments import HelpFormatter, add_command
from magadepth_ros.errors import DataError, MagadepthError, ModelError
from magadepth_ros.files import write_result
from magadepth_ros.tables import align

_COLUMNS = (
    'model', 'precision', 'builder', 'layers', 'share', 'MiB', 'build s', 'worst', 'engine run'
)  # fmt: skip


_DESCRIPTION = """\
Build TensorRT engines: weights -> ONNX -> ONNX of the wanted precision -> engine -> check.

TensorRT builds for the GPU of this machine. TensorRT for RTX builds on any machine, with or
without a GPU, for GeForce and RTX PRO cards. Without --output the engine goes to the cache where
the node looks for it.
"""

_EXAMPLES = """
magadepth export-trt guided_fill --precision fp16
magadepth export-trt mine.onnx --precision fp32 fp16 --check FRAMES --output engines
magadepth export-trt mine.onnx --builder tensorrt-rtx --compute-capability 8.6 8.9
"""


def add_parser(subparsers: Any) -> None:
    """Add ``export-trt`` and its options."""
    _add_arguments(add_command(subparsers, 'export-trt', _DESCRIPTION, _EXAMPLES))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        'models',
        nargs='*',
        metavar='MODEL',
        help='shipped models by name, or ONNX or .safetensors files (default: all that are '
        'installed)',
    )
    add(
        '--precision',
        nargs='+',
        default=['auto'],
        choices=('auto', 'fp32', 'fp16'),
        help='arithmetic inside, an engine for each; auto: fp16 where the model calls it safe, '
        'else fp32',
    )
    add(
        '--builder',
        default='auto',
        choices=('auto', 'tensorrt', 'tensorrt-rtx'),
        help='TensorRT or TensorRT for RTX; auto: the former where there is a GPU and it is '
        'installed',
    )
    add(
        '--compute-capability',
        nargs='+',
        default=[],
        metavar='X.Y',
        help='GPUs that an engine of TensorRT for RTX is for (default: all from 8.0 on)',
    )
    add('--batch', type=int, default=1, metavar='N', help='largest number of frames at once')
    add(
        '--workspace',
        type=float,
        default=0,
        metavar='MIB',
        help="scratch memory on the GPU at most [MiB]; 0: TensorRT's own limit",
    )
    add(
        '--output',
        type=Path,
        metavar='PATH',
        help='folder, or .engine file for a single engine (default: the cache)',
    )
    add('--onnx', type=Path, metavar='FOLDER', help='keep the converted ONNX there')
    add(
        '--no-convert',
        action='store_true',
        help='take the ONNX as it is: its types state the precision',
    )
    add(
        '--check',
        type=Path,
        metavar='DATA',
        help='folder with a manifest.json to check the engine with (default: simulated frames)',
    )
    add(
        '--max-difference',
        type=float,
        default=0.01,
        metavar='SHARE',
        help='largest difference from float32 let through, relative to the depth',
    )
    add('--no-check', action='store_true', help='skip the check')
    add(
        '--no-build',
        action='store_true',
        help='stop after the conversion; the ONNX stays in --onnx, or in the current folder',
    )
    add('--force', action='store_true', help='build even where the cache has the engine')
    add('--json', type=Path, metavar='FILE', help='write the summary here')


def run(args: argparse.Namespace) -> int:
    """Build all wanted engines; returns 2 where one was refused."""
    from magadepth_ros.resources import model_names

    models = args.models or model_names()
    if not models:
        raise ModelError('no model is installed; name an ONNX or safetensors file')
    if args.batch < 1:
        raise DataError(f'--batch is {args.batch}, expected 1 or more')
    if args.no_convert and args.no_build:
        raise DataError('--no-convert and --no-build leave nothing to do; drop one')
    single = args.output is not None and args.output.suffix in ('.engine', '.plan')
    if single and len(models) * len(args.precision) > 1:
        raise DataError('--output names one file, but several engines are wanted; name a folder')
    rows = []
    with tempfile.TemporaryDirectory(prefix='magadepth-') as folder:
        for name in models:
            try:
                onnx = _as_onnx(name, Path(folder))
            except MagadepthError as error:
                rows.append({'model': str(name), 'error': str(error)})
                print(f'{name}: {error}', file=sys.stderr)
                continue
            rows += [_one(onnx, precision, args) for precision in args.precision]
    _print_table(rows)
    if args.json is not None:
        write_result(args.json, json.dumps(rows, indent=2) + '\n')
    return 2 if any('error' in row for row in rows) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `ros2 run magadepth_ros export_trt`."""
    parser = argparse.ArgumentParser(
        prog='export_trt',
        description=_DESCRIPTION,
        formatter_class=HelpFormatter,
    )
    _add_arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except MagadepthError as error:
        print(f'export_trt: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _as_onnx(name: str, folder: Path) -> Path:
    """Return the ONNX of a model; weights are exported first."""
    from magadepth_ros.resources import find_model

    path = find_model(name)
    if path.suffix != '.safetensors':
        return path
    beside = path.with_suffix('.onnx')
    if beside.is_file() and beside.stat().st_mtime >= path.stat().st_mtime:
        _say(f'{path.name}: {beside.name} beside it is taken')
        return beside
    _say(f'{path.name}: weights to ONNX')
    try:
        from magadepth_training.export import export_onnx
        from magadepth_training.weights import load_network
    except ImportError as error:
        raise ModelError(
            f'{path}: exporting weights needs torch ({error}): '
            'pip install "magadepth_ros[train]", or give the ONNX'
        ) from error
    target = folder / f'{path.stem}.onnx'
    export_onnx(load_network(path), target, training_data='unknown')
    return target


def _one(onnx: Path, precision: str, args: argparse.Namespace) -> dict[str, Any]:
    """Build one engine; returns its row, with ``error`` where it was refused."""
    from magadepth_ros.engines import building
    from magadepth_ros.engines.cache import engine_path
    from magadepth_ros.engines.precision import write_typed
    from magadepth_ros.engines.tensorrt_build import BuildOptions
    from magadepth_ros.engines.tensorrt_library import RTX, load_library

    row: dict[str, Any] = {'model': onnx.stem, 'precision': precision}
    try:
        gpu = building.find_gpu()
        builder = RTX if args.builder == 'auto' and gpu is None else args.builder
        request = building.EngineRequest(
            model=onnx,
            library=load_library(builder),
            cuda=gpu,
            precision=precision,
            options=BuildOptions(
                batch=args.batch,
                workspace=int(args.workspace * 2**20),
                compute_capabilities=tuple(args.compute_capability),
            ),
            check_data=args.check,
            limit=0 if args.no_check else args.max_difference,
            typed=onnx if args.no_convert else None,
        ).resolved()
        row['precision'] = request.precision
        row['builder'] = f'{request.library.name} {request.library.version}'
        name = f'{onnx.stem}-{request.precision}'
        progress = _ProgressLines(name)
        if args.no_build or (args.onnx is not None and not args.no_convert):
            kept = _kept(args.onnx or Path.cwd(), f'{name}.onnx')
            progress(f'converting to {request.precision}', 0.0)
            write_typed(onnx, kept, request.precision, args.batch)
            row['onnx'] = str(kept)
            if args.no_build:
                return row
            request = replace(request, typed=kept)
        place = _place(args.output, f'{name}-{request.library.name}.engine')
        if place is None and args.force:
            place = engine_path(onnx, request.key())
        file = building.obtain_engine(request, progress, path=place)
        row.update(file.report, engine=str(file.path) if file.path else None)
    except MagadepthError as error:
        row['error'] = str(error)
        print(f'{onnx.stem} {row["precision"]}: {error}', file=sys.stderr)
    return row


def _kept(folder: Path, name: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f'{folder}: cannot be made ({error.strerror or error})') from error
    return folder / name


def _place(output: Path | None, name: str) -> Path | None:
    if output is None or output.suffix in ('.engine', '.plan'):
        return output
    return output / name


class _ProgressLines:
    """One line per stage; on a terminal the share that is done moves within it."""

    def __init__(self, name: str) -> None:
        self._name, self._last = name, ''

    def __call__(self, text: str, share: float) -> None:
        if sys.stderr.isatty():
            width = max(20, shutil.get_terminal_size().columns - 1)
            line = f'{self._name}: {text} {share:.0%}'[:width]
            sys.stderr.write(f'\r{line}\x1b[K' + ('\n' if share >= 1 else ''))
            sys.stderr.flush()
        elif text != self._last:
            _say(f'{self._name}: {text}')
        self._last = text


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print_table(rows: list[dict[str, Any]]) -> None:
    print(align([_COLUMNS] + [_cells(row) for row in rows], left=len(_COLUMNS)))
    for row in rows:
        if row.get('engine') or row.get('onnx'):
            print(row.get('engine') or row['onnx'])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    check = row.get('check')
    share = ' '.join(f'{n} {v:.0%}' for n, v in row.get('precision_share', {}).items())
    size = row.get('size_bytes')
    if 'error' in row:
        worst = 'refused'
    elif check:
        worst = f'{check["worst"] * 1000:.2f} mm ({check["worst_relative"]:.3%})'
    else:
        worst = 'not checked'
    ran = '-' if not check else 'yes' if check['engine_run'] else 'no: its ONNX, on the CPU'
    return (
        row['model'],
        row.get('precision', '-'),
        row.get('builder', '-'),
        str(row.get('layers', '-')),
        share or '-',
        '-' if size is None else f'{size / 2**20:.1f}',
        str(row.get('build_seconds', '-')),
        worst,
        ran,
    )


if __name__ == '__main__':
    sys.exit(main())
