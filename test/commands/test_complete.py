# SPDX-License-Identifier: Apache-2.0
"""``magadepth complete`` on folders, pairs and bags: what is written, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.models import write_tiny_model

from magadepth_ros.commands.main import main
from magadepth_ros.simulation import simulated_frames, simulated_intrinsics

WIDTH, HEIGHT = 128, 96
FRAMES = simulated_frames(WIDTH, HEIGHT, 4)


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp('model') / 'tiny.onnx'))


def save(folder: Path, name: str, rgb: np.ndarray, depth: np.ndarray) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f'{name}.rgb.png'), rgb[:, :, ::-1])
    cv2.imwrite(str(folder / f'{name}.depth.png'), np.rint(depth * 1000).astype(np.uint16))
    return {'rgb': f'{name}.rgb.png', 'depth': f'{name}.depth.png'}


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / 'frames'
    entries = [save(path, f'{i:04}', *frame) for i, frame in enumerate(FRAMES)]
    manifest = {'name': 'test', 'depth_scale': 0.001, 'frames': entries}
    (path / 'manifest.json').write_text(json.dumps(manifest))
    return path


def test_folder_gives_one_complete_16_bit_picture_per_frame(folder, tmp_path, model):
    out = tmp_path / 'out'
    assert main(['complete', str(folder), str(out), '--model', model]) == 0
    assert sorted(p.name for p in out.iterdir()) == [f'{i:04}.png' for i in range(len(FRAMES))]
    for index, (_, depth) in enumerate(FRAMES):
        written = cv2.imread(str(out / f'{index:04}.png'), cv2.IMREAD_UNCHANGED)
        assert written.dtype == np.uint16 and written.shape == depth.shape
        assert (written > 0).all()
        measured = depth > 0
        assert np.array_equal(written[measured], np.rint(depth * 1000).astype(int)[measured])


def test_single_pair_and_options_between_the_paths(folder, tmp_path, model):
    rgb, depth, out = folder / '0000.rgb.png', folder / '0000.depth.png', tmp_path / 'one.png'
    call = ['complete', '--rgb', str(rgb), str(out), '--depth', str(depth), '--model', model]
    assert main(call) == 0
    written = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert written.shape == (HEIGHT, WIDTH) and (written > 0).all()
    assert main(['complete', str(folder), '--model', model, str(tmp_path / 'between')]) == 0


def steady(path: Path) -> Path:
    """A folder of one picture, whose depth changes from frame to frame around one hole."""
    rgb, depth = FRAMES[0]
    known = np.where(depth > 0, depth, np.median(depth[depth > 0]))
    known[30:60, 40:80] = 0
    entries = [save(path, f'{i}', rgb, known * share) for i, share in enumerate((1, 1.01, 0.99))]
    (path / 'manifest.json').write_text(json.dumps({'depth_scale': 0.001, 'frames': entries}))
    return path


def test_fills_of_frames_that_follow_each_other_are_steady_within_a_recording(tmp_path, model):
    folders = [steady(tmp_path / name) for name in 'ab']
    for out, more in (('plain', []), ('smooth', ['--set', 'temporal_smoothing=0.8'])):
        given = [*map(str, folders), str(tmp_path / out), '--model', model, *more]
        assert main(['complete', *given]) == 0

    def fills(name: str) -> list[float]:
        files = [tmp_path / name / f'{i}.png' for i in range(3)]
        return [cv2.imread(str(f), cv2.IMREAD_UNCHANGED)[30:60, 40:80].mean() for f in files]

    plain, smooth = fills('plain/a'), fills('smooth/a')
    assert smooth[0] == plain[0] and np.ptp(smooth) < 0.7 * np.ptp(plain)
    # Nothing of the first recording is in the second.
    assert fills('smooth/b') == smooth


@pytest.mark.parametrize(
    ('settings', 'fault'),
    [
        (['--set', 'temporal_smoothing=0.8'], 'has no effect here: a pair'),
        (['--set', 'max_depth=2', '--max-depth', '3'], 'max_depth is given twice'),
        (['--set', 'temporal_smoothing=2'], 'temporal_smoothing is 2, expected 0 to 0.95'),
        (['--set', 'smoothing=1'], 'the names are min_depth'),
    ],
)
def test_settings_without_an_effect_are_refused(settings, fault, folder, tmp_path, model, capsys):
    rgb, depth, out = folder / '0000.rgb.png', folder / '0000.depth.png', tmp_path / 'one.png'
    call = ['complete', '--rgb', str(rgb), '--depth', str(depth), str(out), '--model', model]
    assert main([*call, *settings]) == 2
    assert fault in capsys.readouterr().err and not out.exists()


def test_max_depth_keeps_far_pixels_out(folder, tmp_path, model):
    out = tmp_path / 'near'
    assert main(['complete', str(folder), str(out), '--model', model, '--max-depth', '1.5']) == 0
    assert cv2.imread(str(out / '0000.png'), cv2.IMREAD_UNCHANGED).max() <= 1500


@pytest.mark.parametrize(
    ('arguments', 'word'),
    [
        (['{missing}', '{out}'], 'no such file'),
        (['{folder}'], 'OUTPUT is missing'),
        (['{folder}', '{out}', '--model', 'no_such_model'], 'no_such_model'),
        (['{folder}', '{out}', '--confidence-threshold', '3'], 'confidence-threshold'),
        (['{folder}', '{out}', '--min-depth', '4', '--max-depth', '2'], 'max_depth'),
        (['--rgb', '{folder}/0000.rgb.png', '{out}.png'], 'give both'),
        (
            ['--rgb', '{folder}/0000.rgb.png', '--depth', '{folder}/0000.rgb.png', '{out}.png'],
            '16',
        ),
        (['--rgb', '{folder}/a.png', '--depth', '{folder}/0000.depth.png', '{out}.png'], 'a.png'),
        (['--rgb', '{folder}/0000.rgb.png', '--depth', '{folder}/0000.depth.png', 'x.jpg'], 'png'),
        (['{missing}.bag', '{out}'], 'no such file'),
        (['{missing}.mcap', '{out}'], 'no such file'),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, word, folder, tmp_path, model, capsys):
    names = {'missing': tmp_path / 'missing', 'folder': folder, 'out': tmp_path / 'out'}
    arguments = [a.format(**names) for a in arguments]
    if '--model' not in arguments:
        arguments += ['--model', model]
    assert main(['complete', *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and word in error[0]
    assert not (tmp_path / 'out').exists() and not (tmp_path / 'out.png').exists()


def test_inputs_are_never_written_over(folder, tmp_path, model, capsys):
    inside = tmp_path / 'inside'
    inside.mkdir()
    for name in ('rgb', 'depth'):
        (inside / name).mkdir()
        picture = (folder / f'0000.{name}.png').read_bytes()
        (inside / name / '0001.png').write_bytes(picture)
    frames = [{'rgb': 'rgb/0001.png', 'depth': 'depth/0001.png'}]
    text = json.dumps({'depth_scale': 0.001, 'frames': frames})
    (inside / 'manifest.json').write_text(text, encoding='utf-8')
    rgb, depth = inside / 'rgb' / '0001.png', inside / 'depth' / '0001.png'
    before = rgb.read_bytes(), depth.read_bytes()

    for arguments in (
        [str(inside), str(inside)],
        ['--rgb', str(rgb), '--depth', str(depth), str(depth)],
    ):
        assert main(['complete', *arguments, '--model', model]) == 2
        assert 'is an input' in capsys.readouterr().err

    assert (rgb.read_bytes(), depth.read_bytes()) == before


# --- bags ---

rosbag2 = pytest.importorskip('rosbags.rosbag2')
typesys = pytest.importorskip('rosbags.typesys')
RGB_TOPIC = '/camera/camera/color/image_raw'
DEPTH_TOPIC = '/camera/camera/aligned_depth_to_color/image_raw'


def write_bag(path: Path, plugin: str, compressed: bool = False, broken: int = -1) -> None:
    """Write a bag as a RealSense camera would fill it, with topics completion does not know."""
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    types = store.types
    storage = rosbag2.StoragePlugin[plugin]

    def image(header, pixels, encoding):
        if not compressed:
            return 'sensor_msgs/msg/Image', types['sensor_msgs/msg/Image'](
                header, *pixels.shape[:2], encoding, 0, pixels.strides[0],
                pixels.reshape(-1).view(np.uint8),
            )  # fmt: skip
        if encoding == 'rgb8':
            data = cv2.imencode('.jpg', pixels[:, :, ::-1])[1].reshape(-1)
            form = 'rgb8; jpeg compressed bgr8'
        else:
            png = cv2.imencode('.png', pixels)[1].tobytes()
            data = np.frombuffer(struct.pack('<iff', 0, 0, 0) + png, np.uint8)
            form = '16UC1; compressedDepth png'
        kind = 'sensor_msgs/msg/CompressedImage'
        return kind, types[kind](header, form, data)

    with rosbag2.Writer(path, version=8, storage_plugin=storage) as writer:
        connections = {}

        def write(topic, kind, message, when):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], when, store.serialize_cdr(message, kind))

        fx, fy, cx, cy = simulated_intrinsics(WIDTH, HEIGHT)
        for index, (rgb, depth) in enumerate(FRAMES):
            stamp = 1_700_000_000_000_000_000 + index * 33_333_333
            header = types['std_msgs/msg/Header'](
                types['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9),
                'camera_color_optical_frame',
            )
            kind, message = image(header, rgb, 'rgb8')
            write(RGB_TOPIC + ('/compressed' if compressed else ''), kind, message, stamp + 10)
            kind, message = image(header, np.rint(depth * 1000).astype(np.uint16), '16UC1')
            if index == broken:
                message.data = message.data[: len(message.data) // 2]
            suffix = '/compressedDepth' if compressed else ''
            write(DEPTH_TOPIC + suffix, kind, message, stamp + 20)
            info = types['sensor_msgs/msg/CameraInfo'](
                header, HEIGHT, WIDTH, 'plumb_bob', np.zeros(5),
                np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1]), np.eye(3).ravel(),
                np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0]), 0, 0,
                types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False),
            )  # fmt: skip
            write(
                '/camera/camera/color/camera_info', 'sensor_msgs/msg/CameraInfo', info, stamp + 30
            )
            text = types['std_msgs/msg/String'](f'note {index}')
            write('/notes', 'std_msgs/msg/String', text, stamp + 40)


def read_bag(path: Path) -> dict[str, list]:
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    found: dict[str, list] = {}
    with rosbag2.Reader(path) as reader:
        for connection, logged, data in reader.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((logged, message))
    return found


@pytest.mark.parametrize('plugin', ['MCAP', 'SQLITE3'])
@pytest.mark.parametrize('compressed', [False, True])
def test_bag_is_copied_and_completed(plugin, compressed, tmp_path, model):
    source, target = tmp_path / 'in', tmp_path / 'out'
    write_bag(source, plugin, compressed)
    call = ['complete', str(source), str(target), '--model', model, '--points', '--batch', '3']
    assert main(call) == 0
    before, after = read_bag(source), read_bag(target)
    for topic, messages in before.items():
        assert [logged for logged, _ in after[topic]] == [logged for logged, _ in messages]
    added = {'/depth/completed', '/depth/confidence', '/depth/camera_info', '/depth/points'}
    assert set(after) - set(before) == added
    rgb_topic = RGB_TOPIC + ('/compressed' if compressed else '')
    for topic in added:
        assert len(after[topic]) == len(FRAMES)
        for (_, message), (_, rgb) in zip(after[topic], before[rgb_topic], strict=True):
            assert message.header == rgb.header
    for (_, message), (_, depth) in zip(after['/depth/completed'], FRAMES, strict=True):
        assert message.encoding == '32FC1' and message.step == 4 * WIDTH
        completed = message.data.view(np.float32).reshape(HEIGHT, WIDTH)
        assert np.isfinite(completed).all()
        assert completed[depth > 0] == pytest.approx(depth[depth > 0], abs=1e-6)
    _, cloud = after['/depth/points'][0]
    points = cloud.data.view(np.float32).reshape(cloud.height, cloud.width, 4)
    _, first = after['/depth/completed'][0]
    assert np.array_equal(points[..., 2].ravel(), first.data.view(np.float32))
    fx, _, cx, _ = simulated_intrinsics(WIDTH, HEIGHT)
    assert points[7, 9, 0] == pytest.approx((9 - cx) / fx * points[7, 9, 2], rel=1e-5)


def test_single_file_target_16_bit_and_a_broken_frame(tmp_path, model, capsys):
    source, target = tmp_path / 'in', tmp_path / 'out.mcap'
    write_bag(source, 'SQLITE3', broken=1)
    call = ['complete', str(source), str(target), '--model', model, '--output-encoding', '16UC1']
    assert main(call) == 0
    assert '1 broken' in capsys.readouterr().out
    after = read_bag(target)
    assert len(after['/depth/completed']) == len(FRAMES) - 1
    assert after['/depth/completed'][0][1].encoding == '16UC1'
    assert len(after['/notes']) == len(FRAMES)


def test_bag_that_fails_half_way_leaves_nothing(tmp_path, model, monkeypatch):
    from magadepth_ros.completion import Completer

    source, target = tmp_path / 'in', tmp_path / 'out'
    write_bag(source, 'MCAP')
    real, calls = Completer.complete_batch, []

    def interrupted(self, pairs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, pairs)

    monkeypatch.setattr(Completer, 'complete_batch', interrupted)
    try:
        code = main(['complete', str(source), str(target), '--model', model])
    except KeyboardInterrupt:
        code = 130
    assert code == 130 and len(calls) == 3
    assert [p.name for p in tmp_path.iterdir()] == ['in']


def test_damaged_bag_is_one_line_and_leaves_nothing(tmp_path, model, capsys):
    source, target = tmp_path / 'in', tmp_path / 'out'
    write_bag(source, 'SQLITE3')
    data = next(source.glob('*.db3'))
    content = bytearray(data.read_bytes())
    content[len(content) // 3 : len(content) // 2] = b'?' * (len(content) // 2 - len(content) // 3)
    data.write_bytes(content)
    assert main(['complete', str(source), str(target), '--model', model]) == 2
    assert str(source) in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['in']


def test_bag_refusals_name_the_remedy(tmp_path, model, capsys):
    source, target = tmp_path / 'in', tmp_path / 'out'
    write_bag(source, 'MCAP')
    call = ['complete', str(source), str(target), '--model', model]
    assert main([*call, '--depth-topic', '/nope']) == 2
    assert DEPTH_TOPIC in capsys.readouterr().err
    target.mkdir()
    assert main(call) == 2
    assert 'exists already' in capsys.readouterr().err
    data = next(source.glob('*.mcap'))
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    assert main(['complete', str(source), str(tmp_path / 'new'), '--model', model]) == 2
    assert not (tmp_path / 'new').exists()
