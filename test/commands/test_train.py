# SPDX-License-Identifier: Apache-2.0
"""``magadepth train`` and ``export-onnx`` from the command line."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from support.networks import tiny
from support.recordings import write_recording

from magadepth_ros.commands.main import main
from magadepth_ros.commands.train import overrides
from magadepth_ros.commands.values import Duration
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import DataError

CONFIG = """
network:
  height: 32
  width: 48
  guide_channels: [4, 4, 8, 8]
  depth_channels: [3, 3, 6, 6]
  decoder_channels: [8, 4, 4]
  bid_fusions: 1
  hidden: 16
"""


@pytest.mark.parametrize(
    ('text', 'expected'),
    [('90', 90), ('90s', 90), ('10m', 600), ('2h', 7200), ('1.5h', 5400), ('0.5', 0.5)],
)
def test_times_have_units(text, expected):
    assert Duration()(text) == expected


@pytest.mark.parametrize('text', ['', 'm', '10 minutes', '1h30m', 'h2'])
def test_wrong_times_show_what_is_right(text):
    with pytest.raises(argparse.ArgumentTypeError, match='90s, 10m or 2h'):
        Duration()(text)


def test_a_wrong_time_is_told_to_the_user(capsys):
    assert main(['train', '--max-time', 'soon']) == 2

    assert 'expected a time, e.g. 90s, 10m or 2h' in capsys.readouterr().err


def test_fields_are_set_with_the_type_they_are_written_in():
    pairs = ['steps=2000', 'learning_rate=0.002', 'mse=0.5', 'loss=paper', 'weight_decay=1.0e-4']

    assert overrides(pairs) == {
        'steps': 2000,
        'learning_rate': 0.002,
        'mse': 0.5,
        'loss': 'paper',
        'weight_decay': 1e-4,
    }
    assert overrides([]) == {}


def test_exponents_need_no_dot():
    assert overrides(['learning_rate=1e-3']) == {'learning_rate': 0.001}


def test_a_value_that_is_no_yaml_is_shown():
    with pytest.raises(DataError, match=r'--set steps=\[: expected a value'):
        overrides(['steps=['])


def test_the_list_has_every_network_and_needs_no_torch():
    code = (
        'import sys\nfrom magadepth_ros.commands.main import main\n'
        "assert main(['train', '--list']) == 0 and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    from magadepth_training.networks.registry import network_config, network_names

    sizes = {n: (network_config(n).height, network_config(n).width) for n in network_names()}
    rows = re.findall(r'`(\w+)` \| (\d+)x(\d+) ', done.stdout)
    assert {name: (int(h), int(w)) for name, h, w in rows} == sizes


def test_list_and_measure_print_a_row_per_network(capsys, monkeypatch):
    from magadepth_training.networks import registry

    configs = {'one': tiny(name='one'), 'two': tiny(name='two', height=40, bid_fusions=2)}
    monkeypatch.setattr(registry, 'network_names', lambda: list(configs))
    create = registry.create_network
    monkeypatch.setattr(registry, 'create_network', lambda name: create(configs[name]))

    assert main(['train', '--list', '--measure']) == 0

    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].count('|') == lines[2].count('|') == 6
    assert [line.split('|')[1:3] for line in lines[2:]] == [
        [' `one` ', ' 32x48 '],
        [' `two` ', ' 40x48 '],
    ]


def test_listing_counts_parameters_and_multiplications():
    """One 3x3 convolution, by hand."""
    from magadepth_training import listing

    net = torch.nn.Conv2d(2, 4, 3)
    net.register_buffer('mean', torch.zeros(1000))

    assert listing.parameters(net) == 2 * 4 * 9 + 4
    row = listing.NetworkRow('a', 240, 320, 1.234, 0.567, 8.9)
    assert listing.table([row]).splitlines()[-1] == '| `a` | 240x320 | 1.23 | 0.57 | 9 |'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'little.yaml'
    path.write_text(CONFIG)
    return path


def test_train_then_export(config, tmp_path, capsys):
    data, output = write_recording(tmp_path / 'raw', count=2), tmp_path / 'runs'
    arguments = ['train', '--config', str(config), '--data', str(data), '--output', str(output)]
    settings = ['steps=1', 'batch_size=2', 'ema=0', 'validate_every=50']
    for pair in settings:
        arguments += ['--set', pair]

    assert main([*arguments, '--accelerator', 'cpu', '--devices', '1']) == 0
    weights = output / 'little.safetensors'
    assert str(weights) in capsys.readouterr().out
    assert main(['export-onnx', str(weights), '--training-data', 'planes']) == 0

    info = read_model_info(output / 'little.onnx')
    assert (info.network, info.training_data) == ('little', 'planes')
    assert not info.low_precision_safe


def test_the_guided_fill_is_exported_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(['export-onnx', 'guided_fill', '--training-data', 'none']) == 0

    info = read_model_info(tmp_path / 'guided_fill.onnx')
    assert (info.network, info.training_data) == ('guided_fill', 'none')


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--config', 'magadepth_huge'], 'expected a YAML file or one of'),
        (['--data', 'nowhere'], "'nowhere': no such file or folder"),
        (['--scenes', '1', '--resume'], 'nothing to resume'),
        ([], 'nothing to train on'),
        (['--data', 'nowhere=0'], 'expected a number above 0'),
        (['--accelerator', 'banana'], "invalid choice: 'banana'"),
        (['--devices', '0'], 'a number from 1 on'),
        (['--precision', 'banana'], "invalid choice: 'banana'"),
        (['--scenes', '1', '--accelerator', 'mps'], 'the trainer cannot start: '),
        (['--set', 'steps'], 'expected FIELD=VALUE'),
        (['--set', 'steps=-1'], 'steps: -1; expected 1 or more'),
        (['--set', 'validate_every=0'], 'validate_every: 0; expected 1 or more'),
        (['--set', 'ema=1.0'], 'ema: 1.0; expected 0 or more, below 1'),
        (['--set', 'learning_rate=.nan'], 'learning_rate: nan'),
    ],
)
def test_mistakes_are_one_line_and_exit_2(arguments, said, tmp_path, capsys):
    assert main(['train', '--output', str(tmp_path / 'runs'), *arguments]) == 2

    errors = capsys.readouterr().err
    assert said in errors
    assert 'Traceback' not in errors
    assert not (tmp_path / 'runs').exists()


def test_export_of_a_missing_file_is_one_line(tmp_path, capsys):
    assert main(['export-onnx', str(tmp_path / 'none.safetensors')]) == 2

    assert 'no such file' in capsys.readouterr().err
