# SPDX-License-Identifier: Apache-2.0
"""``magadepth benchmark --compare``: what it calls slower, and on another machine."""

from __future__ import annotations

import json

import pytest

from magadepth_ros.commands.benchmark_report import FORMAT
from magadepth_ros.commands.main import main


def row(name, kind, ms):
    return {'name': name, 'kind': kind, 'runtime': 'r', 'size': [64, 48], 'ms': ms}


def node_row(busy):
    return {'size': [64, 48], 'cameras': 2, 'rate_hz': 15.0, 'busy_cores': busy}


def write(path, model=20.0, peers=(4.0, 30.0, 9.0), node=0.6):
    rows = [row('net', 'model', model)]
    rows += [row(f'peer{i}', 'peer', ms) for i, ms in enumerate(peers)]
    report = {'format': FORMAT, 'rows': rows, 'node': [node_row(node)], 'errors': []}
    path.write_text(json.dumps(report))
    return str(path)


@pytest.mark.parametrize(
    ('model', 'node', 'slower'),
    [(20.0, 0.6, []), (22.9, 0.6, []), (23.1, 0.6, ['net']), (10.0, 0.7, ['node'])],
)
@pytest.mark.parametrize('machine', [0.5, 1.0, 3.0])
def test_what_grew_by_more_than_15_percent_is_slower_on_any_machine(
    tmp_path, capsys, model, node, slower, machine
):
    old = write(tmp_path / 'old.json')
    peers = [machine * ms for ms in (4.0, 30.0, 9.0)]
    new = write(tmp_path / 'new.json', machine * model, peers, machine * node)

    code = main(['benchmark', '--compare', old, new])

    marked = [line for line in capsys.readouterr().out.splitlines() if 'SLOWER' in line]
    assert code == bool(slower)
    assert ['node' if 'node' in line else line.split()[0] for line in marked] == slower


def test_one_disturbed_classical_method_does_not_count(tmp_path):
    old = write(tmp_path / 'old.json')

    assert main(['benchmark', '--compare', old, write(tmp_path / 'a', 23.1, (40, 30, 9))]) == 1
    assert main(['benchmark', '--compare', old, write(tmp_path / 'b', 20.0, (1, 30, 9))]) == 0


@pytest.mark.parametrize('text', ['', '[]', '{"format": 1}', f'{{"format": {FORMAT}}}'])
def test_a_file_that_is_no_benchmark_is_one_line(tmp_path, capsys, text):
    other = tmp_path / 'other.json'
    other.write_text(text)

    assert main(['benchmark', '--compare', write(tmp_path / 'old.json'), str(other)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'other.json' in line and 'benchmark' in line


def test_runs_without_classical_methods_cannot_be_compared(tmp_path, capsys):
    bare = write(tmp_path / 'bare.json', peers=())

    assert main(['benchmark', '--compare', bare, bare]) == 2
    assert '--peers' in capsys.readouterr().err
