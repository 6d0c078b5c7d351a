# SPDX-License-Identifier: Apache-2.0
"""The command `magadepth export-trt`: build a checked TensorRT engine of weights or an ONNX."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from magadepth_ros.commands.arguments import add_command
from magadepth_ros.commands.export_trt_report import Stages, print_table
from magadepth_ros.commands.paths import Frames, Model, Output, OutputOrFolder
from magadepth_ros.commands.values import BATCH, Number, Pattern
from magadepth_ros.engines import ENGINE_SUFFIXES
from magadepth_ros.engines.build_request import PRECISIONS, BuildRequest, find_gpu
from magadepth_ros.engines.check import LIMIT
from magadepth_ros.engines.tensorrt_library import FULL, RTX, load_library
from magadepth_ros.errors import DataError, MagadepthError, ModelError, pip_install_extra
from magadepth_ros.files import write_result
from magadepth_ros.resources import find_model, model_names

_DESCRIPTION = """\
Build TensorRT engines: weights -> ONNX -> ONNX of the wanted precision -> engine -> check.

TensorRT builds for the GPU of this machine. TensorRT for RTX builds on any machine, with or
without a GPU, for GeForce and RTX PRO cards. Without --output, the engine is written to the cache,
where the node looks for it.
"""

_EXAMPLES = """
magadepth export-trt guided_fill --precision fp16
magadepth export-trt mine.onnx --precision fp32 fp16 --check FRAMES --output engines
magadepth export-trt mine.onnx --builder tensorrt-rtx --compute-capability 8.6 8.9
"""


def add_parser(subparsers: Any) -> None:
    """Add ``export-trt`` and its options."""
    add = add_command(subparsers, 'export-trt', _DESCRIPTION, _EXAMPLES).add_argument
    add(
        'models',
        nargs='*',
        type=Model(('.onnx', '.safetensors')),
        metavar='MODEL',
        help='shipped models by name, or ONNX or .safetensors files (default: all that are '
        'installed)',
    )
    add(
        '--precision',
        nargs='+',
        default=['auto'],
        choices=('auto', *PRECISIONS),
        help='precisions, an engine for each; auto: fp16 where the metadata of the model call it '
        'safe, else fp32',
    )
    add(
        '--builder',
        default='auto',
        choices=('auto', FULL, RTX),
        help='TensorRT or TensorRT for RTX; auto: TensorRT where it is installed and there is a '
        'GPU, else TensorRT for RTX',
    )
    add(
        '--compute-capability',
        nargs='+',
        type=Pattern('a compute capability such as 8.6', r'\d{1,2}\.\d'),
        default=[],
        metavar='X.Y',
        help='GPUs for an engine of TensorRT for RTX (default: all from 8.0 on)',
    )
    add('--batch', type=BATCH, default=1, help='largest number of frames in one inference')
    add(
        '--workspace',
        type=Number(0.0, 1e6),
        default=0,
        metavar='MIB',
        help="largest scratch memory on the GPU [MiB]; 0: TensorRT's own limit",
    )
    add(
        '--output',
        type=OutputOrFolder(ENGINE_SUFFIXES),
        metavar='PATH',
        help='folder, or .engine file for a single engine (default: the cache)',
    )
    add('--onnx', type=Output(folder=True), help='folder in which the converted ONNX is kept')
    add(
        '--no-convert',
        action='store_true',
        help='build the ONNX unchanged: the types in it state the precision',
    )
    add(
        '--check',
        dest='check_data',
        type=Frames(),
        metavar='DATA',
        help='folder with a manifest.json to check the engine with (default: simulated frames)',
    )
    add(
        '--max-difference',
        type=Number(0.0, 1.0, above=True),
        default=LIMIT,
        metavar='SHARE',
        help='largest allowed difference from float32, relative to the depth',
    )
    add('--no-check', action='store_true', help='skip the check')
    add(
        '--no-build',
        action='store_true',
        help='stop after the conversion; the ONNX stays in --onnx, or in the current folder',
    )
    add('--force', action='store_true', help='build even if the cache has the engine')
    add('--json', type=Output(), help='write the summary to FILE')


def check(args: argparse.Namespace) -> None:
    """Refuse options that contradict each other or have no effect."""
    args.models = args.models or model_names()
    if not args.models:
        raise ModelError('no model is installed; name an ONNX or safetensors file')
    if args.no_convert and args.no_build:
        raise DataError('--no-convert and --no-build leave nothing to do; drop one')
    if args.no_check and args.check_data is not None:
        raise DataError('--no-check and --check contradict each other; drop one')
    single = args.output is not None and args.output.suffix in ENGINE_SUFFIXES
    if single and len(args.models) * len(args.precision) > 1:
        raise DataError('--output names one file, but several engines are wanted; name a folder')


def run(args: argparse.Namespace) -> int:
    """Build all wanted engines; returns 2 where one was refused."""
    rows = []
    with tempfile.TemporaryDirectory(prefix='magadepth-') as folder:
        for name in args.models:
            try:
                onnx = _as_onnx(name, Path(folder))
            except MagadepthError as error:
                rows.append({'model': str(name), 'error': str(error)})
                print(f'{name}: {error}', file=sys.stderr)
                continue
            rows += [_one(onnx, precision, args) for precision in args.precision]
    print_table(rows)
    if args.json is not None:
        write_result(args.json, json.dumps(rows, indent=2) + '\n')
    return 2 if any('error' in row for row in rows) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `ros2 run magadepth_ros export_trt`."""
    from magadepth_ros.commands import main as magadepth

    return magadepth.main(['export-trt', *(sys.argv[1:] if argv is None else argv)])


