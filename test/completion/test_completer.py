# SPDX-License-Identifier: Apache-2.0
"""The completer with an engine of known answers, and with a real tiny model."""

from __future__ import annotations

from functools import partial
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.models import write_tiny_model

from magadepth_ros.completion import Completer, CompletionSettings
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.engines.engine import ModelInfo, Prediction
from magadepth_ros.errors import DataError, EngineError

INFO = ModelInfo('known', 48, 64, 0.2, 8.0, 'inside', '1', '', '')


class KnownEngine:
    """Answers with one depth everywhere; keeps what it was asked."""

    info = INFO
    backend = 'test'
    precision = 'fp32'

    def __init__(self, depth: float = 2.0, log_variance: float | None = -8.0) -> None:
        self.depth, self.log_variance = depth, log_variance
        self.asked: list[tuple[np.ndarray, np.ndarray]] = []
        self.closed = False

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        self.asked.append((rgb.copy(), depth.copy()))
        answer = np.full_like(depth, self.depth)
        if self.log_variance is None:
            return Prediction(answer, None)
        return Prediction(answer, np.full_like(depth, self.log_variance))

    def close(self) -> None:
        self.closed = True


def frame(height: int = 96, width: int = 128, seed: int = 0, holes: float = 0.3):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1.95, 2.05, (height, width)).astype(np.float32)
    depth[rng.random((height, width)) < holes] = 0.0
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), depth


@pytest.mark.parametrize('size', [(96, 128), (48, 64), (480, 848), (31, 47), (200, 20)])
@pytest.mark.parametrize('log_variance', [-8.0, None])
def test_every_missing_pixel_is_filled_and_every_measured_kept(size, log_variance):
    rgb, depth = frame(*size)
    result = Completer(KnownEngine(log_variance=log_variance)).complete(rgb, depth)
    measured = depth > 0
    assert result.depth.dtype == result.confidence.dtype == np.float32
    assert np.array_equal(result.depth[measured], depth[measured])
    assert np.array_equal(result.filled, ~measured)
    assert result.depth[~measured] == pytest.approx(2.0, abs=0.06)
    assert (result.confidence[measured] == 1.0).all()
    assert (result.confidence[~measured] > 0).all() and (result.confidence <= 1).all()
    assert result.measured_share == pytest.approx(measured.mean())
    assert result.unknown_share == 0.0
    assert set(result.timings) == {'fit', 'infer', 'restore', 'confidence', 'merge'}


@pytest.mark.parametrize('sentinel', [0.0, np.nan, np.inf, -np.inf, -1.0, 0.19, 8.1, 65.535, 1e30])
def test_sentinels_and_implausible_depth_are_missing(sentinel):
    rgb, depth = frame(holes=0.0)
    depth[20:40, 30:60] = sentinel
    engine = KnownEngine()
    result = Completer(engine).complete(rgb, depth)
    assert result.filled[20:40, 30:60].all() and result.filled.sum() == 600
    assert np.isfinite(result.depth).all()
    asked = engine.asked[0][1]
    assert np.isfinite(asked).all() and (asked[0, 0, 11:19, 16:29] == 0).all()


def test_engine_is_asked_with_unit_rgb_and_metres():
    rgb, depth = frame()
    engine = KnownEngine()
    Completer(engine).complete(rgb, depth)
    asked_rgb, asked_depth = engine.asked[0]
    assert asked_rgb.shape == (1, 3, 48, 64) and asked_rgb.dtype == np.float32
    assert asked_depth.shape == (1, 1, 48, 64) and asked_depth.dtype == np.float32
    assert asked_rgb[0, :, 0, 0] == pytest.approx(
        rgb[:2, :2].reshape(4, 3).mean(axis=0) / 255, abs=0.003
    )
    assert asked_depth.max() <= 2.05


