# SPDX-License-Identifier: Apache-2.0
"""``magadepth benchmark``: what is in its table and files, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.models import write_tiny_model

from magadepth_ros.commands.benchmark_report import FORMAT
from magadepth_ros.commands.benchmark_timing import BUDGET_MS, Candidate, measure
from magadepth_ros.commands.main import main

pytest.importorskip('openvino', reason='models are measured on OpenVINO')

STAGES = {'fit', 'infer', 'restore', 'confidence', 'merge', 'cloud'}


@pytest.fixture
def model(tmp_path):
    return str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))


def test_models_and_peers_in_one_run(tmp_path, model, capsys):
    pytest.importorskip('scipy', reason='the peers come with the training')
    out = tmp_path / 'new' / 'bench.json'
    page = tmp_path / 'page.md'
    given = ['--models', model, '--backends', 'openvino', '--sizes', '64x48', '96x64']
    given += ['--precisions', 'fp32', '--peers', 'nearest', 'telea', '--repeats', '2']
    given += ['--threads', '1', '--json', str(out), '--markdown', str(page)]
    given += ['--note', '15 W']
    assert main(['benchmark', *given]) == 0
    report = json.loads(out.read_text())
    rows = report['rows']
    assert [row['name'] for row in rows] == ['tiny', 'nearest', 'telea'] * 2
    assert rows[0]['size'] == [64, 48]
    assert rows[0]['runtime'] == 'openvino fp32'
    assert set(rows[0]['stages']) == STAGES
    assert rows[0]['ratio'] == 1.0
    assert report['machine']['threads'] == 1
    assert {'numpy', 'openvino', 'magadepth_ros'} <= set(report['versions'])
    assert 'telea' in capsys.readouterr().out
    assert '## 96 x 64' in page.read_text() and '(15 W)' in page.read_text()
    # The page can be made of the file later, and is the same.
    again = tmp_path / 'again.md'
    assert main(['benchmark', '--from-json', str(out), '--markdown', str(again)]) == 0
    assert again.read_text() == page.read_text()


def test_a_node_of_which_no_frame_came_is_shown(tmp_path, capsys):
    node = {'size': [640, 480], 'cameras': 1, 'camera_hz': 30.0, 'runtime': 'openvino fp32'}
    node |= {'rate_hz': 0.0, 'latency_ms_p50': None, 'latency_ms_p95': None}
    node |= {'busy_cores': 0.1, 'memory_mib': 300, 'stages': {}}
    report = {'format': FORMAT, 'date': '', 'versions': {}, 'rows': [{'name': 'x'}], 'errors': []}
    path = tmp_path / 'report.json'
    row = {'name': 'x', 'kind': 'model', 'runtime': 'r', 'size': [4, 4], 'ms': 1.0, 'p95_ms': 1.0}
    row |= {'ratio': 1.0, 'stages': {}, 'rounds': 1}
    machine = {'processor': 'p', 'cores': 2, 'threads': 2, 'system': 's'}
    report |= {'node': [node], 'machine': machine, 'rows': [row]}
    path.write_text(json.dumps(report), encoding='utf-8')

    assert main(['benchmark', '--from-json', str(path)]) == 0

    shown = next(line for line in capsys.readouterr().out.splitlines() if '300' in line)
    assert shown.split() == ['640x480', '1', '0.0', '-', '-', '0.10', '300']


def test_a_plot_is_drawn(tmp_path, model):
    pytest.importorskip('matplotlib')
    plot = tmp_path / 'bars.svg'
    given = ['--models', model, '--sizes', '64x48', '--repeats', '1', '--plot', str(plot)]
    assert main(['benchmark', *given, '--backends', 'openvino']) == 0
    assert '<svg' in plot.read_text()


def test_what_cannot_be_opened_is_said_and_the_rest_measured(model, capsys):
    given = ['--models', model, '--backends', 'openvino', '--precisions', 'fp32', 'fp16']
    assert main(['benchmark', *given, '--sizes', '64x48', '--repeats', '1']) == 2
    said = capsys.readouterr().out
    assert 'openvino fp32' in said
    assert 'not measured: ' in said
    assert 'fp16' in said


@pytest.mark.parametrize(
    ('given', 'says'),
    [
        (['--models', 'absent.onnx'], 'absent.onnx'),
        (['--from-json', 'absent.json'], 'absent.json'),
        (['--sizes', '64'], 'WIDTHxHEIGHT'),
        (['--repeats', '0'], 'from 1 to'),
    ],
)
def test_wrong_arguments_are_one_line(given, says, capsys):
    assert main(['benchmark', *given]) == 2
    assert says in capsys.readouterr().err


def test_slow_methods_take_part_in_fewer_rounds_and_ratios_are_of_the_same_round():
    calls = {'quick': 0, 'slow': 0, 'endless': 0}
    # The machine becomes ten times slower at some point: it does for all.
    factor = [1.0, 1.0, 10.0, 10.0, 10.0, 10.0]

    def method(name: str, base: float) -> Candidate:
        def run(rgb: np.ndarray, depth: np.ndarray) -> dict[str, float]:
            calls[name] += 1
            return {'complete': base * factor[calls[name] - 1]}

        return Candidate(name, 'peer', 'CPU', run)

    frame = (np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.float32))
    methods = [method('quick', 2.0), method('slow', 0.3 * BUDGET_MS), method('endless', 1e5)]
    quick, slow, endless = measure(methods, [frame], 5)
    assert (quick['rounds'], slow['rounds'], endless['rounds']) == (5, 3, 1)
    assert calls == {'quick': 6, 'slow': 4, 'endless': 1}
    assert slow['ratio'] == 0.3 * BUDGET_MS / 2.0
    assert quick['ms'] == 20.0
    assert endless['ms'] == 1e5
    assert quick['size'] == [6, 4]
