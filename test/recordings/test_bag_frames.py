# SPDX-License-Identifier: Apache-2.0
"""Frames of a bag: paired, decoded, and registered where the depth has a frame of its own."""

from __future__ import annotations

import contextlib
import sqlite3

import cv2
import numpy as np
import pytest
from support.models import write_tiny_model
from support.views import transform, two_views

pytest.importorskip('rosbags', reason='reads bags')

from support.bags import START, camera_info, fixed, image, read_bag, write_bag

from magadepth_ros.commands.main import main
from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.register import Registrar
from magadepth_ros.errors import DataError, TopicError
from magadepth_ros.recordings.bag_frames import bag_frames, completed_frames

RGB, INFO = '/camera/color/image_raw', '/camera/color/camera_info'
DEPTH, DEPTH_INFO = '/camera/depth/image_raw', '/camera/depth/camera_info'
EXTRINSICS = transform(2.0, (0.05, -0.01, 0.004))
COLOUR_FRAME, DEPTH_FRAME = 'camera_color_optical_frame', 'camera_depth_optical_frame'


def quaternion(rotation: np.ndarray) -> list[float]:
    vector = cv2.Rodrigues(rotation)[0].ravel()
    angle = float(np.linalg.norm(vector))
    return [*(np.sin(angle / 2) * vector / angle), np.cos(angle / 2)]


def recording(
    tmp_path, tf: bool = True, model: str = '', count: int = 3, gap: int = 0, **storage: str
):
    """
    Write a bag of a camera whose depth is not aligned; give it and what registering gives.

    ``gap`` [ns] is how much later than the RGB's the depth's stamps are.
    """
    depth_camera, colour_camera, depth, _ = two_views((160, 90), EXTRINSICS)
    picture = np.random.default_rng(0).integers(20, 255, (90, 160, 3)).astype(np.uint8)
    written = CameraModel(160, 90, 136.0, 136.0, 79.5, 44.5)
    shift, turn = EXTRINSICS[:3, 3], quaternion(EXTRINSICS[:3, :3])
    messages = [('/tf_static', fixed(COLOUR_FRAME, DEPTH_FRAME, shift, turn))] if tf else []
    for index in range(count):
        stamp = START + index * 33_000_000
        info = camera_info(stamp, DEPTH_FRAME, depth_camera)
        if model:
            info.distortion_model = model
        messages += [
            (RGB, image(stamp, COLOUR_FRAME, picture, 'rgb8')),
            (DEPTH, image(stamp + gap, DEPTH_FRAME, depth, '32FC1')),
            (INFO, camera_info(stamp, COLOUR_FRAME, written)),
            (DEPTH_INFO, info),
        ]
    expected = Registrar(depth_camera, colour_camera, EXTRINSICS).register(depth)
    return write_bag(tmp_path / 'in', messages, **storage), expected


def test_depth_in_its_own_frame_comes_out_registered(tmp_path):
    bag, expected = recording(tmp_path)
    frames = list(bag_frames(bag))
    assert len(frames) == 3
    for index, frame in enumerate(frames):
        assert frame.header.frame_id == COLOUR_FRAME
        assert frame.header.stamp.nanosec == index * 33_000_000
        assert frame.rgb.shape == (90, 160, 3)
        assert np.mean(frame.depth != expected) < 0.001


def test_stamps_may_differ_and_a_frame_is_there_when_both_its_images_are(tmp_path):
    bag, _ = recording(tmp_path, gap=5_000_000)
    frames = list(bag_frames(bag))
    recorded = read_bag(bag)
    assert [frame.stamp_ns for frame in frames] == [START + i * 33_000_000 for i in range(3)]
    logged = ([when for when, _ in recorded[topic]] for topic in (RGB, DEPTH))
    model = ['--model', str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))]
    assert main(['complete', str(bag), str(tmp_path / 'out'), *model]) == 0
    completed = read_bag(tmp_path / 'out')['/depth/completed']
    assert [when for when, _ in completed] == [max(both) for both in zip(*logged)]


def test_a_picture_of_another_size_and_its_camera_come_at_the_size_of_the_depth(tmp_path):
    camera = CameraModel(320, 180, 272.0, 272.0, 159.5, 89.5)
    picture = np.zeros((180, 320, 3), np.uint8)
    picture[:, 160:] = (200, 100, 50)
    messages = [
        (INFO, camera_info(START, COLOUR_FRAME, camera)),
        (RGB, image(START, COLOUR_FRAME, picture, 'rgb8')),
        (DEPTH, image(START, COLOUR_FRAME, np.ones((90, 160), np.float32), '32FC1')),
    ]
    (frame,) = bag_frames(write_bag(tmp_path / 'two_sizes', messages))
    assert frame.rgb.shape == (90, 160, 3) and frame.depth.shape == (90, 160)
    np.testing.assert_array_equal(frame.rgb[[0, 89], [20, 140]], [(0, 0, 0), (200, 100, 50)])
    assert (frame.camera.width, frame.camera.fx, frame.camera.cx) == (160, 136.0, 79.5)


def test_complete_registers_and_takes_extrinsics_by_hand(tmp_path):
    bag, expected = recording(tmp_path, tf=False)
    model = ['--model', str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))]
    given = [*EXTRINSICS[:3, 3], *quaternion(EXTRINSICS[:3, :3])]
    call = ['complete', str(bag), str(tmp_path / 'out'), '--depth-to-rgb', *map(str, given)]
    assert main([*call, *model]) == 0
    completed = read_bag(tmp_path / 'out')['/depth/completed']
    assert len(completed) == 3
    for _, message in completed:
        depth = message.data.view(np.float32).reshape(90, 160)
        known = (expected > 0) & (np.abs(depth - expected) < 1e-4)
        assert np.isfinite(depth).all() and known.sum() > 0.99 * (expected > 0).sum()


