# SPDX-License-Identifier: Apache-2.0
"""Training end to end, in a few steps: what is written, and that a cut run goes on exactly."""

from __future__ import annotations

import csv
import math
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from support.recordings import write_recording
from torch.utils.data import default_collate

from magadepth_ros.errors import DataError
from magadepth_training.adapt import InMemory
from magadepth_training.datasets.manifest import ManifestSource
from magadepth_training.frames import Frames
from magadepth_training.module import TrainingModule
from magadepth_training.networks.registry import network_config
from magadepth_training.recipe import read_recipe
from magadepth_training.samples import TrainingSamples
from magadepth_training.scene_source import GeneratedScenes
from magadepth_training.train import CHECKPOINT, Run, train
from magadepth_training.weights import load_network

CONFIG = """
network:
  height: 48
  width: 64
  guide_channels: [4, 4, 8, 8]
  depth_channels: [3, 3, 6, 6]
  decoder_channels: [8, 4, 4]
  bid_fusions: 1
  hidden: 16
recipe:
  steps: 4
  batch_size: 2
  warmup_steps: 2
  validate_every: 2
  save_every: 2
  ema: 0.5
"""
CPU = {
    'accelerator': 'cpu',
    'devices': 1,
    'precision': '32-true',
    'enable_progress_bar': False,
    'enable_model_summary': False,
}


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Sums in one order: exact equality is asserted, also with the module's first run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def setting(tmp_path_factory):
    """Return the keyword arguments every run shares."""
    folder = tmp_path_factory.mktemp('training')
    config = folder / 'little.yaml'
    config.write_text(CONFIG)
    source = ManifestSource(write_recording(folder / 'frames'))
    watched = ManifestSource(write_recording(folder / 'watched', targets=True))
    return {'config': str(config), 'sources': [source], 'validation': [watched], 'trainer': CPU}


@pytest.fixture(scope='module')
def whole(setting, tmp_path_factory):
    """Return the folder of an unbroken run."""
    output = tmp_path_factory.mktemp('whole')
    train(Run(output=output, **setting))
    return output


def weights(folder):
    return load_network(folder / 'little.safetensors').state_dict()


def last(folder):
    """Return the weights that a run ended with, which need not be the best."""
    state = torch.load(folder / CHECKPOINT, weights_only=True)['state_dict']
    return {name.removeprefix('network.'): tensor for name, tensor in state.items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])]


def steps_done(folder):
    return torch.load(folder / CHECKPOINT, weights_only=True)['global_step']


def test_weights_checkpoint_and_curves_are_written(whole):
    network = load_network(whole / 'little.safetensors')
    assert (network.height, network.width) == (48, 64)
    assert (whole / CHECKPOINT).is_file()
    assert list(whole.glob('curves/**/events.out*'))


def validation_steps(folder):
    """Return the error at hidden pixels by step, of every CSV that was written."""
    rows = []
    for path in folder.glob('curves/**/metrics.csv'):
        with path.open(newline='') as file:
            rows += list(csv.DictReader(file))
    return {row['step']: float(row['val/rmse']) for row in rows if row.get('val/rmse')}


def test_errors_are_watched_and_finite(whole):
    errors = validation_steps(whole)

    assert len(errors) == 2
    assert all(math.isfinite(error) for error in errors.values())


def test_every_term_of_the_loss_is_finite(setting):
    recipe = read_recipe(setting['config'])
    module = TrainingModule(network_config(setting['config']), recipe)
    samples = TrainingSamples(Frames(setting['sources'], 48, 64, [1.0]), 2, seed=1)
    terms = {}
    module.log_dict = terms.update
    module.log = lambda name, value, **_: terms.update({name: value})

    module.training_step(default_collate([samples[0], samples[1]]), 0)

    assert terms.keys() == {'train/relative', 'train/choice', 'train/loss'}
    assert all(torch.isfinite(value) for value in terms.values())


def test_the_weights_are_those_that_are_best_on_the_first_watched_set(setting, tmp_path):
    """A learning rate that ruins the network: the first validation stays the best."""
    overrides = {'steps': 12, 'learning_rate': 3.0, 'gradient_clip': 0, 'ema': 0}
    overrides |= {'validate_every': 1, 'warmup_steps': 100}
    path = train(Run(output=tmp_path, overrides=overrides, **setting))

    errors = validation_steps(tmp_path)
    best = min(errors, key=errors.get)
    again = tmp_path / 'again'
    train(Run(output=again, overrides={**overrides, 'steps': int(best) + 1}, **setting))
    assert_same(load_network(path).state_dict(), weights(again))


