# SPDX-License-Identifier: Apache-2.0
"""Many recordings into one folder: what is done is skipped, and shards fit together."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.models import write_tiny_model
from support.recordings import write_recording

from magadepth_ros.commands.complete_many import items
from magadepth_ros.commands.main import main
from magadepth_ros.completion import Completer
from magadepth_ros.errors import DataError
from magadepth_ros.simulation import simulated_frames


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    return [write_recording(tmp_path / 'in' / f'scene_{index}', 3) for index in range(3)]


@pytest.fixture
def run(tmp_path):
    """Complete into OUT; returns the exit code."""
    model = str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))

    def complete(*arguments: object) -> int:
        given = [str(a) for a in (*arguments, tmp_path / 'out')]
        return main(['complete', '--model', model, *given])

    return complete


def results(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in sorted(folder.rglob('*.png'))
    }


def test_each_recording_gets_a_folder_and_a_second_run_does_what_is_missing(
    folders, run, tmp_path, capsys
):
    out = tmp_path / 'out'
    assert run(*folders) == 0
    before = results(out)
    assert set(before) == {f'{f.name}/{i:02}.png' for f in folders for i in range(3)}
    (out / 'scene_1' / '02.png').unlink()
    del before['scene_1/02.png']

    assert run(*folders) == 0

    after = results(out)
    assert after.pop('scene_1/02.png') and after == before
    said = capsys.readouterr().out.splitlines()[-3:]
    assert 'all 3 frames are done already' in said[0]
    assert '1 frames beside 2 that were done' in said[1]


def test_one_that_cannot_be_read_is_said_and_costs_the_others_nothing(
    folders, run, tmp_path, capsys
):
    (folders[1] / '01.depth.png').write_bytes(b'no picture')
    assert run(*folders) == 2
    error = capsys.readouterr().err
    assert '01.depth.png' in error and '1 of 3 recordings could not be completed' in error
    found = results(tmp_path / 'out')
    assert {name for name in found if 'scene_1' not in name} == {
        f'scene_{k}/{i:02}.png' for k in (0, 2) for i in range(3)
    }


def test_results_of_other_settings_are_not_mixed(folders, run, tmp_path, capsys):
    assert run(*folders) == 0
    before = results(tmp_path / 'out')
    assert run(*folders, '--max-depth', '1.5') == 2
    assert 'results of other settings (max_depth)' in capsys.readouterr().err
    assert run(*folders, '--set', 'temporal_smoothing=0.5') == 2
    assert 'results of other settings (temporal_smoothing)' in capsys.readouterr().err
    assert results(tmp_path / 'out') == before
    # How fast, and in what parts, is no setting of a result.
    assert run(*folders, '--threads', '1', '--shard', '1/1') == 0


def test_shards_fit_together_whatever_each_machine_lists(folders, tmp_path):
    out = tmp_path / 'out'
    shards = [items(folders, out, (part, 4)) for part in range(1, 5)]
    assert sorted(i.source.name for s in shards for i in s) == [f.name for f in folders]
    # A recording stays in its part when others come and go.
    more = [*folders, *(tmp_path / 'more' / f'late_{i}' for i in range(5))]
    for part, shard in enumerate(shards, start=1):
        assert set(shard) <= set(items(more[::-1], out, (part, 4)))


def test_shards_alone_complete_their_parts(folders, run, tmp_path):
    for part in (1, 2):
        assert run(*folders, '--shard', f'{part}/2') == 0
    assert len(results(tmp_path / 'out')) == 9


def test_a_single_recording_with_a_shard_goes_below_the_output(folders, run, tmp_path):
    assert run(folders[0], '--shard', '1/1') == 0
    assert set(results(tmp_path / 'out')) == {f'scene_0/{i:02}.png' for i in range(3)}


def test_equal_names_and_an_output_that_is_an_input_are_refused(folders, tmp_path):
    with pytest.raises(DataError, match='would both be written'):
        items([folders[0], tmp_path / 'other' / 'scene_0'], tmp_path / 'out')
    with pytest.raises(DataError, match='expected the folder of the results'):
        items(folders[:2], folders[2])


def test_a_bag_that_is_done_is_not_opened_again(run, tmp_path, monkeypatch, capsys):
    pytest.importorskip('rosbags', reason='writes bags')
    from support.bags import START, image, write_bag

    bags = []
    for name in ('a', 'b'):
        messages = []
        for index, (rgb, depth) in enumerate(simulated_frames(64, 48, 3)):
            stamp = START + index * 33_000_000
            messages += [
                ('/c/color/image_raw', image(stamp, 'optical', rgb, 'rgb8')),
                ('/c/aligned_depth/image_raw', image(stamp, 'optical', depth, '32FC1')),
            ]
        bags.append(write_bag(tmp_path / 'in' / name, messages))
    assert run(*bags) == 0
    assert (tmp_path / 'out' / 'a' / 'metadata.yaml').is_file()
    monkeypatch.setattr(Completer, 'open', lambda *_: pytest.fail('a model was opened'))
    capsys.readouterr()
    assert run(*bags) == 0
    assert capsys.readouterr().out.count('is done already') == 2
