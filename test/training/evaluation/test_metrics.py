# SPDX-License-Identifier: Apache-2.0
"""The metrics against a re-statement in plain loops, and the mean with its interval."""

from __future__ import annotations

import numpy as np
import pytest

from magadepth_training.evaluation.metrics import MIN_PIXELS, NAMES, depth_errors, summarise


def restated(p: np.ndarray, t: np.ndarray) -> dict[str, float]:
    p = np.array([value if np.isfinite(value) and value > 0 else 0.0 for value in p], float)
    t = t.astype(float)
    ratio = np.array([max(a / b, b / a) if a > 0 else np.inf for a, b in zip(p, t)])
    return {
        'rmse': float(np.sqrt(np.mean((p - t) ** 2))),
        'mae': float(np.mean(np.abs(p - t))),
        'rel': float(np.mean(np.abs(p - t) / t)),
        'd105': 100 * float(np.mean(ratio < 1.05)),
        'd110': 100 * float(np.mean(ratio < 1.1)),
        'd125': 100 * float(np.mean(ratio < 1.25)),
        'd125_2': 100 * float(np.mean(ratio < 1.25**2)),
        'd125_3': 100 * float(np.mean(ratio < 1.25**3)),
        'unfilled': float(np.mean(p <= 0)),
        'within_1cm': 100 * float(np.mean(np.abs(p - t) <= 0.01)),
        'within_2cm': 100 * float(np.mean(np.abs(p - t) <= 0.02)),
    }


def test_errors_agree_with_a_restatement() -> None:
    rng = np.random.default_rng(3)
    t = rng.uniform(0.4, 6, 600).astype(np.float32)
    p = (t * rng.normal(1, 0.08, t.shape)).astype(np.float32)
    p[:9] = (0, np.nan, np.inf, -1, 0, 0, 0, 0, 0)
    errors, expected = depth_errors(p, t), restated(p, t)
    assert tuple(errors) == NAMES and errors.keys() == expected.keys()
    for name, value in errors.items():
        assert value == pytest.approx(expected[name], rel=1e-4, abs=1e-5), name


def test_limits_are_decided_in_millimetres() -> None:
    """1.05 m for 1 m is not below 1.05 and 1.01 m is within 1 cm, whatever float32 makes of it."""
    target = np.ones(100, np.float32)
    assert depth_errors(target * np.float32(1.05), target)['d105'] == 0
    assert depth_errors(target * np.float32(1.049), target)['d105'] == 100
    assert depth_errors(target * np.float32(1.01), target)['within_1cm'] == 100
    assert depth_errors(target * np.float32(1.011), target)['within_1cm'] == 0


def test_frames_with_few_scored_pixels_are_left_out() -> None:
    target = np.ones(MIN_PIXELS, np.float32)
    assert depth_errors(target[1:], target[1:]) == {}
    assert depth_errors(target, target)['rmse'] == 0


def test_mean_is_that_of_the_frames_and_the_interval_that_of_the_scenes() -> None:
    """Twenty scenes of unequal size: the interval against the formula for a mean of clusters."""
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 6, 20)
    levels = rng.normal(1, 0.2, 20)
    frames = [{'rel': float(level)} for level, n in zip(levels, sizes) for _ in range(n)]
    scenes = [str(i) for i, n in enumerate(sizes) for _ in range(n)]
    frames.append({})
    scenes.append('a scene without a figure')
    result = summarise(frames, scenes)
    mean = float(np.repeat(levels, sizes).mean())
    assert result['rel'] == pytest.approx(mean) and result['frames'] == sizes.sum()
    assert result['scenes'] == 20
    spread = np.sqrt(np.sum((sizes * (levels - mean)) ** 2)) / sizes.sum()
    low, high = result['interval']['rel']
    assert low == pytest.approx(mean - 1.96 * spread, abs=0.35 * spread)
    assert high == pytest.approx(mean + 1.96 * spread, abs=0.35 * spread)


def test_one_scene_has_no_interval_and_no_frame_no_figure() -> None:
    one = summarise([{'rel': 1.0}, {'rel': 2.0}, {'mae': 1.0}], ['a', 'a', 'b'])
    assert one == {'rel': 1.5, 'mae': 1.0, 'frames': 3, 'scenes': 2, 'interval': {}}
    assert summarise([{}, {}], ['a', 'b']) == {} == summarise([], [])