def test_training_moves_the_weights(whole, setting, tmp_path):
    one = train(Run(output=tmp_path, overrides={'steps': 1}, **setting))

    four = weights(whole)
    assert any(not torch.equal(t, four[n]) for n, t in load_network(one).state_dict().items())


def test_the_same_run_gives_the_same_weights(whole, setting, tmp_path):
    train(Run(output=tmp_path, **setting))

    assert_same(weights(tmp_path), weights(whole))


def test_a_run_stopped_by_the_clock_goes_on_as_if_unbroken(whole, setting, tmp_path):
    train(Run(output=tmp_path, max_seconds=1e-3, **setting))
    assert 0 < steps_done(tmp_path) < 4

    train(Run(output=tmp_path, resume=True, **setting))

    assert steps_done(tmp_path) == 4
    assert_same(last(tmp_path), last(whole))


def test_every_resumed_run_has_its_own_time(setting, tmp_path):
    """A few minutes at a time: the clock starts anew, else the second call does nothing."""
    overrides = {'steps': 100_000, 'validate_every': 100_000, 'save_every': 100_000}
    limited = Run(output=tmp_path, max_seconds=1.5, overrides=overrides, **setting)
    train(limited)
    first = steps_done(tmp_path)

    train(Run(**{**limited.__dict__, 'resume': True}))

    assert steps_done(tmp_path) > first + 3


class PowerCut(RuntimeError):
    """Ends a run without a chance to save."""


def cut_at(number):
    """Return what stands for a sample: a power cut when a number is asked for."""
    make = TrainingSamples.__getitem__

    def sample(self, index):
        if index == number:
            raise PowerCut
        return make(self, index)

    return sample


@pytest.mark.parametrize(
    'more', [{'ema': 0}, {}, {'schedule': 'plateau', 'ema': 0, 'validate_every': 1}]
)
def test_a_run_goes_on_from_the_last_checkpoint_after_a_power_cut(
    setting, tmp_path, monkeypatch, more
):
    unbroken, crashed = (
        Run(output=tmp_path / name, overrides=more, **setting) for name in ('a', 'b')
    )
    train(unbroken)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingSamples, '__getitem__', cut_at(6))
        with pytest.raises(PowerCut):
            train(crashed)
    assert steps_done(crashed.output) == 2

    train(Run(**{**crashed.__dict__, 'resume': True}))

    assert_same(last(crashed.output), last(unbroken.output))
    one, other = (
        torch.load(run.output / CHECKPOINT, weights_only=True)['lr_schedulers'][0]
        for run in (unbroken, crashed)
    )
    assert one == other


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_stop_saves_and_goes_on_as_if_unbroken(
    whole, setting, tmp_path, monkeypatch, number
):
    make = TrainingSamples.__getitem__

    def sample(self, index):
        if index == 5:
            signal.raise_signal(number)  # to this thread: kill may choose one of a runtime
        return make(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingSamples, '__getitem__', sample)
        with pytest.raises(SystemExit) as stopped:
            train(Run(output=tmp_path, **setting))
    assert stopped.value.code == 128 + number
    assert steps_done(tmp_path) == 3

    train(Run(output=tmp_path, resume=True, **setting))

    assert_same(last(tmp_path), last(whole))


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(setting, tmp_path):
    frames = Path(setting['config']).parent / 'frames'
    command = [
        sys.executable, '-m', 'magadepth_ros.commands.main', 'train',
        '--config', setting['config'], '--data', str(frames), '--output', str(tmp_path),
        '--accelerator', 'cpu', '--devices', '2', '--strategy', 'ddp',
    ]  # fmt: skip
    with subprocess.Popen([*command, '--set', 'steps=100000']) as running:
        while not (tmp_path / CHECKPOINT).is_file():
            assert running.poll() is None
            time.sleep(0.2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=120) == 128 + signal.SIGTERM
    done = steps_done(tmp_path)

    subprocess.run([*command, '--set', f'steps={done + 2}', '--resume'], check=True)

    assert steps_done(tmp_path) == done + 2


