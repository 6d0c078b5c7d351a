# SPDX-License-Identifier: Apache-2.0
"""
Choose the least confidence of a fill that marks a costmap (``marking_confidence``).

``python -m magadepth_training.evaluation.marking FRAMES --models NAME ...`` drives the simulated
robot through rooms that no reported figure uses, and reads a folder of recorded frames. It prints
a table for each model, and the lowest confidence at which its costmap has at most half of the
ghosts and phantoms of the unfilled depth: the lower the confidence, the fewer obstacles are
missed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from magadepth_ros.tables import markdown_table
from magadepth_training.datasets.opening import open_source
from magadepth_training.datasets.sample import Sample
from magadepth_training.evaluation.costmap import Costmap, count_cells
from magadepth_training.evaluation.methods import Estimate, Method, model_method
from magadepth_training.evaluation.regions import phantoms, regions
from magadepth_training.evaluation.simulated import SIMULATED, SimulatedRobot

OTHER_ROOMS = 200
"""Seed of the first room; the reported figures use other seeds."""
CONFIDENCES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
SHARE = 0.5
"""Allowed share of the false cells of the unfilled depth."""
RIGHT = 0.05
"""A fill whose error is below this share of the depth is right."""
_HEAD = ('marks from', 'ghosts', 'phantoms', 'missed [%]', 'right fills', 'phantom fills')


@dataclass
class Marking:
    """Results of marking from one confidence on: sums over frames of a drive and over stills."""

    confidence: float
    costmap: Costmap
    frames: int = 0
    cells: Counter[str] = field(default_factory=Counter)
    pixels: Counter[str] = field(default_factory=Counter)

    def drive(
        self, sample: Sample, depth: np.ndarray, confidence: np.ndarray, true: Costmap
    ) -> None:
        """Add a frame of the simulated robot; ``true`` is the costmap of the true depth so far."""
        self.costmap.update(sample, depth, confidence)
        self.frames += 1
        self.cells.update(count_cells(self.costmap, true))

    def still(self, confidence: np.ndarray, right: np.ndarray, phantom: np.ndarray) -> None:
        """Add the fills of a recorded frame: their confidence, and which are right or phantoms."""
        marks = confidence >= self.confidence
        for name, chosen in (
            ('right', right),
            ('right marks', marks & right),
            ('marks', marks),
            ('phantom marks', marks & phantom),
        ):
            self.pixels[name] += int(chosen.sum())

    @property
    def false_cells(self) -> float:
        """Ghosts and phantoms of a frame."""
        return (self.cells['ghosts'] + self.cells['phantoms']) / max(1, self.frames)

    def row(self) -> list[str]:
        """Return the line of the table."""
        frames, cells, pixels = max(1, self.frames), self.cells, self.pixels
        return [
            f'{self.confidence:g}',
            f'{cells["ghosts"] / frames:.1f}',
            f'{cells["phantoms"] / frames:.1f}',
            f'{100 * cells["missed"] / max(1, cells["true"]):.1f}',
            f'{100 * pixels["right marks"] / max(1, pixels["right"]):.1f} %',
            f'{100 * pixels["phantom marks"] / max(1, pixels["marks"]):.2f} %',
        ]


def sweep(
    methods: Sequence[Method], drive: Iterable[Sample], stills: Iterable[Sample]
) -> dict[str, list[Marking]]:
    """Run each method once over the frames, and mark from each of `CONFIDENCES` on."""
    found = {
        method.name: [Marking(value, Costmap(value)) for value in CONFIDENCES]
        for method in methods
    }
    true = Costmap()
    for sample in drive:
        assert sample.target is not None
        true.update(sample, sample.target)
        for method in methods:
            depth, confidence = method.run(sample)
            for marking in found[method.name]:
                marking.drive(sample, np.nan_to_num(depth), np.asarray(confidence), true)
    for sample in stills:
        assert sample.target is not None
        target, fill = sample.target, regions(sample.depth, sample.target, sample.score)['fill']
        for method in methods:
            depth, confidence = method.run(sample)
            depth = np.nan_to_num(depth)
            right = np.abs(depth - target)[fill] < RIGHT * target[fill]
            phantom = phantoms(depth, target, sample.depth, fill)[fill]
            for marking in found[method.name]:
                marking.still(np.asarray(confidence)[fill], right, phantom)
    return found


def lowest(found: dict[str, list[Marking]], most: float) -> float:
    """Return the lowest confidence with at most ``most`` false cells for each method, else 1."""
    rows = zip(*found.values(), strict=True)
    fit = (row[0].confidence for row in rows if max(m.false_cells for m in row) <= most)
    return next(fit, 1.0)


def raw(sample: Sample) -> Estimate:
    """Return the unfilled depth."""
    return sample.depth, np.ones_like(sample.depth)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables and the chosen confidences."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('frames', help='recorded frames with hidden pixels: a manifest folder')
    parser.add_argument('--models', nargs='+', required=True)
    parser.add_argument('--step', type=int, default=1, help='take every n-th recorded frame (1)')
    options = parser.parse_args(arguments)
    stills, robot = open_source(options.frames, 'test'), SimulatedRobot(SIMULATED[0], OTHER_ROOMS)
    chosen = range(0, len(stills), options.step)
    methods = [Method('raw', 'raw', raw), *(model_method(model) for model in options.models)]
    found = sweep(
        methods,
        (robot[index] for index in range(len(robot))),
        (stills[index] for index in chosen),
    )
    most = SHARE * found.pop('raw')[0].false_cells
    print(f'at most {most:.1f} ghosts and phantoms, {SHARE:g} of those of the unfilled depth\n')
    for name, row in found.items():
        print(f'{name}: {lowest({name: row}, most):g}\n')
        print(markdown_table([_HEAD, *(marking.row() for marking in row)], left=0) + '\n')
    print(f'for all: {lowest(found, most):g}')


if __name__ == '__main__':
    main()
