# SPDX-License-Identifier: Apache-2.0
"""Launch files: arguments, topics of each camera, drivers; by the real launch where it is."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from magadepth_ros.errors import DataError
from magadepth_ros.launching import page
from magadepth_ros.launching.arguments import EVERYWHERE
from magadepth_ros.launching.cameras import CAMERAS, SEVERAL
from magadepth_ros.launching.setups import Driver

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
NAMES = {path.name.partition('.')[0] for path in FILES}
DRIVEN = sorted(name for name, row in CAMERAS.items() if isinstance(row.source, Driver))

# Remapped inputs with default arguments: RGB, its camera_info, aligned depth.
TOPICS = {
    'realsense': (
        '/camera/camera/color/image_raw',
        '/camera/camera/color/camera_info',
        '/camera/camera/aligned_depth_to_color/image_raw',
    ),
    'azure_kinect': ('/rgb/image_raw', '/rgb/camera_info', '/depth_to_rgb/image_raw'),
    'orbbec_femto': (
        '/camera/color/image_raw',
        '/camera/color/camera_info',
        '/camera/depth/image_raw',
    ),
    'orbbec_gemini': (
        '/camera/color/image_raw',
        '/camera/color/camera_info',
        '/camera/depth/image_raw',
    ),
    'oak': ('/oak/rgb/image_raw', '/oak/rgb/camera_info', '/oak/stereo/image_raw'),
    'kinect2': (
        '/kinect2/qhd/image_color_rect',
        '/kinect2/qhd/camera_info',
        '/kinect2/qhd/image_depth_rect',
    ),
    'zed': (
        '/zed/zed_node/rgb/color/rect/image',
        '/zed/zed_node/rgb/color/rect/camera_info',
        '/zed/zed_node/depth/depth_registered',
    ),
}
ALIGNED = {
    'realsense': {'align_depth.enable': 'true', 'enable_sync': 'true'},
    'orbbec_femto': {'depth_registration': 'true'},
    'orbbec_gemini': {'depth_registration': 'true'},
}

# Writes the arguments that it was given to a file; stands for a driver's own launch file.
FAKE_DRIVER = """
import json, pathlib
from launch import LaunchDescription
from launch.actions import OpaqueFunction

def note(context):
    path = pathlib.Path(__file__).with_suffix('.json')
    path.write_text(json.dumps(dict(context.launch_configurations)))

def generate_launch_description():
    return LaunchDescription([OpaqueFunction(function=note)])
"""


@pytest.fixture
def ros(monkeypatch, tmp_path):
    """Let the real launch find this package and nothing else of ours; returns a new prefix."""
    # Not `launch`: the folder launch/ of a source tree would pass for it.
    pytest.importorskip('launch.actions', reason='the launch package is not installed')
    pytest.importorskip('launch_ros.actions', reason='the launch_ros package is not installed')
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    install(tmp_path, 'magadepth_ros')
    return tmp_path


def install(prefix: Path, package: str) -> Path:
    """Put a package into an ament prefix; return its launch folder."""
    index = prefix / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True, exist_ok=True)
    (index / package).touch()
    folder = prefix / 'share' / package / 'launch'
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load(name: str):
    from launch.launch_description_sources import (
        get_launch_description_from_python_launch_file as read,
    )

    return read(str(next(ROOT.glob(f'*/{name}.launch.py'))))


def perform(name: str, **arguments: str):
    """Run the launch file's own actions, without starting processes; return context, nodes."""
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
    from launch_ros.actions import Node

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    made = []
    for entity in load(name).entities:
        if isinstance(entity, (DeclareLaunchArgument, SetEnvironmentVariable)):
            entity.visit(context)
        elif isinstance(entity, OpaqueFunction):
            made += entity.visit(context) or []
    nodes = {n.node_executable: n for n in made if isinstance(n, Node)}
    others = [entity for entity in made if not isinstance(entity, Node)]
    return context, nodes, others


def include(context, entities) -> None:
    """Visit entities and what comes of them, as the launch service would."""
    for entity in entities:
        include(context, entity.visit(context) or [])


def remappings_of(node, context) -> dict[str, str]:
    node._perform_substitutions(context)
    return dict(node.expanded_remapping_rules)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_file_compiles_and_its_header_tells_how_to_use_it(path):
    tree = ast.parse(path.read_text(encoding='utf-8'))
    assert f'ros2 launch magadepth_ros {path.name}' in ast.get_docstring(tree)
    assert any(
        isinstance(node, ast.FunctionDef) and node.name == 'generate_launch_description'
        for node in tree.body
    )


