# SPDX-License-Identifier: Apache-2.0
"""A completer whose engine changes: settings reach whichever serves, and limits are kept."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.settings import CompletionSettings
from magadepth_ros.engines.engine import ModelInfo, Prediction
from magadepth_ros.engines.opening import EngineRequest, Offer
from magadepth_ros.errors import DataError
from magadepth_ros.serving.live_completer import LiveCompleter

INFO = ModelInfo('test', 24, 32, 0.1, 10.0, 'none', '1', 'none', 'Apache-2.0')
FRAME = RgbdFrame(np.full((24, 32, 3), 99, np.uint8), np.full((24, 32), 2.0, np.float32))
REQUEST = EngineRequest('model.onnx')


class TwoMetres:
    """An engine that says two metres everywhere."""

    backend, precision = 'test', 'fp32'
    metres = 2.0

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        assert rgb.shape[2:] == (self.info.height, self.info.width)
        return Prediction(np.full_like(depth, self.metres), None)

    def close(self) -> None:
        pass


@pytest.fixture
def infos():
    """Give the models that are opened in turn."""
    return [INFO]


@pytest.fixture
def gate():
    """Give what an opening waits for."""
    gate = threading.Event()
    gate.set()
    return gate


@pytest.fixture
def completer(infos, gate):
    def opener(request: EngineRequest, gpu: bool) -> Offer:
        gate.wait(30)
        return Offer(TwoMetres(infos.pop(0)))

    completer = LiveCompleter(lambda *said: None, opener)
    assert completer.depth_range == (0.0, 65.0)
    completer.keeper.open(REQUEST)
    yield completer
    completer.keeper.close(30)


def test_frames_are_completed_with_the_settings_of_now(completer):
    np.testing.assert_allclose(completer.complete([FRAME])[0].depth, 2.0)
    completer.configure(CompletionSettings(max_depth=1.0))
    assert completer.depth_range == (0.1, 1.0)
    assert not np.isfinite(completer.complete([FRAME])[0].depth).any()


def test_another_model_may_have_another_size(completer, infos):
    infos.append(replace(INFO, height=48, width=16))
    completer.keeper.open(REQUEST)
    assert completer.complete([FRAME])[0].depth.shape == (24, 32)


def test_steady_fills_begin_anew_with_another_engine(completer, infos, monkeypatch):
    completer.configure(CompletionSettings(temporal_smoothing=0.8))
    depth = FRAME.depth.copy()
    depth[6:18, 8:24] = 0.0
    frame = replace(FRAME, depth=depth)
    before = completer.complete([frame])[0].depth
    # Farther by less than the fill may be wrong: no motion.
    monkeypatch.setattr(TwoMetres, 'metres', 2.1)
    held = completer.complete([frame])[0].depth
    assert before[12, 16] == 2.0 < held[12, 16]
    infos.append(INFO)
    completer.keeper.open(REQUEST)
    fresh = completer.complete([frame])[0].depth
    assert held[12, 16] < fresh[12, 16]


def test_limits_that_leave_no_depth_are_refused(completer):
    with pytest.raises(DataError, match='expected min_depth below max_depth'):
        completer.configure(CompletionSettings(min_depth=12.0))
    assert completer.depth_range == (0.1, 10.0)
    completer.complete([FRAME])


def test_a_model_that_leaves_no_depth_within_the_limits_is_refused(completer, infos):
    completer.configure(CompletionSettings(min_depth=5.0))
    infos.append(replace(INFO, max_depth=4.0))
    with pytest.raises(DataError, match='expected min_depth below max_depth'):
        completer.keeper.open(REQUEST)
    assert completer.depth_range == (5.0, 10.0)


def test_what_is_set_while_an_engine_opens_stays_set(completer, infos, gate):
    infos.append(INFO)
    gate.clear()
    told, done = [], threading.Event()
    completer.keeper.request(REQUEST, lambda error: (told.append(error), done.set()))
    completer.configure(CompletionSettings(max_depth=4.0))
    gate.set()
    assert done.wait(30)
    assert told == [None]
    assert completer.depth_range[1] == 4.0