def test_extrinsics_that_were_given_are_not_asked_for(tmp_path, capsys):
    bag, _ = recording(tmp_path, model='thin_prism')
    model = ['--model', str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))]
    call = ['complete', str(bag), str(tmp_path / 'out'), *model]
    assert main([*call, '--depth-to-rgb', '0', '0', '0', '0', '0', '0', '1']) == 2
    error = capsys.readouterr().err
    assert 'thin_prism' in error and '--assume-aligned' in error
    assert '--depth-to-rgb' not in error


@pytest.mark.parametrize(
    ('made', 'says'),
    [
        ({'tf': False}, '/tf_static has no transform'),
        ({'model': 'thin_prism'}, "'thin_prism' is not supported"),
    ],
)
def test_what_cannot_be_registered_is_refused_by_name(tmp_path, capsys, made, says):
    bag, _ = recording(tmp_path, **made)
    with pytest.raises(DataError, match=says):
        next(bag_frames(bag))
    model = ['--model', str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))]
    assert main(['complete', str(bag), str(tmp_path / 'out'), *model]) == 2
    error = capsys.readouterr().err
    assert says in error and '--assume-aligned' in error
    assert not (tmp_path / 'out').exists()


def test_the_remedy_follows_the_fault_not_the_names(tmp_path, capsys):
    picture, depth = np.zeros((48, 64, 3), np.uint8), np.ones((48, 64), np.float32)
    messages = [
        ('/a/rgb/image', image(START, 'f', picture, 'rgb8')),
        ('/a/depth_registered/image', image(START + 10**9, 'f', depth, '32FC1')),
    ]
    model = ['--model', str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))]
    bag = write_bag(tmp_path / 'apart', messages)
    assert main(['complete', str(bag), str(tmp_path / 'out'), *model]) == 2
    error = capsys.readouterr().err
    assert 'no stamps that match' in error and '--assume-aligned' not in error

    bag = write_bag(tmp_path / 'two', [*messages, ('/b/rgb/image', messages[0][1])])
    with pytest.raises(TopicError, match='rgb topic: expected one, found 2') as caught:
        next(bag_frames(bag))
    assert '--' not in str(caught.value)
    assert main(['complete', str(bag), str(tmp_path / 'out'), *model]) == 2
    assert 'record one alone, or name it with --rgb-topic' in capsys.readouterr().err


def test_a_bag_of_humble_which_defines_no_types_is_read_and_completed(tmp_path):
    bag, expected = recording(tmp_path, plugin='SQLITE3')
    # What Humble's recorder writes: metadata of version 5, and a database without definitions.
    metadata = bag / 'metadata.yaml'
    text = metadata.read_text()
    assert 'version: 8' in text
    metadata.write_text(text.replace('version: 8', 'version: 5'))
    with contextlib.closing(sqlite3.connect(next(bag.glob('*.db3')))) as database:
        database.execute('DROP TABLE message_definitions')
        database.execute('DROP TABLE schema')
        database.commit()
    frames = list(bag_frames(bag))
    assert len(frames) == 3 and np.mean(frames[0].depth != expected) < 0.001
    model = ['--model', str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))]
    assert main(['complete', str(bag), str(tmp_path / 'out'), *model]) == 0
    after = read_bag(tmp_path / 'out')
    assert len(after['/depth/completed']) == len(after['/camera/color/image_raw']) == 3


@pytest.mark.parametrize('mode', ['FILE', 'MESSAGE'])
def test_a_bag_that_is_compressed_as_a_whole_is_read(tmp_path, mode):
    bag, _ = recording(tmp_path, plugin='SQLITE3', mode=mode)
    assert len(list(bag_frames(bag))) == 3


def test_completed_frames_are_found_where_they_were_made(tmp_path):
    bag, _ = recording(tmp_path)
    assert completed_frames(bag) is None
    model = ['--model', str(write_tiny_model(tmp_path / 'tiny.onnx', 48, 64))]
    call = ['complete', str(bag), str(tmp_path / 'out'), '--namespace', '/made', '--batch', '3']
    assert main([*call, *model]) == 0
    found = list(completed_frames(tmp_path / 'out', '/made'))
    assert [frame.stamp_ns for frame, _, _ in found] == [f.stamp_ns for f in bag_frames(bag)]
    for frame, depth, confidence in found:
        assert depth.shape == confidence.shape == frame.depth.shape
        assert np.nanmax(confidence) <= 1 < np.nanmedian(depth)
        assert (frame.camera.fx, frame.camera.cx) == pytest.approx((136.0, 79.5))


def test_completed_topics_of_other_stamps_are_an_error_that_says_so(tmp_path):
    pixels = np.ones((90, 160), np.float32)
    colour, depth = np.zeros((90, 160, 3), np.uint8), '32FC1'
    messages = [
        (RGB, image(START, COLOUR_FRAME, colour, 'rgb8')),
        (DEPTH, image(START, COLOUR_FRAME, pixels, depth)),
        ('/depth/completed', image(START + 1, COLOUR_FRAME, pixels, depth)),
        ('/depth/confidence', image(START + 1, COLOUR_FRAME, pixels, depth)),
    ]
    bag = write_bag(tmp_path / 'in', messages)
    with pytest.raises(DataError, match='no frame could be read: no stamps match'):
        list(completed_frames(bag))
    messages[2:] = [
        (topic, image(START, COLOUR_FRAME, pixels, '8UC3')) for topic, _ in messages[2:]
    ]
    with pytest.raises(DataError, match='no frame could be read: depth encoding'):
        list(completed_frames(write_bag(tmp_path / 'colour', messages)))
