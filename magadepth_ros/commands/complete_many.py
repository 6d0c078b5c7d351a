# SPDX-License-Identifier: Apache-2.0
"""Complete many recordings into one folder, for ``magadepth complete``: done ones are skipped."""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from magadepth_ros.completion.settings import CompletionSettings
from magadepth_ros.engines.cache import sha256_of
from magadepth_ros.errors import DataError
from magadepth_ros.files import MANIFEST_NAME, write_result
from magadepth_ros.recordings import is_bag_path
from magadepth_ros.resources import find_model

SETTINGS = 'settings.json'
"""File in the folder of the results: model and options of the run."""

_SETTINGS = (
    *('precision', 'rgb_topic', 'depth_topic', 'namespace', 'output_encoding', 'points'),
    *('depth_to_rgb', 'assume_aligned'),
)
"""Options that change a result; runtime and threads may differ from machine to machine."""


@dataclass(frozen=True)
class Item:
    """One recording and the path of its result: a bag, or a folder of pictures."""

    source: Path
    output: Path

    @property
    def done(self) -> bool:
        """Whether the result exists; a bag appears only when it is whole."""
        return is_bag_path(self.source) and self.output.exists()


def items(sources: Sequence[Path], output: Path, shard: tuple[int, int] = (1, 1)) -> list[Item]:
    """
    Return the recordings of one shard.

    Parameters
    ----------
    sources:
        bags and manifest folders.
    output:
        the folder of the results, each of which is called after its recording.
    shard:
        (k, n): the k-th of n parts, from 1 on. Only the name decides to which part a recording
        belongs, so that the parts fit together although each machine lists the recordings itself.

    Raises
    ------
    DataError
        two recordings have one name, or ``output`` is a recording itself.

    """
    if is_bag_path(output) or (output / MANIFEST_NAME).exists():
        raise DataError(
            f'{output}: expected the folder of the results as the last argument, got a recording'
        )
    found: dict[str, Item] = {}
    for source in sources:
        path = source.resolve()
        name = path.parent.name if path.name == MANIFEST_NAME else path.name
        other = found.setdefault(name, Item(source, output / name))
        if other.source is not source:
            raise DataError(
                f'{other.source} and {source} would both be written to {output / name}; '
                'complete them into different folders'
            )
    part, parts = shard
    mine = [name for name in sorted(found) if zlib.crc32(name.encode()) % parts == part - 1]
    return [found[name] for name in mine]


def keep_settings(args: argparse.Namespace, settings: CompletionSettings) -> None:
    """
    Write the settings of the results, or compare them with the settings in the folder.

    Raises
    ------
    DataError
        the folder has results of another model or of other options.

    """
    now: dict[str, Any] = {'model': sha256_of(find_model(args.model))}
    now.update((name, getattr(args, name)) for name in _SETTINGS)
    now['depth_to_rgb'] = list(args.depth_to_rgb)
    now |= asdict(settings)
    path = args.output / SETTINGS
    try:
        before = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        write_result(path, json.dumps(now, indent=1) + '\n')
        return
    except (OSError, ValueError) as error:
        raise DataError(f'{path}: cannot be read: {error}') from None
    other = [name for name, value in now.items() if before.get(name) != value]
    if other:
        raise DataError(
            f'{args.output}: has results of other settings ({", ".join(other)}); '
            'give another OUTPUT, or remove this folder'
        )


def complete_many(chosen: Sequence[Item], complete: Callable[[Item], str]) -> int:
    """
    Complete one item after the other; returns 2 where one could not be completed.

    ``complete`` returns a sentence about the result of an item. A recording that cannot be
    completed is reported, and the others are completed all the same.
    """
    failed = 0
    for number, item in enumerate(chosen, start=1):
        where = f'[{number}/{len(chosen)}]'
        if item.done:
            print(f'{where} {item.output}: is done already', flush=True)
            continue
        try:
            print(f'{where} {complete(item)}', flush=True)
        except DataError as error:
            failed += 1
            print(f'{where} {error}', file=sys.stderr, flush=True)
    if failed:
        print(
            f'magadepth: {failed} of {len(chosen)} recordings could not be completed',
            file=sys.stderr,
        )
    return 2 if failed else 0
