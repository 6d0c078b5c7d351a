# SPDX-License-Identifier: Apache-2.0
"""What the demo writes: counts that mean what they say, a picture of four parts."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='the demo needs ROS 2')

from magadepth_ros.commands.demo_report import summarise, table, write_preview, write_summary
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.subscribers.demo_subscriber import Snapshot
from magadepth_ros.subscribers.topic_statistics import TopicStatistics

NAMES = ('frames', 'rate_hz', 'latency_ms_p50', 'latency_ms_p95', 'dropped', 'unfilled_share')


class Seen:
    """What a watcher has seen of a 30 Hz camera of which every second frame was completed."""

    def __init__(self) -> None:
        self.camera = TopicStatistics(list(range(100)), [i / 30 for i in range(100)], [])
        self.depth = TopicStatistics(
            list(range(10, 61, 2)), [i / 15 for i in range(26)], [20.0] * 26
        )
        self.cloud = TopicStatistics()
        self.unfilled = [0.0, 0.5]
        self.size = (64, 48)
        self.diagnostics = {
            'engine': 'openvino bf16 magaconv small',
            'model': '/models/small.onnx',
            'infer p50 [ms]': '7.500',
            'latency p50 [ms]': '20.000',
            'stale': '25',
        }


def test_dropped_counts_camera_frames_between_first_and_last_completed_one():
    summary = summarise(Seen(), {})
    assert summary['frames'] == 26
    assert summary['dropped'] == 25
    assert summary['rate_hz'] == pytest.approx(15.0)
    assert summary['unfilled_share'] == pytest.approx(0.25)


def test_engine_and_stages_come_from_diagnostics():
    summary = summarise(Seen(), {'seconds': 2.0})
    assert (summary['backend'], summary['precision']) == ('openvino', 'bf16')
    assert summary['network'] == 'magaconv small'
    assert 'magaconv small, openvino bf16' in table({**summary, 'model': 'auto'})
    assert summary['stages_ms_p50'] == {'infer': 7.5}
    assert summary['node'] == {'stale': 25}
    assert summary['seconds'] == 2.0


def test_summary_without_frames_is_still_written_and_shown(tmp_path):
    seen = Seen()
    seen.depth, seen.unfilled, seen.diagnostics = TopicStatistics(), [], {}
    summary = summarise(seen, {})
    write_summary(tmp_path / 'summary.json', summary)
    read = json.loads((tmp_path / 'summary.json').read_text())
    assert [read[name] for name in NAMES] == [0, 0.0, None, None, 0, None]
    assert 'unfilled share  -' in table(summary)
    assert [path.name for path in tmp_path.iterdir()] == ['summary.json']


@pytest.mark.parametrize('known', [True, False])
def test_preview_shows_four_panels(tmp_path, known):
    rgb = np.full((48, 64, 3), (200, 0, 0), np.uint8)
    depth = np.zeros((48, 64), np.float32)
    completed = np.full((48, 64), 2.0 if known else np.nan, np.float32)
    confidence = np.ones((48, 64), np.float32)
    write_preview(tmp_path / 'p.png', Snapshot(RgbdFrame(rgb, depth), completed, confidence))
    picture = cv2.imread(str(tmp_path / 'p.png'))
    assert picture.shape[1] == 4 * 64 and picture.shape[0] > 48
    centres = [picture[-24, 32 + 64 * i] for i in range(4)]
    assert centres[0].tolist() == [0, 0, 200]
    assert centres[1].tolist() == [0, 0, 0]
    assert (centres[2].max() > 0) == known
    assert centres[3].tolist() == [255, 255, 255]