def test_every_row_has_a_file_and_the_other_way_round():
    assert set(CAMERAS) | {'multi_realsense'} == NAMES


def test_the_page_is_made_of_the_table():
    path = ROOT / 'docs' / 'launch_files.md'
    if not path.is_file():
        pytest.skip('installed without its documentation')
    text = path.read_text(encoding='utf-8')
    assert text == page.to_markdown(), 'python -m magadepth_ros.launching.page'


@pytest.mark.parametrize('name', sorted(NAMES))
def test_the_arguments_of_the_table_are_declared(ros, name):
    own = SEVERAL if name == 'multi_realsense' else CAMERAS[name].arguments
    wanted = {item.name: item for item in [*EVERYWHERE, *own]}
    declared = {item.name: item for item in load(name).get_launch_arguments()}
    assert declared.keys() == wanted.keys()
    for argument in declared.values():
        assert len(argument.description) >= 8
        has_default = argument.default_value is not None
        assert has_default == (wanted[argument.name].default is not None)


@pytest.mark.parametrize('name', sorted(TOPICS))
def test_inputs_are_remapped_to_the_topics_of_the_camera(ros, name):
    context, nodes, others = perform(name, start_camera='false')
    remapped = remappings_of(nodes['completion_node'], context)
    beside = TOPICS[name][2].rpartition('/')[0] + '/camera_info'
    assert remapped.pop('depth/image/camera_info') == beside
    remapped.pop('depth/camera_info', None)
    assert remapped == dict(zip(('rgb/image', 'rgb/camera_info', 'depth/image'), TOPICS[name]))
    assert others == []


@pytest.mark.parametrize('given', ['', '/mine/k'])
def test_any_camera_is_completed_from_its_topics(ros, given):
    context, nodes, _ = perform(
        'camera', rgb='/c/rgb/image', depth='/d/depth', camera_info=given, use_rviz='true'
    )
    remapped = remappings_of(nodes['completion_node'], context)
    assert remapped == {
        'rgb/image': '/c/rgb/image',
        'rgb/camera_info': given or '/c/rgb/camera_info',
        'depth/image': '/d/depth',
        'depth/image/camera_info': '/d/camera_info',
    }


def test_realsense_without_a_namespace_has_the_topics_of_older_drivers(ros):
    context, nodes, _ = perform(
        'realsense', start_camera='false', camera_namespace='', camera_name='cam'
    )
    remapped = remappings_of(nodes['completion_node'], context)
    assert remapped['rgb/image'] == '/cam/color/image_raw'


@pytest.mark.parametrize('name', DRIVEN)
def test_installed_driver_is_started_with_aligned_depth(ros, name):
    source = CAMERAS[name].source
    defaults = {item.name: item.default for item in CAMERAS[name].arguments}
    package, file = (text.format(**defaults) for text in (source.package, source.launch_file))
    if not file.endswith('.py'):
        pytest.skip('its launch file is no Python, which is what stands in for it here')
    driver = install(ros, package) / file
    driver.write_text(FAKE_DRIVER)
    context, _, others = perform(name)
    include(context, others)
    given = json.loads(driver.with_suffix('.json').read_text())
    assert given.items() >= ALIGNED.get(name, {}).items()
    # Arguments of the same name belong to the driver; ours must not reach it.
    assert 'params_file' not in given and 'log_level' not in given


def test_missing_driver_is_named_with_the_way_to_install_it(ros, monkeypatch):
    from magadepth_ros.launching import sources

    said = []
    monkeypatch.setattr(sources, 'warn', said.append)
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    _, nodes, others = perform('realsense')
    assert 'completion_node' in nodes and others == []
    assert 'sudo apt install ros-jazzy-realsense2-camera' in said[0]


def test_missing_rviz_is_named_with_the_way_to_install_it(ros, monkeypatch):
    from magadepth_ros.launching import sources

    said = []
    monkeypatch.setattr(sources, 'warn', said.append)
    _, nodes, _ = perform('realsense', start_camera='false', use_rviz='true')
    assert set(nodes) == {'completion_node'}
    assert 'rviz2' in said[0]


