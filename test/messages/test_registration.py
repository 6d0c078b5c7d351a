# SPDX-License-Identifier: Apache-2.0
"""When depth is registered, with which intrinsics and extrinsics, and what is said when not."""

from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np
import pytest

from magadepth_ros.completion.register import Registrar
from magadepth_ros.completion.static_frames import transform_matrix
from magadepth_ros.errors import DataError
from magadepth_ros.messages.camera_info import camera_model
from magadepth_ros.messages.registration import DepthRegistration, View

SHIFT = (0.1, 0.0, 0.0)
NO_TURN = (0.0, 0.0, 0.0, 1.0)


def info(width=64, height=48, focal=60.0, model='plumb_bob'):
    k = [focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1]
    roi = Message(width=0, height=0, x_offset=0, y_offset=0)
    numbers = dict(k=k, d=[0.0] * 5, p=np.zeros(12))
    return Message(width=width, height=height, distortion_model=model, roi=roi, **numbers)


def views(rgb_info, depth_info, frames=('color', 'depth'), name='image_raw'):
    return View(f'/c/{name}', frames[0], rgb_info), View(f'/d/{name}', frames[1], depth_info)


def tf(parent, child, shift=SHIFT, quaternion=NO_TURN):
    def named(names, values):
        return Message(**dict(zip(names, values)))

    transform = Message(translation=named('xyz', shift), rotation=named('xyzw', quaternion))
    item = Message(header=Message(frame_id=parent), child_frame_id=child, transform=transform)
    return Message(transforms=[item])


DEPTH = np.full((48, 64), 2.0, np.float32)


def test_only_depth_in_another_frame_needs_it():
    registration = DepthRegistration()
    assert registration.needed(*views(info(), info()))
    assert not registration.needed(*views(info(), info(), ('color', 'color')))
    assert not registration.needed(*views(info(), info(), ('color', '')))
    given = DepthRegistration((*SHIFT, *NO_TURN))
    assert given.needed(*views(info(), info(), ('color', 'color')))


def test_given_extrinsics_and_those_of_tf_give_the_same():
    both = views(info(80, 60, 75.0), info())
    expected = Registrar(
        camera_model(both[1].info), camera_model(both[0].info), transform_matrix(SHIFT, NO_TURN)
    ).register(DEPTH)
    assert expected.shape == (60, 80) and (expected == 2.0).mean() > 0.9
    given = DepthRegistration((*SHIFT, *NO_TURN))
    assert np.array_equal(given.register(DEPTH, *both, size=(80, 60)), expected)
    by_tf = DepthRegistration([0.0] * 7)
    by_tf.add_transforms(tf('depth', 'unused', quaternion=(0, 0, 0, 0)))
    by_tf.add_transforms(tf('color', 'depth'))
    assert np.array_equal(by_tf.register(DEPTH, *both, size=(80, 60)), expected)


@pytest.mark.parametrize(
    'change',
    [
        dict(k=[90.0, 0, 31.5, 0, 60.0, 23.5, 0, 0, 1]),
        dict(d=[0.2, 0.0, 0.0, 0.0, 0.0]),
        dict(distortion_model='equidistant'),
        dict(p=[90.0, 0, 31.5, 0, 0, 60.0, 23.5, 0, 0, 0, 1, 0]),
        dict(roi=Message(x_offset=8, y_offset=6, width=32, height=24)),
        dict(width=66, height=50),
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize('camera', [0, 1], ids=['colour', 'depth'])
def test_a_change_in_either_camera_info_is_noticed(camera, change):
    slanted = np.full((24, 32), np.linspace(1, 3, 32), np.float32)
    infos = [info(), info()]
    both = views(*infos, name='image_rect')
    registration = DepthRegistration((*SHIFT, *NO_TURN))
    before = registration.register(slanted, *both, size=(32, 24))

    vars(infos[camera]).update(change)
    after = registration.register(slanted, *both, size=(32, 24))

    assert not np.array_equal(after, before)
    fresh = DepthRegistration((*SHIFT, *NO_TURN)).register(slanted, *both, size=(32, 24))
    assert np.array_equal(after, fresh)


def test_a_new_transform_is_noticed():
    registration = DepthRegistration()
    both = views(info(), info())
    for shift in (SHIFT, (0.4, 0.0, 0.0)):
        registration.add_transforms(tf('color', 'depth', shift))
        registered = registration.register(DEPTH, *both, size=(64, 48))
        fresh = DepthRegistration((*shift, *NO_TURN)).register(DEPTH, *both, size=(64, 48))
        assert np.array_equal(registered, fresh)


@pytest.mark.parametrize('binning', [1, 2])
def test_a_colour_image_of_a_region_or_of_another_size_is_registered_to(binning):
    registration = DepthRegistration((*SHIFT, *NO_TURN))
    slanted = DEPTH + np.linspace(0, 1, 64, dtype=np.float32)
    whole = registration.register(slanted, *views(info(), info()), size=(64, 48))
    small = registration.register(slanted, *views(info(), info()), size=(32, 24))
    region = info()
    region.roi = Message(x_offset=16, y_offset=12, width=32, height=24)
    size = 32 // binning, 24 // binning

    part = registration.register(slanted, *views(region, info()), size=size)

    assert part.shape == size[::-1]
    expected = whole[12:36:binning, 16:48:binning]
    known = (part > 0) & (expected > 0)
    assert known.mean() > 0.9
    # Within the slope of a pixel or two.
    assert part[known] == pytest.approx(expected[known], abs=0.033)
    assert small.shape == (24, 32) and (small > 0).mean() > 0.9


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        (dict(rgb_info=None), 'no camera_info beside /c/image_raw'),
        (dict(depth_info=None), 'no camera_info beside /d/image_raw'),
        (dict(), '/tf_static has no transform'),
        (dict(rgb_info=info(model='thin_prism'), given=True), "'thin_prism' is not supported"),
        (dict(depth_info=info(focal=0.0), given=True), 'not calibrated'),
        (dict(depth_info=info(32, 32), given=True), 'for 32x32, the image is 64x48'),
        (dict(rgb_info=info(64, 64), given=True), 'for 64x64, the image is 64x48'),
    ],
)
def test_what_is_missing_or_unknown_is_named(change, says):
    registration = DepthRegistration((*SHIFT, *NO_TURN) if change.get('given') else ())
    infos = [change.get(name, info()) for name in ('rgb_info', 'depth_info')]
    with pytest.raises(DataError, match=says) as caught:
        registration.register(DEPTH, *views(*infos), size=(64, 48))
    assert "'depth'" in str(caught.value) and "'color'" in str(caught.value)


def test_extrinsics_that_are_none_are_refused():
    with pytest.raises(DataError, match='got 2 numbers'):
        DepthRegistration((1.0, 2.0))
    with pytest.raises(DataError, match='quaternion'):
        DepthRegistration((1.0, 0, 0, 0, 0, 0, 0))
