# SPDX-License-Identifier: Apache-2.0
"""Memory that is used again only once nobody holds it, in every version of the interpreter."""

from __future__ import annotations

import weakref

import numpy as np

from magadepth_ros.completion.buffers import Buffers


def test_what_is_held_is_not_handed_out_again_and_what_was_let_go_is():
    buffers = Buffers()
    kept = buffers.take((4, 5))
    view = buffers.take((4, 5))[1:]
    places = {kept.ctypes.data, view.base.ctypes.data}

    for _ in range(100):
        array = buffers.take((4, 5))
        places.add(array.ctypes.data)
        assert not np.shares_memory(array, kept) and not np.shares_memory(array, view)
        del array

    assert len(places) == 3


def test_each_shape_and_type_has_its_own():
    buffers = Buffers()

    assert buffers.take((2, 3), np.uint8).dtype == np.uint8
    assert buffers.take((3, 2), np.uint8).shape == (3, 2)


def test_frames_of_ever_new_sizes_do_not_fill_the_memory():
    buffers = Buffers()
    kept, unused = buffers.take((2, 3)), weakref.ref(buffers.take((3, 2)))
    kept[:] = 7
    for size in range(1000):
        buffers.take((4, size))

    assert unused() is None
    assert not np.shares_memory(kept, buffers.take((2, 3))) and (kept == 7).all()
