# SPDX-License-Identifier: Apache-2.0
"""Run the measurements of ``magadepth benchmark``: library, batches, cores, node, topics."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import cv2

from magadepth_ros.commands.benchmark_growth import TOPICS, measure_cores
from magadepth_ros.commands.benchmark_node import NodeRun, measure_node
from magadepth_ros.commands.benchmark_report import GPU, machine_facts
from magadepth_ros.commands.benchmark_timing import (
    Candidate,
    measure,
    measure_batch,
    method_candidate,
    model_candidate,
)
from magadepth_ros.commands.progress import progress
from magadepth_ros.completion import Completer
from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.engines.build_request import find_gpu
from magadepth_ros.errors import EngineError, MagadepthError, ModelError
from magadepth_ros.resources import DEFAULT_MODEL, find_model, model_names
from magadepth_ros.simulation import simulated_frames, simulated_intrinsics

NODE_CAMERAS = (1, 2, 4)
FRAMES = 4
_PACKAGES = (('torch',), ('tensorrt', 'tensorrt_rtx'))


def measure_all(args: argparse.Namespace) -> dict[str, Any]:
    """Run the measurements that the arguments name, and return the report."""
    names = _names(args)
    gpu = [] if find_gpu() is None else _on_gpu()
    backends = args.backends or ['auto', *gpu]
    batches = args.batches or ((1, 4, 8) if gpu else ())
    peers = _peers(args.peers)
    # First, while this process has no threads, as these measurements fork processes.
    node, topics = _measure_node(names[0], backends[0], args)
    cores = (
        measure_cores(_arguments(names[0], backends[0], args), 'x'.join(map(str, args.sizes[0])))
        if args.growth
        else []
    )
    completers, errors = _open(names, backends, args)
    if not completers:
        raise EngineError('nothing to measure: ' + '; '.join(errors))
    rows: list[dict[str, Any]] = []
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(args.threads or threads)
        with progress(len(args.sizes) * args.repeats, 'rounds', ' rounds') as bar:
            for width, height in args.sizes:
                camera = CameraModel(width, height, *simulated_intrinsics(width, height))
                candidates = [model_candidate(n, c, camera) for n, c in completers]
                frames = simulated_frames(width, height, FRAMES)
                rows += measure(candidates + peers, frames, args.repeats, bar.update)
        frames = simulated_frames(args.sizes[0][0], args.sizes[0][1], FRAMES)
        batched = [
            measure_batch(name, completer, frames, batch, args.repeats)
            for name, completer in completers
            for batch in batches
        ]
    finally:
        cv2.setNumThreads(threads)
        for _, completer in completers:
            completer.close()
    return {
        **machine_facts(args.threads),
        'command': shlex.join(['magadepth', *sys.argv[1:]]),
        'repeats': args.repeats,
        'rows': rows,
        'batches': batched,
        'cores': cores,
        'node': node,
        'topics': topics,
        'errors': errors,
    }


def _on_gpu() -> list[str]:
    """Return the runtimes of a GPU that are installed."""
    return [b for b, names in zip(GPU, _PACKAGES) if any(map(find_spec, names))]


def _names(args: argparse.Namespace) -> list[str]:
    # The default model first: ratios are relative to it, and the node runs it.
    names = args.models or sorted(model_names(), key=lambda name: name != DEFAULT_MODEL)
    if not names:
        raise ModelError('no model is installed; name a file: --models FILE.onnx')
    return list(names)


def _measure_node(
    name: str, backend: str, args: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of sizes and cameras, and those of topics."""
    run = _node_run(name, backend, args)
    cameras = () if args.node is None else args.node or NODE_CAMERAS
    topics = TOPICS if args.growth else ()
    first = args.sizes[:1]
    with progress(len(args.sizes) * len(cameras) + len(topics), 'node', ' runs') as bar:
        rows = measure_node(run, args.sizes, cameras, bar.update) if cameras else []
        by_topics = [
            measure_node(replace(run, topics=some), first, (1,), bar.update)[0] for some in topics
        ]
    return rows, by_topics


def _node_run(name: str, backend: str, args: argparse.Namespace) -> NodeRun:
    return NodeRun(
        str(find_model(name)),
        backend,
        args.precisions[0],
        args.threads,
        seconds=args.node_seconds,
    )


def profile_node(args: argparse.Namespace) -> None:
    """Run the node with one camera, and write the stacks of its threads during a second."""
    args.profile.unlink(missing_ok=True)
    args.profile.parent.mkdir(parents=True, exist_ok=True)
    run = _node_run(_names(args)[0], (args.backends or ['auto'])[0], args)
    measure_node(replace(run, profile=args.profile.resolve()), args.sizes[:1], (1,))


def _arguments(name: str, backend: str, args: argparse.Namespace) -> list[str]:
    """Return the arguments for the runs on fewer cores."""
    given = ['--models', name, '--backends', backend, '--precisions', args.precisions[0]]
    given += ['--repeats', str(args.repeats), '--threads', str(args.threads)]
    return given if args.peers is None else [*given, '--peers', *args.peers]


def _open(
    names: list[str], backends: Sequence[str], args: argparse.Namespace
) -> tuple[list[tuple[str, Completer]], list[str]]:
    """Open each model on each runtime; two precisions that resolve to one are opened once."""
    completers: dict[tuple[str, str, str], Completer] = {}
    errors = []
    for name, backend, precision in product(names, backends, args.precisions):
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
