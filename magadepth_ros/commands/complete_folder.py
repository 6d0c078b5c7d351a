# SPDX-License-Identifier: Apache-2.0
"""Complete the frames of a folder, or one pair of pictures, for ``magadepth complete``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from magadepth_ros.commands.progress import progress
from magadepth_ros.completion import Completer, Completion
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.units import out_of_range
from magadepth_ros.errors import DataError
from magadepth_ros.manifest import Frame, Manifest, read_manifest
from magadepth_ros.pictures import read_depth, read_rgb, write_depth_png

Open = Callable[[], AbstractContextManager[Completer]]
"""Opens the completer; called once the input is known to be readable."""


def complete_pair(
    open_completer: Open, rgb_path: Path, depth_path: Path, depth_scale: float, output: Path
) -> str:
    """
    Complete one pair of pictures into a 16-bit PNG [mm]; returns a sentence about the result.

    Raises
    ------
    DataError
        a picture cannot be read, its depth is in another unit, or ``output`` is one of the two.

    """
    _leave((rgb_path, depth_path), [output])
    rgb, depth = read_rgb(rgb_path), read_depth(depth_path, depth_scale)
    with open_completer() as completer:
        fault = out_of_range(depth, *completer.depth_range)
        if fault:
            raise DataError(f'{depth_path} at {depth_scale:g} metres a unit: {fault}')
        completion = completer.complete(rgb, depth)
    write_depth_png(output, completion.depth)
    if not completion.measured_share:
        return f'{output}: {depth_path} has no measured pixel, so nothing was filled'
    return f'{output}: {completion.filled.mean():.1%} of the pixels filled'


def complete_folder(open_completer: Open, folder: Path, output: Path, resume: bool = False) -> str:
    """
    Complete the frames of a manifest into ``output/<stem>.png``; returns a sentence about them.

    With ``resume``, frames whose result exists are skipped.

    Raises
    ------
    DataError
        the manifest or a picture cannot be read, its depth is in another unit, or a result would
        be written over an input.

    """
    manifest = read_manifest(folder)
    manifest.require_unique_stems()
    _leave_inputs(manifest, output)
    results = {output / f'{frame.stem}.png': frame for frame in manifest.frames}
    if resume:
        results = {path: frame for path, frame in results.items() if not path.exists()}
    done = len(manifest.frames) - len(results)
    if not results:
        return f'{output}: all {done} frames are done already'
    missing = filled = 0.0
    empty = 0
    with open_completer() as completer, progress(len(results), 'frames') as bar:
        for path, frame in results.items():
            if resume and path.exists():
                # A machine that was believed lost has completed it meanwhile.
                done += 1
                continue
            completion = _complete(completer, frame)
            write_depth_png(path, completion.depth)
            missing += 1.0 - completion.measured_share
            filled += float(completion.filled.mean())
            empty += not completion.measured_share
            bar.update()
    count = max(len(manifest.frames) - done, 1)
    return (
        f'{output}: {count} frames'
        + (f' beside {done} that were done' if done else '')
        + f', {missing / count:.1%} of the pixels were missing, '
        f'{filled / count:.1%} filled'
        + (f'; {empty} without any measured pixel were left as they are' if empty else '')
    )


def _complete(completer: Completer, frame: Frame) -> Completion:
    data = frame.load()
    fault = out_of_range(data.depth, *completer.depth_range)
    if fault.endswith('?'):
        # A single frame may lie out of range; a wrong unit puts every frame out of range.
        raise DataError(f'{frame.depth_path} at {frame.depth_scale:g} metres a unit: {fault}')
    stream = f'{frame.scene}/{frame.sensor}'
    return completer.complete_batch([RgbdFrame(data.rgb, data.depth, stream=stream)])[0]


def _leave_inputs(manifest: Manifest, output: Path) -> None:
    inputs = [
        path
        for frame in manifest.frames
        for path in (frame.rgb_path, frame.depth_path, frame.target_path, frame.score_path)
        if path is not None
    ]
    _leave(inputs, [output / f'{frame.stem}.png' for frame in manifest.frames])


def _leave(inputs: Iterable[Path], results: Iterable[Path]) -> None:
    """Raise DataError where a result would overwrite an input, also through links."""

    def identity(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_dev, status.st_ino

    taken = {identity(path) for path in inputs if path.exists()}
    for result in results:
        if result.exists() and identity(result) in taken:
            raise DataError(f'{result}: is an input and would be overwritten; give another OUTPUT')
