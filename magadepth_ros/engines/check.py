# SPDX-License-Identifier: Apache-2.0
"""Compare an engine with the float32 reference on frames, and refuse an engine that differs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magadepth_ros.engines.engine import Engine, ModelInfo, blank_batch
from magadepth_ros.engines.runtimes import ON_CPU, EngineRequest, first_that_works, open_cpu
from magadepth_ros.errors import DataError, EngineError

LIMIT = 0.01
"""Largest allowed difference of a pixel, relative to the reference's depth."""
FRAMES = 4
_SAFER = {'int8': 'fp16', 'fp16': 'fp32', 'bf16': 'fp32'}

Frames = list[tuple[np.ndarray, np.ndarray]]
"""Pairs of rgb (1, 3, H, W) float32 0..1 and depth (1, 1, H, W) float32 metres, 0 = missing."""


class DifferenceError(EngineError):
    """The result of an engine differs from the float32 reference."""


@dataclass(frozen=True)
class CheckReport:
    """
    The difference of an engine from the reference.

    ``worst`` and ``mean`` are absolute differences of the depth [m], ``worst_relative`` is the
    largest difference divided by the reference's depth there; ``engine_run`` is False where the
    engine itself could not run here and its ONNX was run on the CPU instead.
    """

    backend: str
    precision: str
    frames: int
    worst: float
    worst_relative: float
    mean: float
    engine_run: bool


def check_frames(info: ModelInfo, data: Path | None = None, count: int = FRAMES) -> Frames:
    """
    Return frames at the model's size: from a manifest folder, else simulated ones.

    Raises
    ------
    DataError
        the folder has no manifest or no frames.

    """
    from magadepth_ros.completion.fit import fit_depth, fit_rgb, geometry

    if data is None:
        from magadepth_ros.simulation import simulated_frames

        pictures = simulated_frames(info.width, info.height, count)
    else:
        from magadepth_ros.manifest import read_manifest

        entries = read_manifest(data).frames
        if not entries:
            raise DataError(f'{data}: its manifest lists no frames to check with')
        # Spread over the folder: neighbours in a manifest are usually one scene.
        places = np.unique(np.linspace(0, len(entries) - 1, count).astype(int))
        loaded = [entries[place].load() for place in places]
        pictures = [(frame.rgb, frame.depth) for frame in loaded]
    frames: Frames = []
    for rgb, depth in pictures:
        geo = geometry(*depth.shape, info.height, info.width)
        rgb_in, depth_in = blank_batch(info, 1)
        fit_rgb(rgb, geo, rgb_in[0])
        known = (depth >= info.min_depth) & (depth <= info.max_depth)
        fit_depth(np.where(known, depth, np.float32(0)), geo, depth_in[0, 0])
        frames.append((rgb_in, depth_in))
    return frames


def open_reference(model: Path, threads: int = 0) -> Engine:
    """Open the float32 reference of an ONNX: OpenVINO where it works, else ONNX Runtime."""
    return first_that_works(
        EngineRequest(model, precision='fp32', threads=threads), ON_CPU, open_cpu
    )


def check_engine(
    engine: Engine,
    reference: Engine,
    frames: Frames,
    limit: float = LIMIT,
    engine_run: bool = True,
) -> CheckReport:
    """
    Compare ``engine`` with ``reference``.

    Raises
    ------
    DifferenceError
        a NaN or infinity, or a pixel that differs by more than ``limit`` times its depth; the
        message says which precision to use instead.
    EngineError
        the reference itself gives a NaN or infinity, or one of the two fails.

    """
    safer = _SAFER.get(engine.precision)
    advice = f'use precision {safer}' if safer else 'do not use this engine'
    name, backend, precision = engine.info.network, engine.backend, engine.precision

    def refusal(what: str) -> DifferenceError:
        return DifferenceError(f'{name} in {precision} on {backend}: {what}; {advice}')

    pairs = [(reference.infer(*frame), engine.infer(*frame)) for frame in frames]
    for number, (wanted, got) in enumerate(pairs, start=1):
        for kind in ('depth', 'log_variance'):
            expected, found = getattr(wanted, kind), getattr(got, kind)
            if expected is None or found is None:
                continue
            if not np.isfinite(expected).all():
                raise EngineError(
                    f'{name}: the {kind} of the float32 reference is itself NaN or infinite in '
                    f'frame {number}: the model is broken in any precision'
                )
            bad = np.count_nonzero(~np.isfinite(found))
            if bad:
                raise refusal(
                    f'{bad} of {found.size} values of the {kind} are NaN or infinite in frame '
                    f'{number} (an overflow inside)'
                )
    expected, found = (np.stack([each.depth for each in one]) for one in zip(*pairs))
    difference = np.abs(found.astype(np.float64) - expected)
    floor = engine.info.min_depth or 1e-3
    relative = float((difference / np.maximum(np.abs(expected), floor)).max())
    worst, mean = float(difference.max()), float(difference.mean())
    if relative > limit:
        raise refusal(
            f'{relative:.2%} away from the float32 reference at the worst pixel '
            f'({worst * 1000:.1f} mm; mean {mean * 1000:.2f} mm), at most {limit:.2%} is '
            'allowed'
        )
    return CheckReport(backend, precision, len(frames), worst, relative, mean, engine_run)