@pytest.mark.slow
def test_two_machines_train_by_torchrun_and_the_first_has_the_weights(setting, tmp_path):
    frames = Path(setting['config']).parent / 'frames'
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    started = [
        subprocess.Popen([
            sys.executable, '-m', 'torch.distributed.run', '--nnodes', '2', '--nproc-per-node',
            '1', '--node-rank', rank, '--master-addr', '127.0.0.1', '--master-port', str(port),
            '-m', 'magadepth_ros.commands.main', 'train', '--config', setting['config'],
            '--data', str(frames), '--output', str(tmp_path / rank), '--accelerator', 'cpu',
            '--devices', '1', '--num-nodes', '2', '--strategy', 'ddp', '--set', 'steps=2',
        ])
        for rank in '01'
    ]  # fmt: skip
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    assert [len(list((tmp_path / r).glob('*.safetensors'))) for r in '01'] == [1, 0]


def test_a_finished_run_is_left_as_it_is(whole, setting):
    path = whole / 'little.safetensors'
    before = path.read_bytes(), (whole / CHECKPOINT).stat().st_mtime_ns

    assert train(Run(output=whole, resume=True, **setting)) == path

    assert (path.read_bytes(), (whole / CHECKPOINT).stat().st_mtime_ns) == before


def test_a_finished_run_gives_its_weights_again(whole, setting, tmp_path):
    output = tmp_path / 'copy'
    shutil.copytree(whole, output)
    (output / 'little.safetensors').unlink()

    train(Run(output=output, resume=True, **setting))

    assert (output / 'little.safetensors').is_file()


def test_weights_of_another_network_are_named(whole, setting, tmp_path):
    other = tmp_path / 'little.yaml'
    other.write_text(CONFIG.replace('hidden: 16', 'hidden: 24'))
    run = {**setting, 'config': str(other)}

    with pytest.raises(DataError, match='hidden: 16 instead of 24'):
        train(Run(output=tmp_path, start_from=whole / 'little.safetensors', **run))
    with pytest.raises(DataError, match='hidden: 16 instead of 24'):
        train(Run(output=whole, resume=True, **run))
    (tmp_path / CHECKPOINT).write_bytes(b'PK')
    with pytest.raises(DataError, match='not a checkpoint'):
        train(Run(output=tmp_path, resume=True, **run))


def test_a_given_time_shortens_the_warm_up_and_ends_at_nothing(setting, monkeypatch):
    recipe = read_recipe(setting['config'], {'warmup_steps': 500, 'steps': 10_000})
    module = TrainingModule(network_config(setting['config']), recipe, finish_in=100.0)
    monkeypatch.setattr(TrainingModule, 'trainer', SimpleNamespace(world_size=1))
    now = [0.0]
    monkeypatch.setattr(
        'magadepth_training.module.time.monotonic', lambda: module.started + now[0]
    )

    shares = []
    for step, now[0] in enumerate(np.linspace(0, 100, 101)):
        shares.append(module.share_of_rate(step))

    assert shares[0] < 0.01 and max(shares) > 0.95 and shares[-1] < 1e-6
    assert shares.index(max(shares)) in range(4, 8)


def test_a_given_time_needs_the_cosine(setting, tmp_path):
    with pytest.raises(DataError, match='schedule: cosine in the recipe, got plateau'):
        train(Run(output=tmp_path, finish_in=5, overrides={'schedule': 'plateau'}, **setting))


def test_the_curve_of_a_resumed_run_begins_where_the_first_began(setting, tmp_path):
    run = Run(output=tmp_path, **setting)
    train(Run(**{**run.__dict__, 'overrides': {'steps': 2, 'validate_every': 1}}))
    first = len(validation_steps(tmp_path))

    train(Run(**{**run.__dict__, 'overrides': {'validate_every': 1}, 'resume': True}))

    assert first == 2
    assert len(validation_steps(tmp_path)) == 4


def test_resume_without_a_checkpoint_says_what_it_looked_for(setting, tmp_path):
    with pytest.raises(DataError, match=f'expected {tmp_path / CHECKPOINT}'):
        train(Run(output=tmp_path, resume=True, **setting))


