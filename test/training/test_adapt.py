# SPDX-License-Identifier: Apache-2.0
"""Adapting to a recording: what is trained, what is held out, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from support.networks import frames, shaken, tiny, tiny_chooser
from support.recordings import write_recording

from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import DataError
from magadepth_training import adapt as adapting
from magadepth_training.adapt import Adaptation, adapt, split
from magadepth_training.datasets.manifest import ManifestSource
from magadepth_training.frames import Frames
from magadepth_training.module import freeze_all_but
from magadepth_training.networks.registry import create_network
from magadepth_training.weights import load_network, save_weights


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    quick = {'steps': 40, 'batch_size': 2, 'learning_rate': 0.05, 'ema': 0.0}
    monkeypatch.setattr(adapting, 'RECIPE', {**adapting.RECIPE, **quick})
    monkeypatch.setattr(adapting, 'SCENES', 1)
    monkeypatch.setattr(adapting, 'SCENES_HELD_OUT', 2)
    monkeypatch.setattr(adapting, 'MEASURED', 4)


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return ManifestSource(write_recording(tmp_path_factory.mktemp('r') / 'room', count=12))


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('w') / 'mine.safetensors'
    network = create_network(tiny_chooser(name='mine'))
    # A head that errs, so that there is something to gain.
    torch.manual_seed(2)
    with torch.no_grad():
        network.head.answer.bias.normal_(0, 2)
    save_weights(network, path)
    return path


def test_head_and_norms_alone_change_and_norms_keep_their_statistics(
    recording, weights, tmp_path, monkeypatch
):
    exported = []
    monkeypatch.setattr(
        adapting, 'export_onnx', lambda network, *_, **__: exported.append(network)
    )
    monkeypatch.setattr(Adaptation, 'kept', True)
    adapt(recording, weights, tmp_path / 'out.onnx', minutes=60)

    before, after = load_network(weights).state_dict(), exported[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    modules = dict(exported[0].named_modules())
    head = {name for name in changed if name.startswith('head.')}
    assert head and {type(modules[name.rpartition('.')[0]]) for name in changed - head} == {
        torch.nn.BatchNorm2d
    }
    assert all(name.endswith(('weight', 'bias')) for name in changed)


def test_what_is_kept_is_a_model_that_is_better_on_frames_it_has_not_seen(
    recording, weights, tmp_path
):
    output = tmp_path / 'out.onnx'
    result = adapt(recording, weights, output, minutes=60)

    assert (result.trained, result.held_out) == (10, 2)
    assert result.recording[1] < 0.9 * result.recording[0]
    assert result.kept
    info = read_model_info(output)
    assert (info.network, info.height, info.width) == ('mine', 32, 48)
    assert info.training_data.endswith('adapted to planes')


@pytest.mark.parametrize('worse', ['recording', 'scenes'])
def test_what_does_not_help_is_not_written(worse, recording, weights, tmp_path, monkeypatch):
    errors = iter({'recording': (0.1, 0.1, 0.1, 0.1), 'scenes': (0.1, 0.1, 0.05, 0.103)}[worse])
    monkeypatch.setattr(adapting, 'relative_error', lambda *_: next(errors))

    result = adapt(recording, weights, tmp_path / 'new' / 'out.onnx', minutes=60)

    assert not result.kept
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('scenes', [1, 3])
def test_frames_of_the_recording_outweigh_generated_scenes(
    scenes, recording, weights, tmp_path, monkeypatch
):
    runs = []
    monkeypatch.setattr(adapting, 'SCENES', scenes)
    monkeypatch.setattr(adapting, 'train', lambda run: runs.append(run) or weights)
    adapt(recording, weights, tmp_path / 'out.onnx', minutes=60)

    frames = Frames(runs[0].sources, 32, 48, runs[0].shares)
    own = frames.weights[: len(runs[0].sources[0])].sum()
    assert own / (1 - own) == pytest.approx(adapting.RECORDED)


def test_scenes_may_lose_two_percent():
    assert Adaptation(8, 2, (0.1, 0.09), (0.1, 0.1019)).kept
    assert not Adaptation(8, 2, (0.1, 0.09), (0.1, 0.1021)).kept
    assert not Adaptation(8, 2, (0.1, 0.1), (0.1, 0.09)).kept


def test_the_last_fifth_in_time_is_held_out(recording):
    own, held_out = split(recording)
    given = [recording[i].rgb for i in range(12)]
    taken = [sample.rgb for sample in (*own.samples, *held_out.samples)]
    assert all(np.array_equal(a, b) for a, b in zip(given, taken, strict=True))
    assert (len(own), len(held_out)) == (10, 2)


def test_of_a_long_recording_frames_are_taken_evenly(recording, monkeypatch):
    monkeypatch.setattr(adapting, 'MOST', 10)
    own, held_out = split(recording)
    assert len(own) + len(held_out) == 10
    assert np.array_equal(own[0].rgb, recording[0].rgb)
    assert np.array_equal(held_out[1].rgb, recording[11].rgb)


def test_targets_of_a_recording_are_not_looked_at(tmp_path):
    source = ManifestSource(write_recording(tmp_path / 'known', count=10, targets=True))
    own, held_out = split(source)
    assert all(sample.target is None for sample in (*own.samples, *held_out.samples))


def test_a_short_recording_is_refused(tmp_path):
    source = ManifestSource(write_recording(tmp_path / 'short', count=9))
    with pytest.raises(DataError, match='expected 10 frames or more, got 9'):
        split(source)


def test_a_recording_without_depth_is_refused(recording, monkeypatch):
    empty = adapting.InMemory(
        'dark', [adapting.replace(s, depth=np.zeros_like(s.depth)) for s in split(recording)[0]]
    )
    with pytest.raises(DataError, match='no depth is measured'):
        split(empty)


def test_other_networks_are_refused(recording, tmp_path):
    path = tmp_path / 'paper.safetensors'
    save_weights(create_network(tiny()), path)
    with pytest.raises(DataError, match='does not choose among surfaces'):
        adapt(recording, path, tmp_path / 'out.onnx', minutes=0.01)


def test_frozen_parts_get_no_gradient():
    network = create_network(tiny_chooser())
    freeze_all_but(network, ('head',))
    shaken(network)
    network(*frames()).depth.sum().backward()
    with_gradient = {n for n, p in network.named_parameters() if p.grad is not None}
    assert with_gradient and all(name.startswith('head.') for name in with_gradient)
    assert not any(module.training for module in network.modules())


def test_weights_of_a_shipped_model_say_what_they_were_trained_on():
    folder = Path(__file__).parents[2] / 'models'
    shipped = folder / 'magadepth_small.safetensors'
    assert (
        adapting._origin(shipped) == read_model_info(folder / 'magadepth_small.onnx').training_data
    )
    assert adapting._origin(Path('nowhere.safetensors')) == 'unknown'
