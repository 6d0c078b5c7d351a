# SPDX-License-Identifier: Apache-2.0
"""When depth is registered, with which intrinsics and extrinsics, and what is said when not."""

from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np
import pytest

from magadepth_ros.completion.register import Registrar
from magadepth_ros.completion.static_frames import rigid
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


def views(rgb_info, depth_info, frames=('color', 'depth')):
    return View('/c/image_raw', frames[0], rgb_info), View('/d/image_raw', frames[1], depth_info)


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
        camera_model(both[1].info), camera_model(both[0].info), rigid(SHIFT, NO_TURN)
    ).register(DEPTH)
    assert expected.shape == (60, 80) and (expected == 2.0).mean() > 0.9
    given = DepthRegistration((*SHIFT, *NO_TURN))
    assert np.array_equal(given.register(DEPTH, *both), expected)
    by_tf = DepthRegistration([0.0] * 7)
    by_tf.add_transforms(tf('depth', 'unused', quaternion=(0, 0, 0, 0)))
    by_tf.add_transforms(tf('color', 'depth'))
    assert np.array_equal(by_tf.register(DEPTH, *both), expected)


def test_another_camera_info_is_noticed():
    registration = DepthRegistration((*SHIFT, *NO_TURN))
    assert registration.register(DEPTH, *views(info(), info())).shape == (48, 64)
    assert registration.register(DEPTH, *views(info(32, 24, 30.0), info())).shape == (24, 32)


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        (dict(rgb_info=None), 'no camera_info beside /c/image_raw'),
        (dict(depth_info=None), 'no camera_info beside /d/image_raw'),
        (dict(), '/tf_static does not join'),
        (dict(rgb_info=info(model='thin_prism'), given=True), "'thin_prism' is not supported"),
        (dict(depth_info=info(focal=0.0), given=True), 'not calibrated'),
        (dict(depth_info=info(32, 24), given=True), 'its camera_info says 32x24'),
    ],
)
def test_what_is_missing_or_unknown_is_named(change, says):
    registration = DepthRegistration((*SHIFT, *NO_TURN) if change.get('given') else ())
    infos = [change.get(name, info()) for name in ('rgb_info', 'depth_info')]
    with pytest.raises(DataError, match=says) as caught:
        registration.register(DEPTH, *views(*infos))
    assert "'depth'" in str(caught.value) and "'color'" in str(caught.value)


def test_extrinsics_that_are_none_are_refused():
    with pytest.raises(DataError, match='got 2 numbers'):
        DepthRegistration((1.0, 2.0))
    with pytest.raises(DataError, match='quaternion'):
        DepthRegistration((1.0, 0, 0, 0, 0, 0, 0))
