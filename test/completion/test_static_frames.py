# SPDX-License-Identifier: Apache-2.0
"""The tree of fixed transforms: the way between two frames, and what is no way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magadepth_ros.completion.static_frames import StaticFrames, transform_matrix
from magadepth_ros.errors import DataError

NUMBER = st.floats(-2, 2)


def test_two_branches_of_a_camera_are_joined_at_its_body():
    frames = StaticFrames()
    # As a RealSense publishes them: body, sensor, optical (z forward) for each of the two.
    optical = transform_matrix((0, 0, 0), (-0.5, 0.5, -0.5, 0.5))
    frames.add('link', '/depth', np.eye(4))
    frames.add('depth', 'depth_optical', optical)
    frames.add('link', 'color', transform_matrix((0.0, 0.015, 0.0), (0, 0, 0, 1)))
    frames.add('color', 'color_optical', optical)
    found = frames.lookup_transform('/color_optical', 'depth_optical')
    # 15 mm to the left of the body is -x of an optical frame; seen from there, depth is right.
    assert found == pytest.approx(transform_matrix((0.015, 0, 0), (0, 0, 0, 1)))
    back = frames.lookup_transform('depth_optical', '/color_optical')
    assert found @ back == pytest.approx(np.eye(4))


def test_unknown_frames_and_other_trees_have_no_way():
    frames = StaticFrames()
    frames.add('a', 'b', np.eye(4))
    frames.add('c', 'd', np.eye(4))
    assert frames.lookup_transform('b', 'd') is None
    assert frames.lookup_transform('b', 'nowhere') is None


def test_a_circle_ends():
    frames = StaticFrames()
    frames.add('a', 'b', np.eye(4))
    frames.add('b', 'a', np.eye(4))
    assert frames.lookup_transform('c', 'a') is None


@given(st.tuples(NUMBER, NUMBER, NUMBER), st.tuples(NUMBER, NUMBER, NUMBER))
def test_quaternions_turn_as_rotation_vectors_do(shift, vector):
    angle = np.linalg.norm(vector)
    axis = np.array(vector) / angle if angle > 1e-9 else np.zeros(3)
    quaternion = (*np.sin(angle / 2) * axis, np.cos(angle / 2))
    matrix = transform_matrix(shift, quaternion)
    assert matrix[:3, :3] == pytest.approx(cv2.Rodrigues(np.array(vector))[0], abs=1e-6)
    assert matrix[:3, 3] == pytest.approx(shift)
    assert transform_matrix(shift, np.multiply(3, quaternion)) == pytest.approx(matrix)


def test_no_rotation_is_refused():
    with pytest.raises(DataError, match='quaternion'):
        transform_matrix((0, 0, 0), (0, 0, 0, 0))
    with pytest.raises(DataError, match='finite'):
        transform_matrix((0, float('nan'), 0), (0, 0, 0, 1))
