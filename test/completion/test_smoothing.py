# SPDX-License-Identifier: Apache-2.0
"""Fills become steady where nothing moves, and begin anew at once where something does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magadepth_ros.completion import Completer, CompletionSettings
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.smoothing import TemporalSmoothing
from magadepth_ros.engines.engine import ModelInfo, Prediction

SIZE = (48, 64)
RGB = np.full((*SIZE, 3), 90, np.uint8)
SECOND = 1_000_000_000
ON = CompletionSettings(temporal_smoothing=0.8)


class Answers:
    """An engine that gives one depth after the other, with an expected error relative to it."""

    info = ModelInfo('answers', *SIZE, 0.2, 8.0, 'inside', '1', '', '')
    backend = precision = 'test'

    def __init__(self, answers: Sequence[float | np.ndarray], sigma: float = 0.01) -> None:
        self.answers, self.sigma = iter(answers), sigma

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        answer = np.stack([np.full(SIZE, next(self.answers), np.float32) for _ in depth])[:, None]
        return Prediction(answer, 2 * np.log(self.sigma * answer))

    def close(self) -> None:
        pass


def holey(seed: int = 0, scale: int = 1) -> np.ndarray:
    """2 m with a hole that no shrinking closes."""
    height, width = SIZE[0] * scale, SIZE[1] * scale
    noise = np.random.default_rng(seed).uniform(-0.004, 0.004, (height, width))
    depth = (2 + noise).astype(np.float32)
    depth[12 * scale : 36 * scale, 16 * scale : 48 * scale] = 0
    return depth


def frames(count: int, rgb: np.ndarray = RGB, **more) -> list[RgbdFrame]:
    return [
        RgbdFrame(rgb, holey(i), stamp_ns=SECOND + i * SECOND // 30, **more) for i in range(count)
    ]


def run(answers, given: Sequence[RgbdFrame], chosen=ON, **engine) -> list[np.ndarray]:
    """Complete one frame after the other; return the depths at the network's own size."""
    completer = Completer(Answers(answers, **engine), chosen)
    return [completer.complete_batch([frame])[0].depth for frame in given]


def centre(depth: np.ndarray) -> float:
    return float(depth[24, 32])


def wobbling(count: int, seed: int = 1) -> np.ndarray:
    return 2 + np.random.default_rng(seed).normal(0, 0.01, count)


def test_fills_of_a_still_scene_converge_and_measured_pixels_stay_to_the_bit():
    answers, given = wobbling(60), frames(60)
    plain, steady = (run(answers, given, chosen) for chosen in (CompletionSettings(), ON))

    for frame, one, other in zip(given, plain, steady, strict=True):
        known = frame.depth > 0
        assert np.array_equal(other[known], frame.depth[known])
        assert np.isfinite(other).all() and one.shape == other.shape
    jumps = [
        np.abs(np.diff([centre(d) for d in depths[20:]])).mean() for depths in (plain, steady)
    ]
    assert jumps[1] < 0.4 * jumps[0]
    errors = [np.mean([abs(centre(d) - 2) for d in depths[20:]]) for depths in (plain, steady)]
    assert errors[1] < 0.6 * errors[0]


def test_measured_pixels_that_look_like_outliers_are_judged_by_their_own_frame_alone():
    rng = np.random.default_rng(9)
    # Farther than their neighbours by about the tolerance.
    given, rows, columns = [], np.repeat([4, 8, 40, 44], 12), np.tile(np.arange(4, 64, 5), 4)
    for frame in frames(30):
        depth = frame.depth.copy()
        depth[rows, columns] = rng.uniform(2.09, 2.12, 48)
        given.append(RgbdFrame(RGB, depth, stamp_ns=frame.stamp_ns))
    answers = [2 + rng.normal(0, 0.03, SIZE) for _ in given]
    plain, steady = (
        run(answers, given, replace(chosen, replace_outliers=True), sigma=0.05)
        for chosen in (CompletionSettings(), ON)
    )
    replaced = 0
    for frame, one, other in zip(given, plain, steady, strict=True):
        measured = frame.depth > 0
        kept = one[measured] == frame.depth[measured]
        replaced += np.count_nonzero(~kept)
        assert np.array_equal(kept, other[measured] == frame.depth[measured])
    assert 100 < replaced < 1300