@pytest.mark.parametrize(
    ('file', 'arguments', 'says'),
    [
        ('demo', {'rate': 'abc'}, 'rate:=abc: expected a number from 0.1 to 240'),
        ('demo', {'rate': '-3'}, 'rate:=-3'),
        ('demo', {'rate': 'nan'}, 'rate:=nan'),
        ('demo', {'width': '5'}, 'width:=5: expected a whole number from 16 to 4096'),
        ('demo', {'width': '64.5'}, 'width:=64.5'),
        ('demo', {'use_rviz': 'yes'}, 'use_rviz:=yes: expected one of true, false'),
        ('replay', {'rate': '0'}, 'rate:=0'),
        ('realsense', {'preset': 'sleep'}, 'preset:=sleep: expected one of manipulation'),
        ('realsense', {'backend': 'abacus'}, 'backend:=abacus'),
        ('realsense', {'max_depth': 'far'}, 'max_depth:=far'),
        ('realsense', {'confidence_threshold': '2'}, 'confidence_threshold:=2'),
        ('realsense', {'cloud_stride': '17'}, 'cloud_stride:=17'),
        ('realsense', {'params_file': '/nowhere.yaml'}, 'params_file:=/nowhere.yaml: no such'),
        ('realsense', {'params_file': '{broken}'}, 'broken.yaml: not YAML: '),
        ('realsense', {'params_file': '{list}'}, 'list.yaml: expected a node name'),
        (
            'realsense',
            {'transport': 'raw', 'image_transport': 'compressed'},
            'transport:=raw and image_transport:=compressed',
        ),
        ('multi_realsense', {'cameras': 'left,right', 'serials': '1'}, 'serials: expected'),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_argument(ros, tmp_path, file, arguments, says):
    texts = {'broken': 'a: [1', 'list': '[1, 2]'}
    for name, text in texts.items():
        (tmp_path / f'{name}.yaml').write_text(text)
    paths = {name: tmp_path / f'{name}.yaml' for name in texts}
    arguments = {name: value.format(**paths) for name, value in arguments.items()}
    with pytest.raises(DataError) as error:
        perform(file, **arguments)
    assert says in str(error.value) and '\n' not in str(error.value)


def test_rviz_sees_the_topics_of_the_camera_and_of_the_namespace(ros):
    install(ros, 'rviz2')
    context, nodes, _ = perform(
        'azure_kinect', start_camera='false', use_rviz='true', namespace='arm'
    )
    remapped = remappings_of(nodes['rviz2'], context)
    assert remapped['/camera/camera/color/image_raw'] == '/rgb/image_raw'
    depth_info = remapped['/camera/camera/aligned_depth_to_color/camera_info']
    assert depth_info == '/depth_to_rgb/camera_info'
    assert remapped['/depth/points'] == '/arm/depth/points'


def test_camera_info_does_not_go_where_the_driver_has_its_own(ros):
    context, nodes, _ = perform('azure_kinect', start_camera='false')
    remapped = remappings_of(nodes['completion_node'], context)
    assert remapped['depth/camera_info'] == 'depth/completed/camera_info'
    context, nodes, _ = perform('realsense', start_camera='false')
    assert 'depth/camera_info' not in remappings_of(nodes['completion_node'], context)


@pytest.mark.parametrize(
    ('camera', 'info'),
    [('realsense', '/depth/camera_info'), ('azure_kinect', '/depth/completed/camera_info')],
)
def test_examples_take_the_camera_info_of_completed_depth_not_of_the_driver(ros, camera, info):
    install(ros, 'nvblox_ros')
    context, nodes, _ = perform('nvblox', camera=camera, start_camera='false')
    assert remappings_of(nodes['nvblox_node'], context)['camera_0/depth/camera_info'] == info


def test_several_cameras_are_remapped_each_and_checked(ros):
    install(ros, 'rviz2')
    context, nodes, _ = perform(
        'multi_realsense',
        start_camera='false',
        cameras='left,right',
        serials='1,2',
        use_rviz='true',
    )
    shown = remappings_of(nodes['rviz2'], context)
    assert shown['/depth/points'] == '/left/depth/points'
    remapped = remappings_of(nodes['completion_node'], context)
    assert remapped['right/depth/image'] == '/right/right/aligned_depth_to_color/image_raw'
    assert len(remapped) == 8


def test_dds_profile_is_set_unless_the_user_has_one(ros, monkeypatch):
    import os

    names = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    for name in names:
        # Restores what the launch file sets.
        monkeypatch.setenv(name, '')
    perform('realsense', start_camera='false')
    assert {Path(os.environ[name]).name for name in names} == {'fastdds.xml'}
    monkeypatch.setenv(names[0], '/mine.xml')
    monkeypatch.setenv(names[1], '')
    perform('realsense', start_camera='false')
    assert os.environ[names[0]] == '/mine.xml' and os.environ[names[1]] == ''