def _as_onnx(name: str, folder: Path) -> Path:
    """Return the ONNX of a model; weights are exported first."""
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
            f'{pip_install_extra("train")}, or give the ONNX'
        ) from error
    target = folder / f'{path.stem}.onnx'
    export_onnx(load_network(path), target, training_data='unknown')
    return target


def _one(onnx: Path, precision: str, args: argparse.Namespace) -> dict[str, Any]:
    """Build one engine; returns its row, with ``error`` where it was refused."""
    row: dict[str, Any] = {'model': onnx.stem, 'precision': precision}
    try:
        request = _request(onnx, precision, args)
        row['precision'] = request.precision
        row['builder'] = f'{request.library.name} {request.library.version}'
        with closing(Stages(f'{onnx.stem}-{request.precision}')) as stages:
            row.update(_build(request, args, stages))
    except MagadepthError as error:
        row['error'] = str(error)
        print(f'{onnx.stem} {row["precision"]}: {error}', file=sys.stderr)
    return row


def _request(onnx: Path, precision: str, args: argparse.Namespace) -> BuildRequest:
    gpu = find_gpu()
    builder = RTX if args.builder == 'auto' and gpu is None else args.builder
    return BuildRequest(
        model=onnx,
        library=load_library(builder),
        cuda=gpu,
        precision=precision,
        batch=args.batch,
        workspace=int(args.workspace * 2**20),
        compute_capabilities=tuple(args.compute_capability),
        check_data=args.check_data,
        limit=0 if args.no_check else args.max_difference,
        typed=onnx if args.no_convert else None,
    ).resolved()


def _build(request: BuildRequest, args: argparse.Namespace, stages: Stages) -> dict[str, Any]:
    """Convert and build; returns the fields of the row."""
    from magadepth_ros.engines import building
    from magadepth_ros.engines.cache import engine_path
    from magadepth_ros.engines.precision import write_typed

    row: dict[str, Any] = {}
    name = f'{request.model.stem}-{request.precision}'
    if args.no_build or (args.onnx is not None and not args.no_convert):
        kept = (args.onnx or Path.cwd()) / f'{name}.onnx'
        stages(f'converting to {request.precision}', 0.0)
        write_typed(request.model, kept, request.precision, args.batch)
        row['onnx'] = str(kept)
        if args.no_build:
            return row
        request = replace(request, typed=kept)
    place = _place(args.output, f'{name}-{request.library.name}.engine')
    if place is None and args.force:
        place = engine_path(request.model, request.key())
    file = building.obtain_engine(request, stages, path=place)
    return {**row, **file.report, 'engine': str(file.path) if file.path else None}


def _place(output: Path | None, name: str) -> Path | None:
    if output is None or output.suffix in ENGINE_SUFFIXES:
        return output
    return output / name


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == '__main__':
    sys.exit(main())
