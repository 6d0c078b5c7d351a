# SPDX-License-Identifier: Apache-2.0
"""The metrics against a re-statement in plain numpy, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magadepth_training.evaluation.metrics import MIN_PIXELS, DepthErrors, depth_errors


def restated(p: np.ndarray, t: np.ndarray, m: np.ndarray) -> dict[str, float]:
    p, t = p[m].astype(float), t[m].astype(float)
    p = np.array([value if np.isfinite(value) and value > 0 else 0.0 for value in p])
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
    }


def frames(count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(3)
    result = []
    for _ in range(count):
        t = rng.uniform(0.4, 6, (20, 30)).astype(np.float32)
        p = (t * rng.normal(1, 0.15, t.shape)).astype(np.float32)
        p[0, :9] = (0, np.nan, np.inf, -1, 0, 0, 0, 0, 0)
        t[1, :10] = 0
        result.append((p, t, rng.random(t.shape) < 0.7))
    return result


def test_mean_over_frames_agrees_with_a_restatement() -> None:
    metric = DepthErrors()
    expected = []
    for p, t, m in frames(4):
        metric.update(torch.from_numpy(p), torch.from_numpy(t), torch.from_numpy(m))
        expected.append(restated(p, t, m & (t > 0)))
    result = metric.compute()
    assert result.keys() == expected[0].keys()
    for name, value in result.items():
        assert value == pytest.approx(np.mean([e[name] for e in expected]), rel=1e-5, abs=1e-5)


def test_batches_and_merged_processes_give_the_same_mean() -> None:
    stacks = [torch.from_numpy(np.stack(x)) for x in zip(*frames(5))]
    whole, first, second = DepthErrors(), DepthErrors(), DepthErrors()
    whole.update(*(x[:, None] for x in stacks))
    first.update(*(x[:2] for x in stacks))
    second.update(*(x[2:] for x in stacks))
    total = first.total + second.total
    mean = total / (first.frames + second.frames)
    assert list(whole.compute().values()) == pytest.approx(mean.tolist())


def test_ratios_on_the_threshold_are_decided_in_millimetres() -> None:
    """1.05 m for 1 m is not below 1.05, although float32(1.05) is."""
    target = torch.full((10, 10), 1.0)
    errors = depth_errors(torch.full((10, 10), 1.05), target, target > 0)
    assert errors is not None and errors[3] == 0
    errors = depth_errors(torch.full((10, 10), 1.049), target, target > 0)
    assert errors is not None and errors[3] == 100


def test_frames_with_few_scored_pixels_are_left_out() -> None:
    metric = DepthErrors()
    target = torch.ones(MIN_PIXELS - 1, 1)
    metric.update(target, target)
    assert metric.compute() == {}
    metric.update(torch.ones(MIN_PIXELS, 1), torch.ones(MIN_PIXELS, 1))
    assert metric.compute()['rmse'] == 0 and int(metric.frames) == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match='one shape'):
        DepthErrors().update(torch.ones(4, 4), torch.ones(4, 5))