@pytest.mark.parametrize('predicted', [0.05, 20.0])
def test_prediction_out_of_range_never_leaves(predicted):
    rgb, depth = frame()
    depth[:48] = 0.0
    result = Completer(KnownEngine(predicted)).complete(rgb, depth)
    unknown = np.isnan(result.depth)
    assert unknown[:20].all() and not (unknown & (depth > 0)).any()
    assert (result.confidence[unknown] == 0).all() and not result.filled[unknown].any()
    finite = result.depth[~unknown]
    assert finite.min() >= 0.2 and finite.max() <= 8.0


def test_the_shipped_model_fills_beyond_its_range_where_that_is_asked_for():
    rgb = np.full((240, 320, 3), 128, np.uint8)
    with Completer.open('guided_fill', threads=1) as completer:
        for distance, limits in (
            (15.0, {'max_depth': 20.0}),
            (40.0, {'max_depth': 65.0}),
            (0.04, {'min_depth': 0.02}),
        ):
            depth = np.full((240, 320), distance, np.float32)
            depth[100:140, 100:180] = 0.0
            completer.settings = CompletionSettings()
            assert not completer.complete(rgb, depth).filled.any()
            completer.settings = CompletionSettings(**limits)
            result = completer.complete(rgb, depth)

            assert np.abs(result.depth / distance - 1).max() < 1e-3
            assert np.array_equal(result.filled, depth == 0)


def test_confidence_threshold_and_range_can_change_between_frames():
    rgb, depth = frame()
    completer = Completer(KnownEngine(log_variance=2 * float(np.log(0.04))))
    assert not np.isnan(completer.complete(rgb, depth).depth).any()
    # An expected error of 2 % of the depth is half of full confidence.
    assert completer.complete(rgb, depth).confidence.min() == pytest.approx(0.5, abs=0.01)
    reached = float(completer.complete(rgb, depth).confidence.min())
    completer.settings = CompletionSettings(confidence_threshold=reached)
    assert not np.isnan(completer.complete(rgb, depth).depth).any()
    completer.settings = CompletionSettings(confidence_threshold=0.6)
    assert np.isnan(completer.complete(rgb, depth).depth[depth == 0]).all()
    completer.settings = CompletionSettings(max_depth=1.9)
    assert completer.complete(rgb, depth).measured_share == 0.0


def test_confidence_without_variance_falls_with_the_distance_to_measurements():
    rgb, depth = frame(holes=0.0)
    depth[:, 40:] = 0.0
    result = Completer(KnownEngine(log_variance=None)).complete(rgb, depth)
    near, far = result.confidence[50, 44], result.confidence[50, 120]
    assert 0 < far < near < 1
    depth[:] = 0.0
    assert not Completer(KnownEngine(log_variance=None)).complete(rgb, depth).confidence.any()


@pytest.mark.parametrize('value', [0.0, np.nan, 20.0])
@pytest.mark.parametrize('log_variance', [None, -12.0])
def test_without_a_measurement_nothing_is_known(value, log_variance):
    rgb, depth = frame()
    depth[:] = value

    result = Completer(KnownEngine(log_variance=log_variance)).complete(rgb, depth)

    assert np.isnan(result.depth).all()
    assert not result.confidence.any() and not result.filled.any()


def test_measured_pixels_can_be_given_up():
    rgb, depth = frame()
    settings_ = CompletionSettings(keep_measured=False)
    result = Completer(KnownEngine(), settings_).complete(rgb, depth)
    assert result.depth == pytest.approx(2.0) and np.array_equal(result.filled, depth == 0)


def test_outliers_are_replaced_but_supported_objects_stay():
    rgb, depth = frame(holes=0.0)
    depth[10, 10] = 1.2
    depth[60, 50:58] = 3.1
    depth[30:36, 70:76] = 1.0
    kept = Completer(KnownEngine()).complete(rgb, depth).depth
    assert np.array_equal(kept, depth)
    cleaned = Completer(KnownEngine(), CompletionSettings(replace_outliers=True))
    result = cleaned.complete(rgb, depth)
    assert result.depth[10, 10] == pytest.approx(2.0, abs=0.06) and result.filled[10, 10]
    assert (result.depth[31:35, 71:75] == 1.0).all()
    assert result.depth[60, 50:58] == pytest.approx(2.0, abs=0.06)
    assert result.measured_share == 1.0