def test_fine_tuning_starts_from_the_given_weights(whole, setting, tmp_path):
    start = whole / 'little.safetensors'
    overrides = {'steps': 1, 'learning_rate': 0.0, 'ema': 0}

    tuned = train(Run(output=tmp_path, start_from=start, overrides=overrides, **setting))

    before, after = load_network(start), load_network(tuned)
    for name, parameter in before.named_parameters():
        assert torch.equal(parameter, after.get_parameter(name)), name


def test_generated_scenes_are_a_data_set_like_others(setting, tmp_path):
    scenes = GeneratedScenes(2, 48, 64)
    run = {**setting, 'sources': [*setting['sources'], scenes], 'shares': [1.0, 3.0]}

    path = train(Run(output=tmp_path, overrides={'steps': 1}, **run))

    assert all(torch.isfinite(t).all() for t in load_network(path).state_dict().values())


def test_raw_frames_are_validated_at_hidden_pixels(setting, tmp_path):
    train(Run(output=tmp_path, **{**setting, 'validation': setting['sources']}))

    errors = validation_steps(tmp_path)
    assert len(errors) == 2 and all(error > 0 for error in errors.values())


def test_two_validation_sets_of_one_name_are_both_measured(setting, tmp_path):
    (source,) = setting['validation']
    other = InMemory(source.name, [source[0]])
    train(Run(output=tmp_path, **{**setting, 'validation': [source, other]}))

    (path,) = tmp_path.glob('curves/**/metrics.csv')
    with path.open(newline='') as file:
        row = next(row for row in csv.DictReader(file) if row.get('val/rel'))
    first, second = (float(row[f'val/{source.name} {i}/rel']) for i in (1, 2))
    assert first == float(row['val/rel']) and 0 < first != second > 0


def test_frames_without_a_hidden_pixel_choose_no_weights(setting, tmp_path):
    source = setting['validation'][0]
    complete = InMemory('complete', [replace(s, depth=s.target) for s in source])
    for name, validation in (('watched', [complete]), ('alone', [])):
        run = {**setting, 'validation': validation}
        train(Run(output=tmp_path / name, overrides={'learning_rate': 0.1}, **run))

    assert_same(weights(tmp_path / 'watched'), weights(tmp_path / 'alone'))


def test_without_data_it_is_said_what_to_give(setting, tmp_path):
    with pytest.raises(DataError, match='nothing to train on'):
        train(Run(output=tmp_path, config=setting['config']))


@pytest.mark.parametrize('loss', ['paper', 'joint'])
def test_other_losses_and_the_paper_s_optimiser_train(setting, tmp_path, loss):
    overrides = {'steps': 2, 'loss': loss, 'optimizer': 'sgd', 'schedule': 'plateau', 'ema': 0}

    path = train(Run(output=tmp_path, overrides=overrides, **setting))

    assert all(torch.isfinite(t).all() for t in load_network(path).state_dict().values())


@pytest.mark.parametrize(
    ('fields', 'said'),
    [
        ('height: 40', 'expected multiples of 16'),
        ('height: 0', 'expected multiples of 16'),
        ('guide_channels: [4, 8]', 'guide_channels: .*expected 4 values'),
        ('depth_channels: [4, 4, 8, 8]', 'cannot be shared by 3 heads'),
        ('kernels: [4]', 'kernel 4: expected an odd number'),
        ('candidates: 13', 'expected 1 to 12'),
        ('hidden: -1', 'negative dimension'),
        ('{family: s2ml, window: 7}', 'expected multiples of 28'),
    ],
)
def test_a_network_that_cannot_be_made_is_refused(setting, tmp_path, fields, said):
    config = tmp_path / 'mine.yaml'
    base = '' if 'family' in fields else f'base: {setting["config"]}\n'
    config.write_text(f'{base}network:\n  {fields}\n')
    with pytest.raises(DataError, match=f'mine.yaml.*{said}'):
        train(Run(output=tmp_path / 'out', **{**setting, 'config': str(config)}))


def test_an_unknown_field_of_the_recipe_is_named(setting, tmp_path):
    with pytest.raises(DataError, match='epochs'):
        train(Run(output=tmp_path, overrides={'epochs': 80}, **setting))
