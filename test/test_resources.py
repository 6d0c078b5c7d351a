# SPDX-License-Identifier: Apache-2.0
"""Files of the package are found beside the running code first, then by the ament index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from magadepth_ros import resources
from magadepth_ros.errors import DataError, ModelError

ROOT = Path(__file__).resolve().parents[1]
MODULES = ('__init__.py', 'errors.py', 'files.py', 'resources.py')


@pytest.fixture
def share(tmp_path, monkeypatch):
    (tmp_path / 'models').mkdir()
    (tmp_path / 'config').mkdir()
    monkeypatch.setattr(resources, 'share_dir', lambda: tmp_path)
    return tmp_path


def put_code(folder: Path) -> Path:
    """Install the modules below ``folder`` as pip would; return the folder for PYTHONPATH."""
    package = folder / 'magadepth_ros'
    package.mkdir(parents=True)
    for name in MODULES:
        shutil.copy(ROOT / 'magadepth_ros' / name, package)
    return folder


def put_share(folder: Path) -> Path:
    (folder / 'config').mkdir(parents=True)
    (folder / 'package.xml').write_text('<package/>')
    return folder


def share_seen_by(code: Path, *prefixes: Path) -> subprocess.CompletedProcess:
    path = os.pathsep.join(str(prefix) for prefix in prefixes)
    return subprocess.run(
        [sys.executable, '-c', 'from magadepth_ros.resources import *; print(share_dir())'],
        env={**os.environ, 'PYTHONPATH': str(code), 'AMENT_PREFIX_PATH': path},
        cwd=code,
        capture_output=True,
        text=True,
    )


def test_source_tree_is_found():
    assert resources.share_dir().resolve() == ROOT


def test_share_of_the_prefix_of_the_running_code_wins_over_the_index(tmp_path):
    code = put_code(tmp_path / 'prefix/lib/python3/site-packages')
    own = put_share(tmp_path / 'prefix/share/magadepth_ros')
    put_share(tmp_path / 'other/share/magadepth_ros')
    assert share_seen_by(code, tmp_path / 'other').stdout.strip() == str(own)


def test_ament_index_is_asked_where_the_code_has_no_files(tmp_path):
    code = put_code(tmp_path / 'code')
    indexed = put_share(tmp_path / 'second/share/magadepth_ros')
    found = share_seen_by(code, tmp_path / 'first', tmp_path / 'second')
    assert found.stdout.strip() == str(indexed)


def test_incomplete_installation_says_what_to_do(tmp_path):
    result = share_seen_by(put_code(tmp_path / 'code'))
    assert result.returncode != 0
    assert 'install the package again' in result.stderr


def test_model_is_found_by_name_file_name_and_path(share, tmp_path):
    model = share / 'models' / 'tiny.onnx'
    model.touch()
    assert resources.find_model('tiny') == model
    assert resources.find_model('tiny.onnx') == model
    assert resources.find_model(model) == model
    assert resources.model_names() == ['tiny']


def test_path_of_the_user_wins_over_a_model_of_that_name(share, tmp_path, monkeypatch):
    (share / 'models' / 'tiny.onnx').touch()
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'tiny.onnx').touch()
    monkeypatch.chdir(work)
    assert resources.find_model('tiny.onnx') == work / 'tiny.onnx'


@pytest.mark.parametrize('name', ['none', 'models/none.onnx', '../tiny'])
def test_unknown_model_names_those_that_there_are(share, name):
    (share / 'models' / 'tiny.onnx').touch()
    with pytest.raises(ModelError, match=r'neither a file nor installed.*tiny'):
        resources.find_model(name)


def test_unknown_config_names_those_that_there_are(share):
    (share / 'config' / 'fastdds.xml').touch()
    assert resources.find_config('fastdds.xml') == share / 'config' / 'fastdds.xml'
    with pytest.raises(DataError, match=r'fastdds\.xml'):
        resources.find_config('none.xml')


@pytest.mark.parametrize(
    ('installed', 'on_gpu', 'expected'),
    [
        (('guided_fill', 'magadepth_small', 'magadepth_tiny'), True, 'magadepth_small'),
        (('guided_fill', 'magadepth_small', 'magadepth_tiny'), False, 'magadepth_tiny'),
        (('guided_fill', 'magadepth_small'), False, 'guided_fill'),
        (('guided_fill',), True, 'guided_fill'),
    ],
)
def test_the_automatic_model_keeps_up_with_a_camera(monkeypatch, installed, on_gpu, expected):
    monkeypatch.setattr(resources, 'model_names', lambda: list(installed))

    assert resources.auto_model(on_gpu) == expected
