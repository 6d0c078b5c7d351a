# SPDX-License-Identifier: Apache-2.0
"""Training batches: the same for a step whenever it is made, and true to what was recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from support.recordings import write_recording

from magadepth_ros.errors import DataError
from magadepth_training.batches import BatchMaker, RecordedFrames, generator_for
from magadepth_training.datasets.manifest import ManifestSource
from magadepth_training.datasets.sample import Sample
from magadepth_training.recipe import Recipe

HEIGHT, WIDTH = 24, 32
CPU = torch.device('cpu')
RECIPE = Recipe(batch_size=4, synthetic=0.5, scene_pool=4, scene_uses=2, keep_weight=0.25, seed=3)
RECORDED = replace(RECIPE, synthetic=0.0)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    return ManifestSource(write_recording(tmp_path_factory.mktemp('raw')))


@pytest.fixture(scope='module')
def with_targets(tmp_path_factory):
    return ManifestSource(write_recording(tmp_path_factory.mktemp('true'), targets=True))


def maker(recipe, *sources, rank=0):
    return BatchMaker(recipe, HEIGHT, WIDTH, sources, rank)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_shapes_and_ranges(source):
    batch = maker(RECIPE, source).make(0, CPU)

    assert batch.keys() == {'rgb', 'depth', 'target', 'weight'}
    assert batch['rgb'].shape == (4, 3, HEIGHT, WIDTH)
    for name in ('depth', 'target', 'weight'):
        assert batch[name].shape == (4, 1, HEIGHT, WIDTH)
        assert (batch[name] >= 0).all()
    assert all(tensor.dtype == torch.float32 for tensor in batch.values())
    assert all(torch.isfinite(tensor).all() for tensor in batch.values())
    assert 0 <= batch['rgb'].min() < batch['rgb'].max() <= 1


@pytest.mark.parametrize('at_once', [1, 3])
def test_a_resumed_run_sees_the_same_batches(source, at_once):
    """A fresh maker, asked for a later step first, as after `--resume`."""
    recipe = replace(RECIPE, at_once=at_once)
    unbroken = maker(recipe, source)
    batches = [unbroken.make(step, CPU) for step in range(6)]

    for step in (4, 5, 2):
        assert same(maker(recipe, source).make(step, CPU), batches[step])


@pytest.mark.parametrize('at_once', [1, 3])
def test_no_two_batches_are_alike(source, at_once):
    made = maker(replace(RECORDED, at_once=at_once), source)
    batches = [made.make(step, CPU)['depth'] for step in range(6)]

    assert not [(i, j) for i in range(6) for j in range(i) if torch.equal(batches[i], batches[j])]


def test_ranks_and_seeds_draw_differently(source):
    one = maker(RECORDED, source).make(0, CPU)

    assert not same(one, maker(RECORDED, source, rank=1).make(0, CPU))
    assert not same(one, maker(replace(RECORDED, seed=4), source).make(0, CPU))


def test_generator_depends_on_all_its_numbers():
    def first(*numbers):
        return torch.rand(1, generator=generator_for(CPU, *numbers)).item()

    assert first(1, 2, 3) == first(1, 2, 3)
    assert len({first(1, 2, 3), first(1, 3, 2), first(2, 2, 3), first(1, 2)}) == 4


def test_without_recordings_all_scenes_are_generated():
    batch = maker(RECORDED).make(0, CPU)

    # Generated scenes are known nearly everywhere; the planes of the recording have other depths.
    assert batch['rgb'].shape[0] == 4
    assert (batch['target'] > 0).float().mean() > 0.95


@pytest.mark.parametrize('at_once', [1, 2])
def test_share_of_scenes_in_each_batch(with_targets, at_once, monkeypatch):
    recipe = replace(RECIPE, synthetic=0.25, at_once=at_once)
    made = maker(recipe, with_targets)
    drawn = []
    draw = made.frames.draw
    monkeypatch.setattr(
        made.frames, 'draw', lambda count, *rest: drawn.append(count) or draw(count, *rest)
    )

    for step in range(2):
        made.make(step, CPU)

    assert sum(drawn) == 2 * 3


def test_raw_recordings_hide_a_part_of_what_was_measured(source):
    batch = maker(replace(RECORDED, batch_size=16), source).make(0, CPU)
    depth, target = batch['depth'], batch['target']

    measured = depth > 0
    assert torch.equal(depth[measured], target[measured])
    hidden = ((target > 0) & ~measured).float().mean(dim=(1, 2, 3))
    assert (hidden > 0).all()
    assert measured.any()


def test_recordings_with_targets_of_their_own_are_not_hidden(with_targets):
    batch = maker(replace(RECORDED, batch_size=16), with_targets).make(0, CPU)
    depth, target = batch['depth'], batch['target']

    known = target > 0
    torch.testing.assert_close(depth[depth > 0], target[depth > 0])
    # The recording misses 5 % and a hole of a tenth; hiding would take a third more.
    missing = (known & (depth <= 0)).float().sum(dim=(1, 2, 3)) / known.sum(dim=(1, 2, 3))
    assert missing.max() < 0.6
    seen_whole = known.float().mean(dim=(1, 2, 3)) > 0.999
    assert seen_whole.any()
    assert (missing[seen_whole] - 0.115).abs().min() < 0.03


def test_weights_are_1_where_missing_and_keep_weight_where_measured(source):
    batch = maker(RECIPE, source).make(0, CPU)

    measured = batch['depth'] > 0
    counted = measured.flatten(1).float().mean(dim=1) > 0.01
    assert counted.any()
    assert (batch['weight'][counted][measured[counted]] == 0.25).all()
    assert (batch['weight'][counted][~measured[counted]] == 1).all()


class Nothing:
    """A source whose sensor saw nothing."""

    name, target_made_by, consecutive = 'nothing', '', False

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return Sample(np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.float32))


def test_a_frame_without_measurements_counts_nothing():
    batch = maker(RECORDED, Nothing()).make(0, CPU)

    assert not batch['weight'].any()


def test_what_a_score_ignores_is_not_learned_from():
    class Masked(Nothing):
        def __getitem__(self, index):
            depth = np.full((48, 64), 2, np.float32)
            score = np.ones((48, 64), np.uint8)
            score[:, :32] = 0
            return Sample(np.zeros((48, 64, 3), np.uint8), depth, depth, score)

    _, _, target, own = RecordedFrames([Masked()], 48, 64).load(0, CPU)

    assert own.all() and not target[..., :32].any() and (target[..., 32:] == 2).all()


def test_frames_that_would_not_be_used_are_refused(source):
    recipe = replace(RECORDED, batch_size=1, synthetic=0.67)

    with pytest.raises(DataError, match='none of the given frames would be used'):
        maker(recipe, source)


def test_frames_are_stretched_without_inventing_depth(source):
    frames = RecordedFrames([source], 30, 50)

    rgb, depth, target, own = frames.load(2, CPU)

    assert rgb.shape == (3, 30, 50)
    assert rgb.dtype == torch.uint8
    assert depth.shape == target.shape == (1, 30, 50)
    given = torch.from_numpy(np.unique(source[2].depth))
    assert torch.isin(depth, given).all()
    assert torch.equal(depth, target)
    assert not own.any()


def test_frames_of_all_sources_are_drawn(source, with_targets):
    frames = RecordedFrames([source, with_targets], HEIGHT, WIDTH)

    rgb, depth, target, own = frames.draw(64, generator_for(CPU, 1), CPU)

    assert rgb.shape == (64, 3, HEIGHT, WIDTH)
    assert rgb.max() <= 1
    assert 10 < own.flatten().sum() < 54
    pairs = torch.cat([depth, target], dim=1)
    assert len({tuple(pair.flatten().tolist()) for pair in pairs}) == 8


def test_pool_is_used_several_times_with_new_holes():
    made = maker(replace(RECIPE, batch_size=2, scene_pool=2, scene_uses=4))

    batches = [made.make(step, CPU) for step in range(5)]

    def colours(batch):
        return {tuple(t.flatten().tolist()) for t in batch['target']}

    first = set().union(*(colours(b) for b in batches[:4]))
    assert len(first) <= 2
    assert not first & colours(batches[4])
    assert not torch.equal(batches[0]['depth'], batches[1]['depth'])
