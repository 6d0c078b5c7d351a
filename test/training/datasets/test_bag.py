# SPDX-License-Identifier: Apache-2.0
"""Recordings as a data set: real bags that the test writes, paired by stamp."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from magadepth_ros.errors import DataError, TopicError
from magadepth_ros.recordings.bags import find_topics, open_bag
from magadepth_training.datasets.bag import BagSource
from magadepth_training.datasets.opening import open_source

STORE = get_typestore(Stores.ROS2_HUMBLE)
Image, Compressed, Info = (
    STORE.types[f'sensor_msgs/msg/{name}'] for name in ('Image', 'CompressedImage', 'CameraInfo')
)
HEIGHT, WIDTH = 12, 16
RGB, DEPTH = '/camera/color/image_raw', '/camera/aligned_depth_to_color/image_raw'


def header(ns: int) -> object:
    time = STORE.types['builtin_interfaces/msg/Time'](sec=ns // 10**9, nanosec=ns % 10**9)
    return STORE.types['std_msgs/msg/Header'](stamp=time, frame_id='optical')


def rgb(i: int) -> np.ndarray:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0] = 200
    image[..., 1] = i
    return image


def depth(i: int, height: int = HEIGHT) -> np.ndarray:
    image = np.full((height, WIDTH), 1000 + i, np.uint16)
    image[0] = 0
    image[1] = 65535
    return image


def image(ns: int, pixels: np.ndarray, encoding: str) -> object:
    return Image(
        header=header(ns),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=np.frombuffer(pixels.tobytes(), np.uint8),
    )


def png(ns: int, pixels: np.ndarray, name: str, head: bytes = b'') -> object:
    data = head + cv2.imencode('.png', pixels)[1].tobytes()
    return Compressed(header=header(ns), format=name, data=np.frombuffer(data, np.uint8))


def info(ns: int) -> object:
    k = np.array([610.0, 0, 8.5, 0, 611, 6.5, 0, 0, 1])
    roi = STORE.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    p = np.zeros(12)
    return Info(
        header(ns), HEIGHT, WIDTH, 'plumb_bob', np.zeros(5), k, np.eye(3).ravel(), p, 0, 0, roi
    )


def record(path: Path, topics: dict[str, list[tuple[int, object]]], mcap: bool = False) -> Path:
    plugin = StoragePlugin.MCAP if mcap else StoragePlugin.SQLITE3
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        for topic, messages in topics.items():
            kind = messages[0][1].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for ns, message in messages:
                # Logged later than stamped, as by a real recorder.
                writer.write(connection, ns + 5_000_000, STORE.serialize_cdr(message, kind))
    return path


def raw_topics(height: int = HEIGHT) -> dict[str, list[tuple[int, object]]]:
    ms = 1_000_000
    start = 1_700_000_000 * 10**9
    stamps = [start + i * 33 * ms for i in range(4)]
    return {
        RGB: [(ns, image(ns, rgb(i), 'rgb8')) for i, ns in enumerate(stamps)],
        '/camera/color/camera_info': [(stamps[0], info(stamps[0]))],
        DEPTH: [
            (ns + 2 * ms, image(ns + 2 * ms, depth(i, height), '16UC1'))
            for i, ns in enumerate(stamps)
            if i != 1
        ],
        '/camera/depth/image_rect_raw': [(stamps[0], image(stamps[0], depth(9, 6), '16UC1'))],
    }


@pytest.mark.parametrize('mcap', [False, True])
def test_pairs_by_stamp_from_registered_depth(tmp_path: Path, mcap: bool) -> None:
    path = record(tmp_path / 'walk', raw_topics(), mcap)
    source = open_source(next(path.glob('*.mcap')) if mcap else path)
    assert isinstance(source, BagSource) and source[0].target is None
    assert (source.topics.rgb, source.topics.depth) == (RGB, DEPTH)
    assert len(source) == 3
    sample = source[1]
    assert tuple(sample.rgb[0, 0]) == (200, 2, 0)
    assert (sample.depth[:2] == 0).all()
    np.testing.assert_allclose(sample.depth[2:], 1.002, atol=1e-6)


def test_a_lone_file_has_its_own_name(tmp_path: Path) -> None:
    recorded = next(record(tmp_path / 'walk', raw_topics()).glob('*.db3'))
    alone = tmp_path / 'kitchen.db3'
    alone.write_bytes(recorded.read_bytes())

    assert (BagSource(recorded).name, BagSource(alone).name) == ('walk', 'kitchen')


def test_ros_1(tmp_path: Path) -> None:
    path = tmp_path / 'walk.bag'
    with Ros1Writer(path) as writer:
        for topic, recorded in raw_topics().items():
            kind = recorded[0][1].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for ns, message in recorded:
                raw = STORE.cdr_to_ros1(STORE.serialize_cdr(message, kind), kind)
                writer.write(connection, ns + 5_000_000, raw)

    source = open_source(path)

    assert isinstance(source, BagSource) and (len(source), source.name) == (3, 'walk')
    sample = source[2]
    assert tuple(sample.rgb[0, 0]) == (200, 3, 0)
    np.testing.assert_allclose(sample.depth[2:], 1.003, atol=1e-6)
    copying = [sys.executable, '-m', 'magadepth_ros.commands.main', 'complete', str(path), 'new']
    done = subprocess.run(copying, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and 'convert it first' in done.stderr
    assert not (tmp_path / 'new').exists()


def test_compressed_topics(tmp_path: Path) -> None:
    ns = 10**9
    topics = {
        '/c/image_raw/compressed': [(ns, png(ns, rgb(5)[..., ::-1], 'rgb8; png compressed bgr8'))],
        '/d/depth/compressedDepth': [
            (ns, png(ns, depth(7), '16UC1; compressedDepth png', bytes(12)))
        ],
    }
    sample = BagSource(record(tmp_path / 'small', topics))[0]
    assert tuple(sample.rgb[3, 3]) == (200, 5, 0)
    np.testing.assert_allclose(sample.depth[2:], 1.007, atol=1e-6)


def test_topics_that_are_missing_or_ambiguous_are_listed(tmp_path: Path) -> None:
    topics = raw_topics()
    path = record(tmp_path / 'a', {k: v for k, v in topics.items() if 'depth' not in k})
    with pytest.raises(TopicError, match=rf'depth topic: expected one, found none of: {RGB}; rec'):
        BagSource(path)
    topics['/second/color/image'] = topics[RGB]
    path = record(tmp_path / 'b', topics)
    with pytest.raises(TopicError, match='rgb topic: expected one, found 2 of'):
        BagSource(path)
    with open_bag(path) as reader:
        assert find_topics(reader, '/second/color/image').depth == DEPTH
        with pytest.raises(DataError, match='no images on /absent; image topics are: /camera'):
            find_topics(reader, RGB, '/absent')


def test_unregistered_depth_distant_stamps_and_cut_files(tmp_path: Path) -> None:
    source = BagSource(record(tmp_path / 'a', raw_topics(6)))
    with pytest.raises(DataError, match=r'frame 0: .*use its aligned topic'):
        source[0]
    topics = raw_topics()
    late = [(ns, image(ns, depth(0), '16UC1')) for ns in (5, 6)]
    path = record(tmp_path / 'b', {RGB: topics[RGB], DEPTH: late})
    with pytest.raises(DataError, match='no stamps that match'):
        BagSource(path)
    path = next(record(tmp_path / 'c', raw_topics(), mcap=True).glob('*.mcap'))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r'cannot be read as a bag.*reindex'):
        BagSource(path)
    folder = record(tmp_path / 'd', raw_topics())
    (folder / 'metadata.yaml').write_text('rosbag2_bagfile_information: [')
    with pytest.raises(DataError, match='cannot be read as a bag'):
        BagSource(folder)
