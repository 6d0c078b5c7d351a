# SPDX-License-Identifier: Apache-2.0
"""The metadata of pip, colcon and ROS agree with each other and with the files."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from magadepth_ros import __version__
from magadepth_ros.recordings import BAG_SUFFIXES

ROOT = Path(__file__).resolve().parents[1]

# What setup() is called with; setup.py runs in its own process, as pip and colcon run it.
READ_SETUP = """
import json, sys, setuptools
from distutils.core import run_setup
sys.argv = ['setup.py', *sys.argv[1:]]
d = run_setup('setup.py', stop_after='init')
print(json.dumps({'version': d.metadata.version, 'name': d.metadata.name,
    'license': d.metadata.license, 'packages': d.packages, 'package_dir': d.package_dir,
    'data_files': d.data_files, 'extras': {k: list(v) for k, v in d.extras_require.items()},
    'scripts': d.entry_points['console_scripts']}))
"""

# Import name -> ROS package where they differ.
IMPORTS = {
    'cv2': 'python3-opencv', 'numpy': 'python3-numpy', 'tqdm': 'python3-tqdm',
    'yaml': 'python3-yaml',
}  # fmt: skip
ROS = {
    'ament_index_python', 'cv_bridge', 'diagnostic_msgs', 'launch', 'launch_ros', 'lifecycle_msgs',
    'message_filters', 'rcl_interfaces', 'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs', 'tf2_ros',
    'tf2_msgs', 'geometry_msgs', 'builtin_interfaces', 'rosidl_runtime_py', *IMPORTS,
}  # fmt: skip


def setup_of(*argv: str) -> dict:
    pytest.importorskip('setuptools', reason='reads setup.py')
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', READ_SETUP, *argv],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope='module')
def by_pip():
    return setup_of('bdist_wheel')


@pytest.fixture(scope='module')
def by_colcon():
    return setup_of()


@pytest.fixture(scope='module')
def package_xml():
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def files_of(setup: dict) -> dict[str, list[str]]:
    return {target: files for target, files in setup['data_files']}


def test_name_version_and_licence_are_the_same_everywhere(by_pip, package_xml):
    assert package_xml.findtext('name') == by_pip['name'] == 'magadepth_ros'
    assert package_xml.findtext('version') == by_pip['version'] == __version__
    assert package_xml.findtext('license') == by_pip['license'] == 'Apache-2.0'
    assert (ROOT / package_xml.find('license').get('file')).is_file()
    assert package_xml.findtext('export/build_type') == 'ament_python'


def test_changelog_begins_with_forthcoming_or_this_version():
    lines = (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8').splitlines()
    heads = [line for line, under in zip(lines, lines[1:]) if under.startswith('---')]
    assert heads[0] == 'Forthcoming' or heads[0].startswith(__version__)


def test_no_line_of_the_changelog_is_indented_by_more_than_its_entry():
    # It would be an error of reStructuredText, and begin a quotation.
    for line in (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8').splitlines():
        assert re.match(r'(  )?\S|$', line), line


def test_ros_can_read_manifest_and_changelog_and_needs_nothing_of_pip(package_xml):
    package = pytest.importorskip('catkin_pkg.package', reason='reads package.xml')
    changelog = pytest.importorskip('catkin_pkg.changelog', reason='reads the changelog')
    warnings: list[str] = []
    manifest = package.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    manifest.validate(warnings=warnings)
    assert warnings == []
    assert changelog.get_changelog_from_path(str(ROOT / 'CHANGELOG.rst'), manifest.name)
    keys = {tag.text for tag in package_xml if tag.tag.endswith('depend')}
    assert not [key for key in keys if key.endswith('-pip')]


@pytest.mark.parametrize('kind', ['by_pip', 'by_colcon'])
def test_installed_files_exist_and_none_is_forgotten(kind, request):
    files = files_of(request.getfixturevalue(kind))
    for group in files.values():
        for file in group:
            assert (ROOT / file).is_file()
    for folder, pattern in (
        ('launch', '*.launch.py'),
        ('config', '*.*'),
        ('config/presets', '*.yaml'),
        ('examples', '*.launch.py'),
        ('examples/config', '*.yaml'),
        ('examples/fleet', '*.*'),
        ('models', '*.*'),
    ):
        expected = sorted(str(p.relative_to(ROOT)) for p in (ROOT / folder).glob(pattern))
        assert files[f'share/magadepth_ros/{folder}'] == expected
    assert files['share/ament_index/resource_index/packages'] == ['resource/magadepth_ros']


def test_every_python_package_is_installed(by_pip):
    found = {
        str(init.parent.relative_to(top)).replace(os.sep, '.')
        for top in (ROOT, ROOT / 'training')
        for name in ('magadepth_ros', 'magadepth_training')
        for init in (top / name).rglob('__init__.py')
    }
    assert set(by_pip['packages']) == found
    assert by_pip['package_dir'] == {'magadepth_training': 'training/magadepth_training'}


def test_programs_are_where_ros2_run_looks_in_both_kinds_of_install(by_pip, by_colcon):
    names = {line.partition('=')[0].strip() for line in by_pip['scripts']}
    ros = names - {'magadepth'}
    stubs = files_of(by_pip)['lib/magadepth_ros']
    assert {Path(stub).name for stub in stubs} == ros
    assert [Path(stub).name for stub in files_of(by_colcon)['bin']] == ['magadepth']
    # colcon writes these itself; a stub of the same name would be in its way.
    assert 'lib/magadepth_ros' not in files_of(by_colcon)
    for stub in [*stubs, *files_of(by_colcon)['bin']]:
        assert (ROOT / stub).stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize('guard', ['', '1'])
def test_a_stub_keeps_the_library_paths_of_overlays_and_drops_those_of_other_wheels(
    tmp_path, guard
):
    stubs = sorted((ROOT / 'scripts/lib').iterdir())
    assert len({stub.read_text(encoding='utf-8') for stub in stubs}) == 1
    stub, program = (
        tmp_path / f'{where}/completion_node' for where in ('lib/magadepth_ros', 'bin')
    )
    for path, text in (
        (stub, stubs[0].read_text(encoding='utf-8')),
        (
            program,
            '#!/bin/sh\necho "$_ROS_WHEELS_BOOTSTRAP_COMPLETE|${LD_LIBRARY_PATH-none}|$*"\n',
        ),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding='utf-8')
        path.chmod(0o755)
    wheels = [
        '/venv/lib/python3.12/site-packages/ros_rcl.libs',
        '/venv/lib',
        '/venv/lib/python3.12/site-packages/ros_rclpy.libs',
    ]
    overlay = [
        '/ws with space/install/tf2_msgs/lib',
        '/opt/ros/jazzy/lib',
        '/usr/local/cuda/lib64',
    ]

    def run(paths: list[str]) -> str:
        env = {'LD_LIBRARY_PATH': ':'.join(paths), '_ROS_WHEELS_BOOTSTRAP_COMPLETE': guard}
        done = subprocess.run([stub, 'a b', '*'], env=env, capture_output=True, text=True)
        return done.stdout.removesuffix('\n')

    mixed = [wheels[0], overlay[0], *wheels[1:], *overlay[1:]]
    kept = overlay if guard else mixed
    assert run(mixed) == f'|{":".join(kept)}|a b *'
    assert run(wheels) == ('|none|a b *' if guard else f'|{":".join(wheels)}|a b *')


def test_a_source_distribution_has_the_files_of_both_kinds_of_install(tmp_path, by_pip, by_colcon):
    subprocess.run(
        [sys.executable, '-W', 'ignore', 'setup.py', '-q', 'egg_info', '--egg-base', tmp_path],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    (listed,) = tmp_path.glob('*.egg-info/SOURCES.txt')
    wanted = {
        file
        for setup in (by_pip, by_colcon)
        for files in files_of(setup).values()
        for file in files
    }
    assert wanted <= set(listed.read_text(encoding='utf-8').splitlines())


def test_entry_points_have_their_functions(by_pip):
    for line in by_pip['scripts']:
        module, _, function = line.partition('=')[2].strip().partition(':')
        tree = ast.parse((ROOT / f'{module.replace(".", "/")}.py').read_text(encoding='utf-8'))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in defined, line


def test_every_ros_import_is_a_dependency(package_xml):
    imported = set()
    folders = ('magadepth_ros', 'launch', 'examples')
    for file in [file for folder in folders for file in (ROOT / folder).rglob('*.py')]:
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or '']
            imported |= {name.partition('.')[0] for name in names}
    needed = {IMPORTS.get(name, name) for name in imported & ROS}
    declared = {tag.text for tag in package_xml.findall('exec_depend')}
    assert needed <= declared, needed - declared


def test_make_demo_installs_what_reads_a_bag_for_every_bag():
    lines = (ROOT / 'Makefile').read_text(encoding='utf-8').splitlines()
    (bags,) = (line for line in lines if line.startswith('BAG :='))
    assert tuple(re.findall(r'%(\.\w+)', bags)) == BAG_SUFFIXES and 'metadata.yaml' in bags


def test_demo_needs_no_torch(by_pip):
    for extra in ('cpu', 'ros', 'openvino'):
        assert not [need for need in by_pip['extras'][extra] if 'torch' in need]


@pytest.mark.parametrize('file', ['fastdds.xml', 'cyclonedds.xml', 'magadepth.rviz'])
def test_other_configuration_can_be_read(file):
    path = ROOT / 'config' / file
    if path.suffix == '.xml':
        ElementTree.parse(path)
    else:
        yaml = pytest.importorskip('yaml', reason='reads YAML')
        assert yaml.safe_load(path.read_text(encoding='utf-8'))['Visualization Manager']


def test_a_jetson_needs_one_command_from_clone_to_engine():
    done = subprocess.run(
        ['make', '-n', 'jetson', 'jetson-run', 'PYTHON=python3'],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (file,) = set(re.findall(r'-f (\S+)', done.stdout))
    (launched,) = re.findall(r'magadepth_ros (\w+\.launch\.py)', done.stdout)
    assert (ROOT / file).is_file() and (ROOT / 'launch' / launched).is_file()
    assert 'export_trt magadepth_small' in done.stdout


def test_containers_have_what_builds_an_engine(by_pip):
    """Both install the package by colcon, which asks pip for nothing."""
    needed = {re.split('[<>=]', item)[0] for item in by_pip['extras']['rtx']} & {
        'onnx',
        'onnxruntime',
    }
    assert needed == {'onnx', 'onnxruntime'}
    for path in (ROOT / 'docker').glob('*.Dockerfile'):
        (packages,) = re.findall(r'pip3? install --no-cache-dir((?:.*\\\n)+.*)', path.read_text())
        assert needed <= set(re.findall(r'[\w-]+', packages)), path


@pytest.mark.parametrize('extra', ['cpu', 'onnxruntime'])
def test_a_runtime_by_pip_alone_has_opencv_too(by_pip, extra):
    assert any(item.startswith('opencv') for item in by_pip['extras'][extra])
