# SPDX-License-Identifier: Apache-2.0
"""The laws that ``magadepth benchmark`` reads off its figures, and their picture."""

from __future__ import annotations

import os

import pytest
from support.models import write_tiny_model

from magadepth_ros.commands.benchmark_growth import laws, measure_cores
from magadepth_ros.commands.benchmark_plots import write_growth


def library_row(width, height, ms, **more):
    return {
        'name': 'net',
        'kind': 'model',
        'runtime': 'r',
        'size': [width, height],
        'ms': ms,
    } | more


def report():
    sizes = ((500, 400), (1000, 500), (1000, 1000))
    return {
        'rows': [library_row(w, h, 10 + 30 * w * h / 1e6) for w, h in sizes],
        'cores': [library_row(500, 400, 5 + 40 / n, cores=n) for n in (1, 2, 4)],
        'node': [
            {'size': [500, 400], 'cameras': n, 'rate_hz': 20.0, 'busy_cores': 20e-3 * (2 + 25 * n)}
            for n in (1, 2)
        ],
        'topics': [
            {'size': [500, 400], 'mib': mib, 'rate_hz': 10.0, 'busy_cores': 10e-3 * (30 + 3 * mib)}
            for mib in (1.0, 4.0)
        ],
    }


def test_laws_are_the_lines_that_the_figures_follow():
    pixels, cores, cameras, topics = laws(report())

    assert str(pixels) == 'net (r): ms = 10.0 + 30.0 x megapixel'
    assert str(cores) == 'net (r): ms = 5.0 + 40.0 / cores'
    assert str(cameras).endswith('ms = 2.0 + 25.0 x cameras')
    assert str(topics).endswith('ms = 30.0 + 3.0 x MiB')


def test_one_figure_alone_has_no_law():
    assert laws({'rows': [library_row(64, 48, 3.0)], 'node': []}) == []


def test_the_picture_has_each_law_in_a_title(tmp_path):
    pytest.importorskip('matplotlib')
    found = laws(report())

    write_growth(tmp_path / 'growth.svg', found)

    text = (tmp_path / 'growth.svg').read_text()
    assert all(part in text for law in found for part in str(law).split(': '))


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='affinity is of Linux')
def test_fewer_cores_are_measured_in_processes_of_their_own(tmp_path):
    pytest.importorskip('openvino')
    model = write_tiny_model(tmp_path / 'tiny.onnx', 48, 64)
    given = ['--models', str(model), '--backends', 'openvino', '--repeats', '1']
    own = os.sched_getaffinity(0)

    rows = measure_cores(given, '64x48')

    assert rows[0]['cores'] == 1 and rows[-1]['cores'] == len(own)
    assert all(row['name'] == 'tiny' and row['ms'] > 0 for row in rows)
    assert os.sched_getaffinity(0) == own