def test_the_mean_of_the_first_frames_is_their_mean():
    given = [RgbdFrame(RGB, np.where(holey() > 0, np.float32(2), np.float32(0)))] * 3
    (a, b, c) = (centre(d) for d in run([2.0, 2.004, 1.996], given, sigma=0.5))
    once = run([2.004], given[:1])[0]
    assert a == pytest.approx(2.0, abs=1e-6)
    assert b == pytest.approx((a + centre(once)) / 2, abs=1e-4)
    assert c == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize('off', [CompletionSettings(), CompletionSettings(temporal_smoothing=0)])
def test_off_is_the_frame_alone_to_the_bit(off):
    answers, given = wobbling(5), frames(5)
    depths = run(answers, given, off)
    for answer, frame, depth in zip(answers, given, depths, strict=True):
        assert np.array_equal(depth, run([answer], [frame])[0])


def fresh(answers, given, at: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame of a sequence, and the same frame without those before it."""
    depths = run(answers, given)
    return depths[at], run([answers[at]], [given[at]])[0]


def test_a_still_scene_is_not_fresh():
    now, alone = fresh([2.0, 2.0, 2.02], frames(3))
    assert not np.array_equal(now, alone)


def test_a_fill_that_is_another_surface_begins_anew():
    now, alone = fresh([2.0, 2.0, 2.0, 2.5], frames(4))
    assert np.array_equal(now, alone)


def test_a_doubtful_fill_may_jump_farther_before_it_counts_as_new():
    given = frames(4)
    sure, unsure = (run([2.0, 2.0, 2.0, 2.5], given, sigma=s)[-1] for s in (0.01, 0.2))
    assert centre(sure) == 2.5 and centre(unsure) < 2.3


def test_where_the_picture_moves_the_fill_begins_anew():
    moved = RGB.copy()
    moved[:, 32:40] = 140
    given = [*frames(3), *frames(4, moved)[3:]]
    now, alone = fresh([2.0, 2.0, 2.0, 2.02], given)
    hole = np.s_[12:36]
    assert np.array_equal(now[hole, 32:40], alone[hole, 32:40])
    assert (now != alone)[hole, 20:28].mean() > 0.9


def test_a_little_noise_in_the_picture_is_no_motion():
    rng = np.random.default_rng(3)
    given = [
        RgbdFrame(np.clip(RGB + rng.normal(0, 3, RGB.shape), 0, 255).astype(np.uint8), frame.depth)
        for frame in frames(4)
    ]
    now, alone = fresh([2.0, 2.0, 2.0, 2.02], given)
    assert (now != alone)[14:34, 20:44].mean() > 0.9


def test_while_the_camera_moves_every_fill_is_new():
    picture = np.random.default_rng(4).integers(0, 256, RGB.shape, dtype=np.uint8)
    # Still in a third of the picture, which says nothing while the rest moves.
    picture[:, :20] = 90
    shifted = np.concatenate([picture[:, :20], np.roll(picture[:, 20:], 3, axis=1)], axis=1)
    given = [*frames(2, picture), *frames(3, shifted)[2:]]
    now, alone = fresh([2.0, 2.0, 2.02], given)
    assert np.array_equal(now, alone)


@pytest.mark.parametrize('stamp', [SECOND // 2, 10 * SECOND, 0])
def test_a_jump_of_time_begins_anew(stamp):
    last = RgbdFrame(RGB, holey(3), stamp_ns=stamp)
    now, alone = fresh([2.0, 2.0, 2.02], [*frames(2), last])
    assert np.array_equal(now, alone)


def test_a_pixel_that_was_measured_begins_anew_and_its_neighbours_go_on():
    given = frames(3)
    before = given[1].depth.copy()
    before[20:28, 24:30] = 2.0
    given[1] = RgbdFrame(RGB, before, stamp_ns=given[1].stamp_ns)
    now, alone = fresh([2.0, 2.0, 2.02], given)
    assert np.array_equal(now[20:28, 24:30], alone[20:28, 24:30])
    assert (now != alone)[20:28, 34:44].mean() > 0.9


def test_another_size_or_no_measurement_begins_anew():
    large = RgbdFrame(np.full((96, 128, 3), 90, np.uint8), holey(scale=2), stamp_ns=SECOND)
    empty = RgbdFrame(RGB, np.zeros(SIZE, np.float32), stamp_ns=SECOND)
    for between in (large, empty):
        given = [*frames(2), between, *frames(2)[1:]]
        now, alone = fresh([2.0, 2.0, 2.0, 2.02], given)
        assert np.array_equal(now, alone)


def test_cameras_never_mix_whether_in_one_batch_or_in_turns():
    left = frames(6, stream='left/rgb')
    right = frames(6, stream='right/rgb')
    one, other = wobbling(6, 1), wobbling(6, 2)
    mixed = [answer for pair in zip(one, other, strict=True) for answer in pair]
    alone = run(one, left), run(other, right)

    batched = Completer(Answers(mixed), ON)
    turns = Completer(Answers(mixed), ON)
    for i, pair in enumerate(zip(left, right, strict=True)):
        both = batched.complete_batch(pair)
        for result, frame, depths in zip(both, pair, alone, strict=True):
            assert np.array_equal(result.depth, depths[i])
            assert np.array_equal(turns.complete_batch([frame])[0].depth, depths[i])


def test_switched_off_and_on_again_it_begins_anew():
    completer = Completer(Answers([2.0, 2.0, 2.02]), ON)
    given = frames(3)
    completer.complete_batch(given[:1])
    completer.settings = CompletionSettings()
    completer.complete_batch(given[1:2])
    completer.settings = ON
    now = completer.complete_batch(given[2:])[0].depth
    assert np.array_equal(now, run([2.02], given[2:])[0])


def test_pictures_and_depths_that_are_written_over_change_nothing():
    rgb, depth = RGB.copy(), holey()
    completer = Completer(Answers([2.0, 2.02]), ON)
    completer.complete(rgb, depth)
    # A camera's buffer, used again for a picture in which all has changed.
    rgb[:] = 200
    moved = completer.complete(rgb, depth).depth
    assert np.array_equal(moved, run([2.02], [RgbdFrame(rgb, depth)])[0])


def test_a_slowly_growing_depth_is_not_held_up():
    growth = 1.015 ** np.arange(25)
    given = [
        RgbdFrame(RGB, (holey() * share).astype(np.float32), stamp_ns=i)
        for i, share in enumerate(growth)
    ]
    plain, steady = (run(2 * growth, given, chosen) for chosen in (CompletionSettings(), ON))
    behind = [1 - centre(b) / centre(a) for a, b in zip(plain, steady, strict=True)]
    # An ungated mean of this weight is 6 % behind.
    assert 0 < max(behind) < 0.02


def test_many_cameras_are_not_remembered_for_ever():
    smoothing = TemporalSmoothing()
    completer = Completer(Answers([2.0] * 100), ON)
    completer._smoothing = smoothing
    for i in range(100):
        completer.complete_batch([RgbdFrame(RGB, holey(), stream=f'camera {i}')])
    assert len(smoothing._histories) <= 16


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(2, 130), st.integers(2, 130))
def test_any_sequence_keeps_what_is_measured_and_stays_plausible(seed, keep, height, width):
    rng = np.random.default_rng(seed)
    chosen = CompletionSettings(temporal_smoothing=0.95, keep_measured=keep)
    completer = Completer(Answers(rng.uniform(0.1, 9, 8), sigma=rng.uniform(1e-3, 2)), chosen)
    for i in range(8):
        depth = rng.choice(np.array([0, np.nan, 0.2, 2, 2.1, 8], np.float32), (height, width))
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        result = completer.complete_batch([RgbdFrame(rgb, depth, stamp_ns=i)])[0].depth
        known = np.isfinite(result)
        assert ((result[known] >= 0.2) & (result[known] <= 8.0)).all()
        if keep:
            measured = depth > 0
            assert np.array_equal(result[measured], depth[measured])
