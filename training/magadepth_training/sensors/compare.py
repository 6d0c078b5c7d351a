# SPDX-License-Identifier: Apache-2.0
"""
Compare simulated sensors with recorded frames: histograms, numbers and pictures.

``python -m magadepth_training.sensors.compare FOLDER OUTPUT`` reads a manifest folder of raw
frames (no targets needed), generates scenes, measures both in the same way and writes
``sensors_statistics.png``, ``sensors_pictures.png`` (simulated only) and
``sensors_beside_real.png`` (with frames of the folder) to OUTPUT.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from magadepth_ros.completion.colorize import colorize
from magadepth_ros.errors import DataError
from magadepth_ros.manifest import read_manifest
from magadepth_training.scenes import SceneBatch, generate_scenes
from magadepth_training.sensors import statistics
from magadepth_training.sensors.simulate import Kind, simulate
from magadepth_training.sensors.statistics import HoleStatistics, hole_statistics, summary

HEIGHT, WIDTH = 240, 320
SHOWN: tuple[Kind, ...] = ('structured_light', 'active_stereo', 'tof')


def shrink(image: np.ndarray) -> np.ndarray:
    """Bring (H, W) or (H, W, 3) to about 320 x 240 by every n-th pixel: holes stay holes."""
    step = max(1, round(image.shape[1] / WIDTH))
    return np.ascontiguousarray(image[::step, ::step])


def recorded(folder: str | Path, every: int = 1) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """
    Return a folder's raw frames by scene, every n-th frame.

    rgb (H, W, 3) uint8 and depth (H, W) float32 metres, 0 = missing, of about 320 x 240.
    """
    scenes: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for frame in read_manifest(folder).frames[::every]:
        data = frame.load()
        scenes.setdefault(frame.scene, []).append((shrink(data.rgb), shrink(data.depth)))
    return scenes


def generated(count: int, seed: int) -> SceneBatch:
    """Return scenes of the default settings, made in small batches."""
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    generator = torch.Generator(device).manual_seed(seed)
    sizes = [min(8, count - start) for start in range(0, count, 8)]
    return SceneBatch.concatenate(
        [generate_scenes(n, HEIGHT, WIDTH, generator=generator, device=device) for n in sizes]
    )


def plot(named: dict[str, HoleStatistics], path: Path) -> None:
    """Draw the histograms of several sets over each other."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(12, 6.4), layout='constrained')
    titles = (
        'Missing share of a frame', 'Missing in inner holes', 'Size of inner holes [px]',
        'Hole to nearest depth edge [px]', 'Noise over depth [mm]', 'Left of near things',
    )  # fmt: skip
    for axis, title in zip(axes.flat, titles, strict=True):
        axis.set_title(title, fontsize=10)
    a, b, c, d, e, f = axes.flat
    middle = np.sqrt(statistics.SIZE_BINS[1:] * statistics.SIZE_BINS[:-1])
    depth = 0.5 * (statistics.DEPTH_BINS[1:] + statistics.DEPTH_BINS[:-1])
    for i, (name, s) in enumerate(named.items()):
        line = '-' if i < len(named) - len(SHOWN) else '--'
        for axis, share in ((a, s.share), (b, s.inner_share)):
            level = np.arange(1, len(share) + 1) / len(share)
            axis.plot(np.sort(share), level, line, label=name)
        c.plot(middle, np.cumsum(s.sizes), line)
        d.plot(statistics.DISTANCE_BINS[1:], np.cumsum(s.distances), line)
        e.plot(depth, 1000 * s.noise, line)
        f.barh(name, s.left_share)
    for axis in (c, d):
        axis.set_xscale('log')
        axis.set_ylabel("share of the holes' area up to here")
    for axis in (a, b):
        axis.set_ylabel('share of frames up to here')
    b.set_xlim(0.0, 0.15)
    e.set_xscale('log')
    e.set_yscale('log')
    e.set_xticks([0.5, 1, 2, 5], ['0.5 m', '1 m', '2 m', '5 m'])
    e.minorticks_off()
    f.axvline(0.5, color='grey', linewidth=0.8)
    f.set_xlim(0.0, 1.0)
    a.legend(fontsize=8)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _row(rgb: np.ndarray, depths: Sequence[np.ndarray]) -> np.ndarray:
    known = np.concatenate([d[d > 0] for d in depths])
    near, far = np.percentile(known, [1, 99]) if known.size else (0.5, 5.0)
    small = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.hstack([small, *(colorize(d[::2, ::2], float(near), float(far)) for d in depths)])


def _photo(scene: SceneBatch, index: int) -> np.ndarray:
    return (scene.rgb[index].permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)


def picture(scene: SceneBatch, measured: Sequence[torch.Tensor], count: int) -> np.ndarray:
    """
    One scene per row: the picture, complete depth, what each sensor gives of it.

    ``measured`` are (B, 1, H, W) metres, 0 = missing, one for each sensor; returns
    (count * H / 2, ..., 3) uint8 RGB.
    """
    return np.vstack(
        [
            _row(_photo(scene, i), [d[i, 0].cpu().numpy() for d in (scene.depth, *measured)])
            for i in range(count)
        ]
    )


def beside(
    scene: SceneBatch, depth: torch.Tensor, real: list[tuple[np.ndarray, np.ndarray]], count: int
) -> np.ndarray:
    """
    Return simulated structured light on the left, recorded frames on the right.

    ``depth`` (B, 1, H, W) metres, 0 = missing; ``real`` as of `recorded`; (..., ..., 3) uint8 RGB.
    """
    rows = []
    for i in range(count):
        left = _row(_photo(scene, i), [depth[i, 0].cpu().numpy()])
        photo, raw = real[i * len(real) // count]
        right = _row(photo, [raw])
        size = (left.shape[1], left.shape[0])
        rows.append(np.hstack([left, cv2.resize(right, size, interpolation=cv2.INTER_NEAREST)]))
    return np.vstack(rows)


def save(path: Path, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB as a PNG; DataError where it cannot be."""
    if not cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise DataError(f'{path} could not be written: check that the folder can be written to')


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('folder', type=Path, help='manifest folder of raw frames')
    parser.add_argument('output', type=Path, help='where the pictures go')
    parser.add_argument('--scenes', type=int, default=64, help='generated scenes (64)')
    parser.add_argument('--every', type=int, default=2, help='take every n-th frame (2)')
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    real = recorded(options.folder, options.every)
    scene = generated(options.scenes, options.seed)
    generator = torch.Generator(scene.depth.device).manual_seed(options.seed)
    measured = {k: simulate(scene, generator=generator, kind=k) for k in SHOWN}
    named = {f'real: {k}': hole_statistics(d for _, d in v) for k, v in real.items()}
    named |= {k: hole_statistics(list(v[:, 0].cpu().numpy())) for k, v in measured.items()}
    for name, result in named.items():
        print(summary(name, result))
    plot(named, options.output / 'sensors_statistics.png')
    shown = min(4, options.scenes)
    save(options.output / 'sensors_pictures.png', picture(scene, list(measured.values()), shown))
    frames = [pair for pairs in real.values() for pair in pairs]
    together = beside(scene, measured['structured_light'], frames, min(8, options.scenes))
    save(options.output / 'sensors_beside_real.png', together)


if __name__ == '__main__':
    main()
