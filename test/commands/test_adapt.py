# SPDX-License-Identifier: Apache-2.0
"""``magadepth adapt`` from the command line: both errors are printed, the exit code says it."""

from __future__ import annotations

import pytest

pytest.importorskip('lightning')

from support.networks import tiny_chooser
from support.recordings import write_recording

from magadepth_ros.commands.main import main
from magadepth_training import adapt as adapting
from magadepth_training.networks.registry import create_network
from magadepth_training.weights import save_weights


@pytest.fixture
def arguments(tmp_path):
    weights = tmp_path / 'mine.safetensors'
    save_weights(create_network(tiny_chooser(name='mine')), weights)
    room = write_recording(tmp_path / 'room', count=10)
    return ['adapt', str(room), '--output', str(tmp_path / 'o.onnx'), '--model', str(weights)]


@pytest.mark.parametrize(
    ('recording', 'scenes', 'code'),
    [((0.2, 0.15), (0.4, 0.404), 0), ((0.2, 0.21), (0.4, 0.4), 1), ((0.2, 0.1), (0.4, 0.42), 1)],
)
def test_both_errors_are_printed_and_the_exit_code_says_what_was_kept(
    arguments, recording, scenes, code, tmp_path, capsys, monkeypatch
):
    def adapt(source, weights, output, minutes):
        result = adapting.Adaptation(len(source), 2, recording, scenes)
        if result.kept:
            output.write_bytes(bytes(2**20))
        return result

    monkeypatch.setattr(adapting, 'adapt', adapt)

    assert main(arguments) == code

    said = capsys.readouterr().out
    for before, after in (recording, scenes):
        change = 100 * (after / before - 1)
        assert f'before {before:.4f}, after {after:.4f} ({change:+.1f} %)' in said
    assert ('not kept' in said) == (code == 1)
    assert ('o.onnx: 1.0 MiB' in said) == (code == 0)


def test_a_short_recording_is_one_line_and_nothing_is_written(tmp_path, arguments, capsys):
    short = write_recording(tmp_path / 'short', count=3)

    assert main(['adapt', str(short), *arguments[2:]]) == 2

    assert 'expected 10 frames or more, got 3' in capsys.readouterr().err
    assert not (tmp_path / 'o.onnx').exists()
