# SPDX-License-Identifier: Apache-2.0
"""Which confidence marks best, where it is known which fills are wrong."""

from __future__ import annotations

import numpy as np

from magadepth_ros.simulation.scene import CameraPose
from magadepth_training.datasets.sample import Sample
from magadepth_training.evaluation.marking import CONFIDENCES, lowest, sweep
from magadepth_training.evaluation.methods import Estimate, Method

SHAPE = (120, 160)
CAMERA = CameraPose(np.array([0.02, -0.3, -1.98]), np.eye(3), (300.0, 300.0, 79.5, 59.5))


def sample(step: int = 0) -> Sample:
    """Return a wall at 2.2 m whose left half is missing, with the truth."""
    target = np.full(SHAPE, 2.2, np.float32)
    depth = np.where(np.arange(SHAPE[1]) < 80, 0, target).astype(np.float32)
    rgb = np.zeros((*SHAPE, 3), np.uint8)
    return Sample(rgb, depth, target, name=str(step), scene='a', camera=CAMERA)


def fill(sample: Sample) -> Estimate:
    """Fill the upper rows right, at a confidence of 0.45, the others wrong, at 0.15."""
    upper = np.arange(SHAPE[0])[:, None] < 60
    right = np.broadcast_to(upper, SHAPE)
    depth = np.where(right | (sample.depth > 0), np.float32(2.2), np.float32(1.2))
    confidence = np.where(sample.depth > 0, 1.0, np.where(right, 0.45, 0.15))
    return depth, confidence.astype(np.float32)


def test_the_lowest_confidence_that_marks_no_wrong_fill_misses_nothing():
    method = Method('fill', 'model', fill)
    found = sweep([method], [sample(step) for step in range(3)], [sample()])
    by_confidence = {marking.confidence: marking for marking in found['fill']}
    assert tuple(by_confidence) == CONFIDENCES

    low, chosen, high = (by_confidence[value] for value in (0.1, 0.2, 0.5))
    assert low.cells['phantoms'] > 0 and low.pixels['phantom marks'] > 0
    assert chosen.cells['phantoms'] == 0 and chosen.pixels['phantom marks'] == 0
    # The phantoms clear nothing of the wall, and above them it is marked.
    assert chosen.cells['missed'] == 0 and high.cells['missed'] > 0
    assert chosen.pixels['right marks'] == chosen.pixels['right'] == 60 * 80
    assert high.pixels['right marks'] == 0
    assert low.false_cells > 1 and chosen.false_cells == 0
    assert lowest(found, most=1) == 0.2 and lowest(found, most=1e9) == 0
    assert chosen.row()[:4] == ['0.2', '0.0', '0.0', '0.0']
