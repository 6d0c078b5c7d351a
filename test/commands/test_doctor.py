# SPDX-License-Identifier: Apache-2.0
"""``magadepth doctor``: what works, what does not, and what to do about it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys

import pytest
from support.models import write_tiny_model

from magadepth_ros.commands import doctor_checks
from magadepth_ros.commands.doctor_checks import FAULT, NOTE, OK, Finding
from magadepth_ros.commands.main import main


def findings(check) -> dict[str, Finding]:
    return {finding.name: finding for finding in check()}


@pytest.fixture
def alone(monkeypatch):
    """Leave out what takes seconds: runtimes and the graph."""
    monkeypatch.setattr(doctor_checks, 'runtimes', lambda model: iter(()))
    monkeypatch.setattr(doctor_checks, 'graph', lambda seconds: iter(()))


@pytest.mark.usefixtures('alone')
def test_the_page_has_every_part_and_json_says_the_same(monkeypatch, capsys):
    # Others may write between the two runs.
    usage = shutil.disk_usage('/')
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
    code = main(['doctor'])
    page = capsys.readouterr().out
    assert main(['doctor', '--json']) == code
    found = json.loads(capsys.readouterr().out)
    assert {item['part'] for item in found} == {'package', 'ROS', 'DDS', 'models', 'rights'}
    for item in found:
        assert item['name'] in page and item['said'][:30] in page
    assert code == (1 if any(item['state'] == FAULT for item in found) else 0)


@pytest.mark.usefixtures('alone')
def test_a_check_that_fails_itself_is_a_fault_and_the_others_go_on(monkeypatch, capsys):
    def broken():
        raise RuntimeError('no such device\nand more')

    monkeypatch.setattr(doctor_checks, 'dds', broken)
    assert main(['doctor']) == 1
    page = capsys.readouterr().out
    assert 'XX DDS' in page and 'RuntimeError: no such device' in page and 'and more' not in page
    assert 'rights' in page


def test_a_profile_that_is_not_there_is_a_fault_with_its_remedy(monkeypatch):
    monkeypatch.setenv('FASTRTPS_DEFAULT_PROFILES_FILE', '/nowhere.xml')
    found = findings(doctor_checks.dds)['profile']
    assert found.state == FAULT and '/nowhere.xml' in found.said and 'unset' in found.remedy


def test_missing_messages_are_named_with_their_package(monkeypatch):
    real = importlib.util.find_spec
    gone = ('std_srvs', 'message_filters')
    there = {'rclpy', *doctor_checks.MESSAGES}

    def find_spec(name):
        return None if name in gone else True if name in there else real(name)

    monkeypatch.setattr(importlib.util, 'find_spec', find_spec)
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    found = findings(doctor_checks.ros)
    assert found['messages'].state == FAULT
    assert found['messages'].remedy == 'sudo apt install ros-jazzy-std-srvs'
    assert found['message_filters'].state == NOTE and 'own' in found['message_filters'].said


def test_a_folder_that_cannot_be_written_is_a_fault(monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    found = findings(doctor_checks.models)['cache']
    assert found.state == FAULT and 'XDG_CACHE_HOME' in found.remedy


def test_models_are_looked_into_by_a_runtime_as_the_onnx_package_may_be_missing(
    monkeypatch, tmp_path
):
    broken = write_tiny_model(tmp_path / 'broken.onnx')
    broken.write_bytes(broken.read_bytes()[:-100])
    paths = {'tiny': write_tiny_model(tmp_path / 'tiny.onnx'), 'broken': broken}
    monkeypatch.setitem(sys.modules, 'onnx', None)
    monkeypatch.setattr(doctor_checks, 'model_names', lambda: list(paths))
    monkeypatch.setattr(doctor_checks, 'find_model', paths.__getitem__)
    found = findings(doctor_checks.models)
    assert found['tiny'].state == OK and ' m' in found['tiny'].said
    assert found['broken'].state == FAULT and found['broken'].remedy == 'install the package again'


def test_runtimes_are_timed_and_reasons_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_checks, 'TIMED', 0.01)
    monkeypatch.setattr(doctor_checks, 'BACKENDS', ('auto', 'openvino', 'torch-cuda'))
    model = str(write_tiny_model(tmp_path / 'tiny.onnx'))
    found = findings(lambda: doctor_checks.runtimes(model))
    assert found['openvino'].state == OK and 'ms a frame of 640x480' in found['openvino'].said
    assert found['torch-cuda'].state == NOTE and '\n' not in found['torch-cuda'].said


def test_where_no_runtime_works_openvino_is_advised(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_checks, 'BACKENDS', ('torch-cuda',))
    model = str(write_tiny_model(tmp_path / 'tiny.onnx'))
    found = findings(lambda: doctor_checks.runtimes(model))
    assert found['auto'].state == FAULT and 'pip install "openvino"' in found['auto'].remedy
