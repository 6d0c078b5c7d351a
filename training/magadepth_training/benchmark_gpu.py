# SPDX-License-Identifier: Apache-2.0
"""
Measure models on an NVIDIA GPU.

Run: ``python -m magadepth_training.benchmark_gpu [MODEL ...] --json gpu.json``

For each model: latency of PyTorch at the wanted precisions and batch sizes (CUDA events around a
synchronised replay, median), the same with the copies to and from the host (wall clock), the
difference from float32, frames per second of the whole `Completer` on 640x480 frames, and what
TensorRT or TensorRT for RTX does where one is installed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from magadepth_ros.completion.completer import Completer
from magadepth_ros.engines import building
from magadepth_ros.engines.check import Frames, check_engine, check_frames, open_reference
from magadepth_ros.engines.engine import Engine
from magadepth_ros.engines.request import EngineRequest, find_gpu
from magadepth_ros.engines.tensorrt import TensorRtEngine
from magadepth_ros.engines.tensorrt_library import load_library
from magadepth_ros.engines.torch import TorchEngine
from magadepth_ros.errors import MagadepthError
from magadepth_ros.resources import find_model, model_names
from magadepth_ros.simulation import simulated_frames

WARM_UP = 20


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall-clock time of ``work``, which must leave nothing queued [ms]."""
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(1000.0 * (time.perf_counter() - start))
    return round(statistics.median(times), 4)


def event_milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Median time on the GPU of what ``work`` queues, each run synchronised [ms]."""
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return round(statistics.median(times), 4)


def frames_per_second(engine: Engine, seconds: float = 2.0) -> dict[str, Any]:
    """Rate and stage times of the whole `Completer` on simulated 640x480 frames, one thread."""
    completer = Completer(engine)
    frames = simulated_frames(640, 480, 8)
    for rgb, depth in frames:
        completer.complete(rgb, depth)
    count, stages = 0, []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        stages.append(completer.complete(*frames[count % len(frames)]).timings)
        count += 1
    rate = count / (time.perf_counter() - start)
    median = {k: round(statistics.median(s[k] for s in stages), 3) for k in stages[0]}
    return {'frames_per_second': round(rate, 1), 'stage_ms': median}


def batch_of(frames: Frames, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``size`` of the frames as one batch."""
    chosen = [frames[i % len(frames)] for i in range(size)]
    return np.concatenate([f[0] for f in chosen]), np.concatenate([f[1] for f in chosen])


def measure_torch(
    model: Path, precision: str, batches: list[int], repeats: int, reference: Engine
) -> dict[str, Any]:
    """Measure one model in one precision."""
    engine = TorchEngine(model, precision=precision, device='cuda')
    frames = check_frames(engine.info)
    report = check_engine(engine, reference, frames, limit=1.0)
    row: dict[str, Any] = {'check': asdict(report), 'batch': {}}
    for size in batches:
        rgb, depth = batch_of(frames, size)
        infer = milliseconds(partial(engine.infer, rgb, depth), repeats)
        replay = event_milliseconds(engine.replay(size), repeats)
        row['batch'][size] = {'gpu_ms': replay, 'with_copies_ms': infer}
    row['end_to_end'] = frames_per_second(engine)
    engine.close()
    return row


def measure_tensorrt(
    model: Path, precision: str, batches: list[int], repeats: int, reference: Engine
) -> dict[str, Any]:
    """Build (or take from the cache), check and measure one engine per batch size."""
    row: dict[str, Any] = {'batch': {}}
    for size in batches:
        request = EngineRequest(
            model,
            load_library(),
            find_gpu(),
            precision,
            batch=size,
            limit=0,
        ).resolved()
        row['builder'] = f'{request.library.name} {request.library.version}'
        start = time.perf_counter()
        file = building.obtain_engine(request)
        built = time.perf_counter() - start
        start = time.perf_counter()
        engine = TensorRtEngine(file, request.library, request.cuda, size)
        opened = time.perf_counter() - start
        frames = check_frames(engine.info)
        rgb, depth = batch_of(frames, size)
        found = {
            'with_copies_ms': milliseconds(partial(engine.infer, rgb, depth), repeats),
            'build_or_find_s': round(built, 2),
            'open_s': round(opened, 2),
            'recorded_as_graph': engine.recorded(size),
        }
        row['batch'][size] = found
        if size == 1:
            row['check'] = asdict(check_engine(engine, reference, frames, limit=1.0))
            row['end_to_end'] = frames_per_second(engine)
        engine.close()
    return row


def main(argv: list[str] | None = None) -> int:
    """Measure, print progress, and write one JSON file."""
    parser = argparse.ArgumentParser(description='Measure models on an NVIDIA GPU.')
    parser.add_argument('models', nargs='*', help='names or paths (default: all installed)')
    parser.add_argument('--precision', nargs='+', default=['fp16'], choices=('fp32', 'fp16'))
    parser.add_argument('--batch', nargs='+', type=int, default=[1, 4])
    parser.add_argument('--repeats', type=int, default=100)
    parser.add_argument('--no-tensorrt', action='store_true')
    parser.add_argument('--json', type=Path, default=Path('gpu.json'))
    args = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print('benchmark_gpu: torch sees no CUDA GPU', file=sys.stderr)
        return 2
    result: dict[str, Any] = {
        'gpu': torch.cuda.get_device_name(),
        'torch': torch.__version__,
        'repeats': args.repeats,
        'models': {},
    }
    for name in args.models or model_names():
        model = find_model(name)
        reference = open_reference(model.with_suffix('.onnx'))
        rows = result['models'].setdefault(model.stem, {})
        for precision in args.precision:
            for backend, measure in (('torch', measure_torch), ('tensorrt', measure_tensorrt)):
                if backend == 'tensorrt' and args.no_tensorrt:
                    continue
                label = f'{backend} {precision}'
                path = model.with_suffix('.onnx')
                try:
                    rows[label] = measure(path, precision, args.batch, args.repeats, reference)
                except (MagadepthError, RuntimeError) as error:
                    rows[label] = {'error': str(error)}
                print(f'{model.stem} {label}: {json.dumps(rows[label])}', flush=True)
                # After each step: a run that is cut short has still measured something.
                args.json.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
        reference.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