@pytest.mark.parametrize(
    ('lone', 'tolerance', 'stays'), [(2.2, 0.2, True), (2.2, 0.05, False), (2.08, 0.02, False)]
)
def test_the_tolerance_says_what_is_an_outlier(lone, tolerance, stays):
    rgb, depth = np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 2.0, np.float32)
    depth[10, 10] = lone
    engine = KnownEngine()
    settings_ = CompletionSettings(replace_outliers=True, outlier_tolerance=tolerance)

    result = Completer(engine, settings_).complete(rgb, depth)

    assert engine.asked[0][1][0, 0, 10, 10] == (depth[10, 10] if stays else 0.0)
    assert result.depth[10, 10] == pytest.approx(lone if stays else 2.0)


def test_a_prediction_that_is_off_meets_the_rim_of_a_hole():
    rgb, depth = frame()
    depth[:] = 2.0
    depth[20:80, 30:100] = 0.0

    result = Completer(KnownEngine(2.08)).complete(rgb, depth)

    assert result.depth[20, 30:100] == pytest.approx(2.0, abs=0.02)


def test_a_range_from_zero_takes_no_zero_for_a_depth():
    rgb, depth = frame()
    completer = Completer(KnownEngine(), CompletionSettings(min_depth=0.0))

    result = completer.complete(rgb, depth)

    assert completer.depth_range == (0.0, 8.0)
    assert np.array_equal(result.filled, depth == 0)
    assert result.measured_share == pytest.approx((depth > 0).mean())
    assert not Completer(KnownEngine(0.0), completer.settings).complete(rgb, depth).filled.any()


def test_batch_equals_single_frames_even_of_different_sizes():
    pairs = [frame(96, 128, 1), frame(72, 128, 2), frame(96, 128, 3)]
    engine = KnownEngine()
    completer = Completer(engine)
    batch = completer.complete_batch([RgbdFrame(*pair) for pair in pairs])
    assert len(engine.asked) == 1 and engine.asked[0][1].shape == (3, 1, 48, 64)
    for result, pair in zip(batch, pairs, strict=True):
        single = completer.complete(*pair)
        assert np.array_equal(result.depth, single.depth)
        assert np.array_equal(result.confidence, single.confidence)
    assert completer.complete_batch([]) == []


def test_each_frame_of_a_batch_gets_its_own_prediction_and_share_of_the_time(monkeypatch):
    seconds = partial(next, count())
    monkeypatch.setattr('magadepth_ros.completion.completer.perf_counter', seconds)
    rgb, depth = frame()
    engine = KnownEngine(*np.reshape([[2.0, 5.0], [-8.0, 0.0]], (2, 2, 1, 1, 1)))

    near, far = Completer(engine).complete_batch(
        [RgbdFrame(rgb, depth), RgbdFrame(rgb, 2.5 * depth)]
    )

    hole = depth == 0
    assert near.depth[hole] == pytest.approx(2.0, abs=0.06)
    assert far.depth[hole] == pytest.approx(5.0, abs=0.15)
    assert near.confidence[hole].min() > 0.6 > 0.2 > far.confidence[hole].max()
    assert near.timings['infer'] == far.timings['infer'] == 500


def test_results_stay_while_they_are_kept():
    completer = Completer(KnownEngine())
    rgb, depth = frame(seed=1)
    first = completer.complete(rgb, depth)
    copies = first.depth.copy(), first.confidence.copy(), first.filled.copy()
    view = completer.complete(*frame(seed=5)).depth[10:20]
    kept = view.copy()
    for seed in range(2, 5):
        completer.complete(*frame(seed=seed, holes=0.9))
    assert np.array_equal(first.depth, copies[0]) and np.array_equal(first.confidence, copies[1])
    assert np.array_equal(first.filled, copies[2]) and np.array_equal(view, kept)


