# SPDX-License-Identifier: Apache-2.0
"""``magadepth evaluate`` from the command line: figures, files, and frames without a target."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.models import write_tiny_model

from magadepth_ros.commands.evaluate import distinct_names
from magadepth_ros.commands.main import main
from magadepth_ros.pictures import write_depth_png
from magadepth_training.datasets.manifest import ManifestSource
from magadepth_training.evaluation import baselines
from magadepth_training.evaluation.baselines import BASELINES
from magadepth_training.evaluation.evaluator import evaluate
from magadepth_training.evaluation.methods import baseline_methods
from magadepth_training.evaluation.sparse import SparseSource

SIZE = (48, 64)


def write_frames(folder: Path, count: int = 3, without_target: tuple[int, ...] = ()) -> Path:
    """Slanted planes with steps, holes and a score that ignores some pixels."""
    rng = np.random.default_rng(11)
    entries = []
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    for i in range(count):
        target = 1.2 + 0.01 * u + 0.004 * v * (i + 1)
        target[10:30, 20 + i : 40 + i] = 0.8
        depth = target + rng.normal(0, 0.004, SIZE)
        hidden = rng.random(SIZE) < 0.05
        hidden[15:35, 30:50] = True
        score = np.where(hidden, 1, 2)
        score[:3] = 0
        rgb = rng.integers(0, 255, (*SIZE, 3), np.uint8)
        names = {key: f'{i:02}.{key}.png' for key in ('rgb', 'depth', 'target', 'score')}
        cv2.imwrite(str(folder / names['rgb']), rgb)
        cv2.imwrite(str(folder / names['score']), score.astype(np.uint8))
        write_depth_png(folder / names['depth'], np.where(hidden, 0, depth))
        target[40:, :10] = 0
        write_depth_png(folder / names['target'], target)
        if i in without_target:
            del names['target'], names['score']
        entries.append(
            {**names, 'sensor': f'sensor {i % 2}', 'scene': f'room {i % 2}', 'hiding': 'box'}
        )
    content = {'name': 'planes', 'depth_scale': 0.001, 'frames': entries}
    (folder / 'manifest.json').write_text(json.dumps(content))
    return folder


def reference(folder: Path, predictions: Path, value: int) -> dict[str, float]:
    """Re-state the scoring of stored PNG files, in doubles made from whole millimetres."""
    rows = []
    for entry in json.loads((folder / 'manifest.json').read_text())['frames']:
        stem = entry['rgb'].split('.')[0]
        read = [cv2.imread(str(folder / entry[key]), -1) for key in ('target', 'score')]
        predicted = cv2.imread(str(predictions / f'{stem}.png'), -1)
        # A pixel whose target is unknown is never scored.
        mask = (read[1] == value) & (read[0] > 0)
        p, t = predicted[mask] / 1000.0, read[0][mask] / 1000.0
        ratio = np.maximum(p, t) / np.maximum(np.minimum(p, t), 1e-9)
        rows.append(
            {
                'rmse': np.sqrt(np.mean((p - t) ** 2)),
                'mae': np.mean(abs(p - t)),
                'rel': np.mean(abs(p - t) / t),
                'd105': 100 * np.mean(ratio < 1.05),
                'd110': 100 * np.mean(ratio < 1.10),
                'd125': 100 * np.mean(ratio < 1.25),
                'unfilled': np.mean(p == 0),
            }
        )
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def lines_of(table: Path) -> dict[str, dict[str, str]]:
    """Return the lines of the first method in a CSV by their group."""
    lines = list(csv.DictReader(table.open()))
    return {line['group']: line for line in lines if line['name'] == lines[0]['name']}


def run(*arguments: object) -> int:
    return main(['evaluate', *map(str, arguments)])


def test_figures_of_a_folder_and_of_a_live_method_are_the_reference(tmp_path: Path) -> None:
    folder = write_frames(tmp_path)
    predictions = tmp_path / 'stored'
    for i in range(3):
        depth = cv2.imread(str(folder / f'{i:02}.depth.png'), -1) / 1000
        filled = BASELINES['telea'](np.zeros((*SIZE, 3), np.uint8), depth.astype(np.float32))
        filled[31, 40:44] = 0
        write_depth_png(predictions / f'{i:02}.png', filled)
    out = tmp_path / 'out.json'
    assert run(folder, '--predictions', predictions, '--baselines', 'telea', '--json', out) == 0
    stored, live = json.loads(out.read_text())['rows']
    for region, value in (('fill', 1), ('keep', 2)):
        for key, expected in reference(folder, predictions, value).items():
            assert round(stored[region][key], 4) == round(expected, 4), (region, key)
    assert stored['fill']['unfilled'] > 0 and 'ms' not in stored
    assert stored['keep']['unchanged'] == 100
    assert live['fill']['unfilled'] == 0 and live['ms'] > 0
    assert live['fill']['rmse'] < stored['fill']['rmse']
    assert live['keep'] == stored['keep']


def test_model_baselines_table_csv_and_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_frames(tmp_path)
    model = write_tiny_model(tmp_path / 'tiny.onnx', *SIZE)
    files = [tmp_path / 'new' / name for name in ('a.json', 'a.csv', 'a.png')]
    flags = ('--json', files[0], '--csv', files[1], '--sheet', files[2])
    assert run(folder, '--models', model, '--baselines', 'nearest', 'ip_basic', *flags) == 0
    content = json.loads(files[0].read_text())
    assert [row['name'] for row in content['rows']] == ['tiny', 'nearest', 'ip_basic']
    tiny, nearest, ip_basic = content['rows']
    assert tiny['kind'] == 'model' and tiny['runtime'] and tiny['frames_scored'] == 3
    assert tiny['fill']['ause'] >= 0 and nearest['fill']['ause_distance'] >= 0
    assert 'ause' not in nearest['fill'] and 'flicker' not in tiny['fill']
    assert nearest['keep']['unchanged'] == 100 > ip_basic['keep']['unchanged']
    assert set(tiny['sensors']) == {'sensor 0', 'sensor 1'} and set(tiny['hidings']) == {'box'}
    low, high = tiny['fill']['interval']['rmse']
    assert low < tiny['fill']['rmse'] < high
    shown = capsys.readouterr().out
    assert f'{tiny["fill"]["rmse"]:.4f}  {low:.3f}-{high:.3f}' in shown and 'sensor 1' in shown
    lines = lines_of(files[1])
    assert {'fill', 'keep', 'edge', 'sensor:sensor 1', 'scene:room 0', 'hiding:box'} <= set(lines)
    assert lines['fill']['data'] == 'planes' and int(lines['fill']['scenes']) == 2
    assert int(lines['scene:room 0']['frames']) == 2 and 'scene:room 1' not in lines  # one frame
    assert float(lines['fill']['rmse']) == pytest.approx(tiny['fill']['rmse'], rel=1e-4)
    assert float(lines['fill']['rmse_high']) == pytest.approx(high, rel=1e-3)
    sheet = cv2.imread(str(files[2]))
    assert sheet.shape[1] > 5 * 200 and sheet.max() > 200


def test_the_page_is_made_of_the_csv(tmp_path: Path) -> None:
    folder = write_frames(tmp_path)
    table, page, again = (tmp_path / name for name in ('a.csv', 'a.md', 'b.md'))
    flags = ('--baselines', 'nearest', 'telea', '--csv', table, '--markdown', page)
    assert run(folder, *flags) == 0
    nearest = lines_of(table)
    text = page.read_text()
    figures = [float(nearest['fill'][name]) for name in ('rel', 'rel_low', 'rel_high', 'rmse')]
    assert '| nearest | {:.4f} | {:.4f}–{:.4f} | {:.3f} | '.format(*figures) in text
    assert f'| sensor 1 | {float(nearest["sensor:sensor 1"]["rel"]):.4f} |' in text
    assert '### By hiding' not in text  # there is one
    assert run('--from-csv', table, '--markdown', again) == 0
    assert again.read_text() == text
    assert run('--from-csv', table, table, '--markdown', again) == 0


def test_a_model_runs_a_second_time_with_other_settings(tmp_path: Path) -> None:
    folder, out = write_frames(tmp_path), tmp_path / 'a.json'
    model = write_tiny_model(tmp_path / 'tiny.onnx', *SIZE)
    flags = ('--set', 'confidence_threshold=1', '--set', 'max_depth=9', '--baselines', 'none')
    assert run(folder, '--models', model, *flags, '--json', out) == 0
    plain, strict = json.loads(out.read_text())['rows']
    assert plain['name'] == 'tiny'
    assert strict['name'] == 'tiny confidence_threshold=1 max_depth=9'
    assert plain['fill']['unfilled'] == 0 and strict['fill']['unfilled'] == 1
    assert strict['keep'] == plain['keep']


def test_several_data_sets_are_rows_and_sections_of_their_own(tmp_path: Path) -> None:
    folders = []
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        folders.append(write_frames(tmp_path / name))
    content = json.loads((folders[1] / 'manifest.json').read_text())
    (folders[1] / 'manifest.json').write_text(json.dumps({**content, 'name': 'others'}))
    files = [tmp_path / name for name in ('a.json', 'a.csv', 'a.md')]
    flags = ('--json', files[0], '--csv', files[1], '--markdown', files[2])
    assert run(*folders, '--baselines', 'nearest', *flags) == 0
    rows = json.loads(files[0].read_text())['rows']
    assert [(row['data'], row['name']) for row in rows] == [
        ('planes', 'nearest'),
        ('others', 'nearest'),
    ]
    text = files[2].read_text()
    assert text.index('## planes') < text.index('## others')


def test_sparse_points_are_taken_from_the_truth_and_the_rest_is_scored(tmp_path: Path) -> None:
    folder, out = write_frames(tmp_path), tmp_path / 'a.json'
    assert run(folder, '--sparse', 200, '--baselines', 'nearest', '--json', out) == 0
    (row,) = json.loads(out.read_text())['rows']
    assert row['data'] == 'planes, 200 points' and row['frames_scored'] == 3
    errors = []
    for i, sample in enumerate(SparseSource(ManifestSource(folder), 200)):
        truth = ManifestSource(folder)[i].target
        points = sample.depth > 0
        assert points.sum() == 200
        np.testing.assert_array_equal(sample.depth[points], truth[points])
        scored = (truth > 0) & ~points
        filled = BASELINES['nearest'](sample.rgb, sample.depth)
        errors.append(np.mean(np.abs(filled - truth)[scored] / truth[scored]))
    assert row['fill']['rel'] == pytest.approx(np.mean(errors), rel=1e-3)


def test_levin_is_left_out_with_a_line_where_scipy_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = write_frames(tmp_path, 1), tmp_path / 'a.json'
    monkeypatch.setattr(baselines, 'find_spec', lambda name: None)
    assert run(folder, '--json', out) == 0
    assert 'levin' not in [row['name'] for row in json.loads(out.read_text())['rows']]
    assert 'levin is left out' in capsys.readouterr().err
    assert run(folder, '--baselines', 'levin') == 2
    assert 'pip install "scipy"' in capsys.readouterr().err


def test_step_limit_and_frames_without_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_frames(tmp_path, 5, without_target=(2,))
    out, sheet = tmp_path / 'a.json', tmp_path / 'a.png'
    table = tmp_path / 'a.csv'
    flags = ('--baselines', 'nearest', '--json', out, '--csv', table)
    assert run(folder, *flags, '--step', 2, '--limit', 2, '--sheet', sheet) == 0
    (row,) = json.loads(out.read_text())['rows']
    assert (row['frames'], row['frames_scored']) == (2, 1)
    write_frames(tmp_path, 2, without_target=(0, 1))
    assert run(folder, *flags) == 0
    (row,) = json.loads(out.read_text())['rows']
    assert row['frames_scored'] == 0 and 'fill' not in row and row['unfilled'] == 0
    assert lines_of(table)['fill']['frames'] == '0' and float(lines_of(table)['fill']['ms']) > 0
    assert run('--from-csv', table) == 0
    assert 'no frame of planes has a target' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('absent',), 'no such file or folder'),
        ((), 'expected DATA'),
        (('.', '--markdown', 'page.md'), 'for --markdown also --csv'),
        (('--from-csv', 'manifest.json'), 'expected a file that `magadepth evaluate --csv` wrote'),
        (('.', '--baselines', 'newest'), 'expected one of all, none, nearest'),
        (('.', '--baselines', 'none'), 'nothing to evaluate'),
        (
            ('.', '--models', 'guided_fill', '--set', 'min_depth=near'),
            "'min_depth=near': expected NAME=",
        ),
        (
            ('.', '--models', 'guided_fill', '--set', 'min_depth=true'),
            "'min_depth=true': expected a number, got true",
        ),
        (
            ('.', '--models', 'guided_fill', '--set', 'smooth=1'),
            'the names are min_depth, max_depth',
        ),
        (('.', '--baselines', 'none', '--predictions', 'absent'), 'folder of predictions'),
        (('.', '--baselines', 'none', '--predictions', '.'), '00.png: cannot be read'),
    ],
)
def test_faults_are_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    write_frames(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_stills_have_no_flicker(tmp_path: Path) -> None:
    class Stills(ManifestSource):
        consecutive = False

    folder = write_frames(tmp_path)
    manifest = json.loads((folder / 'manifest.json').read_text())
    manifest['frames'] = manifest['frames'][:1] * 2
    (folder / 'manifest.json').write_text(json.dumps(manifest))
    moving, still = (
        evaluate(source(folder), baseline_methods(['nearest']), range(2))[0].as_dict()
        for source in (ManifestSource, Stills)
    )

    assert 'flicker' in moving['fill'] and 'flicker' not in still['fill']


@pytest.mark.parametrize(
    ('paths', 'taken', 'names'),
    [
        (['magadepth_small', 'runs/small/magadepth_small.onnx'], [],
         ['magadepth_small', 'small/magadepth_small']),
        (['a/x.onnx', 'b/x.onnx', 'y.onnx'], [], ['a/x', 'b/x', 'y']),
        (['runs/nearest'], ['nearest'], ['runs/nearest']),
    ],
)  # fmt: skip
def test_methods_of_one_name_are_told_apart_by_their_folders(paths, taken, names):
    assert distinct_names([Path(path) for path in paths], taken) == names


def test_one_model_twice_is_refused_and_two_of_one_name_are_scored(tmp_path, capsys):
    folder = write_frames(tmp_path)
    models = []
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        models.append(write_tiny_model(tmp_path / name / 'tiny.onnx', *SIZE))
    flags = ('--baselines', 'none', '--set', 'replace_outliers=true')
    assert run(folder, '--models', *models, *flags, '--json', tmp_path / 'out.json') == 0
    found = [row['name'] for row in json.loads((tmp_path / 'out.json').read_text())['rows']]
    assert found == [
        f'{name}/tiny{more}' for name in ('one', 'two') for more in ('', ' replace_outliers=true')
    ]
    assert run(folder, '--models', models[0], models[0], *flags) == 2
    assert 'two methods are called' in capsys.readouterr().err
