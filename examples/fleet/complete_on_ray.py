# SPDX-License-Identifier: Apache-2.0
"""
Complete many recordings on a Ray cluster: a task for each, repeated where its machine is lost.

Recordings and results lie in folders that every machine sees. On each machine:

    pip install ray "magadepth_ros[cpu,bags]"

    python complete_on_ray.py /data/bags/* /data/out --cpus 4 -- --max-depth 4

Options behind ``--`` go to ``magadepth complete``. A second start resumes the work.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from magadepth_ros.commands import main as magadepth
from magadepth_ros.commands.complete_many import Item, items
from magadepth_ros.commands.progress import progress
from magadepth_ros.errors import MagadepthError

# Ray would report its use to its makers.
os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')

import ray

RETRIES = 10
"""How often a recording is repeated after its machine was lost."""


class RefusedError(Exception):
    """A recording cannot be completed on any machine."""


# In the worker's own process: a child process would outlive a worker that is killed, and
# write beside the one that tries again.
@ray.remote(max_retries=RETRIES)
def complete(source: str, output: str, options: Sequence[str]) -> str:
    """Complete one recording below ``output``; returns a sentence about the result."""
    printed, failed = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(failed):
        code = magadepth.main(['complete', source, output, '--shard', '1/1', *options])
    if code:
        raise RefusedError(failed.getvalue().strip().splitlines()[-1])
    return printed.getvalue().strip()


def run(chosen: Sequence[Item], output: Path, options: Sequence[str], cpus: float) -> list[str]:
    """Complete all on the connected cluster; returns the recordings that failed."""
    task = complete.options(num_cpus=cpus)
    tasks = {task.remote(str(item.source), str(output), options): item for item in chosen}
    failures = []
    with progress(len(tasks), 'recordings', ' recordings') as bar:
        waiting = list(tasks)
        while waiting:
            (ready,), waiting = ray.wait(waiting)
            try:
                ray.get(ready)
            except (RefusedError, ray.exceptions.RayError) as error:
                failures.append(f'{tasks[ready].source}: {error}')
            bar.update()
    return failures


def main(argv: Sequence[str] | None = None) -> int:
    """Complete the named recordings; returns 2 where one could not be completed."""
    given = list(sys.argv[1:] if argv is None else argv)
    options = given[given.index('--') + 1 :] if '--' in given else []
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    parser.add_argument('source', nargs='+', type=Path, help='bags and folders of frames')
    parser.add_argument('output', type=Path, help='folder of the results')
    parser.add_argument('--address', help='of the cluster (default: the one of this machine)')
    parser.add_argument('--cpus', type=int, default=2, help='cores of each task')
    args = parser.parse_args(given[: given.index('--')] if '--' in given else given)
    output = args.output.resolve()
    try:
        chosen = items([source.resolve() for source in args.source], output)
    except MagadepthError as error:
        parser.error(str(error))
    ray.init(address=args.address)
    failures = run(chosen, output, ['--threads', str(args.cpus), *options], args.cpus)
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f'{len(chosen) - len(failures)} of {len(chosen)} recordings are completed')
    return 2 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