@pytest.mark.parametrize('bad', [np.nan, np.inf])
@pytest.mark.parametrize('where', ['depth', 'log_variance'])
def test_engine_that_answers_nonsense_is_an_engine_error(bad, where):
    engine = KnownEngine(**{where: bad})
    with pytest.raises(EngineError, match=where):
        Completer(engine).complete(*frame())


def test_an_answer_of_another_shape_is_an_engine_error():
    engine = KnownEngine()
    engine.infer = lambda rgb, depth: Prediction(depth[..., ::2, ::2], None)

    with pytest.raises(EngineError, match=r'depth of \(1, 1, 24, 32\)'):
        Completer(engine).complete(*frame())


def test_a_picture_of_another_size_is_taken_and_of_another_shape_refused():
    rgb, depth = frame()
    double = rgb.repeat(2, axis=0).repeat(2, axis=1)
    completer = Completer(KnownEngine())
    assert np.array_equal(
        completer.complete(double, depth).depth, completer.complete(rgb, depth).depth
    )
    with pytest.raises(DataError, match='equal sizes or aspect ratios'):
        completer.complete(rgb[:, ::2], depth)


@pytest.mark.parametrize(
    'wrong',
    [
        dict(min_depth=-1.0),
        dict(min_depth=float('nan')),
        dict(min_depth=float('inf')),
        dict(min_depth=2.0, max_depth=1.0),
        dict(min_depth=2.0, max_depth=2.0),
        dict(max_depth=float('inf')),
        dict(confidence_threshold=1.5),
        dict(confidence_threshold=-0.1),
        dict(outlier_tolerance=0.0),
        dict(outlier_tolerance=1.5),
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(DataError, match=next(reversed(wrong))):
        CompletionSettings(**wrong)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 130),
    st.integers(2, 130),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.booleans(),
    st.floats(0, 1),
)
def test_any_input_gives_plausible_depth_or_nan(h, w, seed, keep, outliers, threshold):
    rng = np.random.default_rng(seed)
    depth = rng.choice(
        np.array([0, np.nan, np.inf, -np.inf, -2, 0.1, 0.2, 1, 3, 8, 9, 1e38], np.float32), (h, w)
    )
    rgb = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    settings_ = CompletionSettings(
        keep_measured=keep, replace_outliers=outliers, confidence_threshold=threshold
    )
    result = Completer(KnownEngine(), settings_).complete(rgb, depth)
    known = ~np.isnan(result.depth)
    assert result.depth.shape == (h, w)
    assert ((result.depth[known] >= 0.2) & (result.depth[known] <= 8.0)).all()
    assert (result.confidence[~known] == 0).all()
    assert (result.filled <= known).all()
    assert result.unknown_share == (~known).mean()


def test_read_only_and_strided_input_is_taken():
    rgb, depth = frame()
    rgb, depth = rgb[:, ::-1], depth[:, ::-1]
    depth.flags.writeable = False
    result = Completer(KnownEngine()).complete(rgb, depth)
    assert np.array_equal(result.depth[depth > 0], depth[depth > 0])


def test_a_real_model_by_path(tmp_path):
    path = write_tiny_model(tmp_path / 'tiny.onnx')
    with Completer.open(path, backend='openvino') as completer:
        rgb, depth = frame()
        result = completer.complete(rgb, depth)
    assert np.isfinite(result.depth).all()
    assert result.depth[depth == 0] == pytest.approx(2.0, abs=0.1)


def test_closing_closes_the_engine():
    engine = KnownEngine()
    with Completer(engine):
        pass
    assert engine.closed


@pytest.mark.parametrize('min_depth', [8.0, 9.0])
def test_settings_that_leave_no_depth_close_the_engine(min_depth):
    engine = KnownEngine()

    with pytest.raises(DataError, match=f'{min_depth:g} to 8 m'):
        Completer(engine, CompletionSettings(min_depth=min_depth))

    assert engine.closed
