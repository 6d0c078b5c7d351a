# SPDX-License-Identifier: Apache-2.0
"""Many machines: a Ray cluster that loses one, and the lines for SLURM and Kubernetes."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.models import write_tiny_model

from magadepth_ros.commands import reference, values
from magadepth_ros.simulation import simulated_frames

FLEET = Path(__file__).resolve().parents[2] / 'examples' / 'fleet'
FRAMES, RECORDINGS = 60, 5


def write_long_recording(folder: Path) -> Path:
    """Many frames for the disk space of one."""
    folder.mkdir(parents=True)
    ((rgb, depth),) = simulated_frames(640, 480, 1)
    cv2.imwrite(str(folder / 'rgb.png'), rgb)
    cv2.imwrite(str(folder / 'depth.png'), np.rint(depth * 1000).astype(np.uint16))
    entries = []
    for index in range(FRAMES):
        (folder / f'{index:03}.png').symlink_to('rgb.png')
        entries.append({'rgb': f'{index:03}.png', 'depth': 'depth.png'})
    text = json.dumps({'depth_scale': 0.001, 'frames': entries})
    (folder / 'manifest.json').write_text(text)
    return folder


def results(folder: Path) -> dict[str, int]:
    found = {}
    for path in folder.glob('*/*.png'):
        found[str(path.relative_to(folder))] = path.stat().st_mtime_ns
    return found


def lose(machine) -> None:
    """End all processes of a machine at once, as a power cut does."""
    raylet = machine.all_processes['raylet'][0].process.pid
    children = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            parent = stat.read_text().rpartition(')')[2].split()[1]
            children += [int(stat.parent.name)] if int(parent) == raylet else []
    for pid in (raylet, *children):
        os.kill(pid, signal.SIGKILL)


def test_a_machine_that_is_lost_costs_no_frame_and_none_is_done_twice(tmp_path):
    pytest.importorskip('ray', reason='ray is not installed')
    from ray.cluster_utils import Cluster

    model = write_tiny_model(tmp_path / 'tiny.onnx', 240, 320)
    sources = [write_long_recording(tmp_path / 'in' / f'{i}') for i in range(RECORDINGS)]
    out = tmp_path / 'out'
    cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 0})
    process = None
    try:
        machines = [cluster.add_node(num_cpus=1) for _ in range(2)]
        command = [sys.executable, str(FLEET / 'complete_on_ray.py'), *map(str, sources), str(out)]
        command += ['--address', cluster.address, '--cpus', '1', '--', '--model', str(model)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

        def both_work() -> bool:
            begun = [len(list(folder.glob('*.png'))) for folder in out.glob('*/')]
            return sum(0 < count < FRAMES for count in begun) == 2

        end = time.monotonic() + 240
        while not both_work():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end, 'two machines never worked at once'
            time.sleep(0.02)
        lose(machines[0])
        before = results(out)
        cluster.remove_node(machines[0], allow_graceful=False)
        said, _ = process.communicate(timeout=400)
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.communicate()
        cluster.shutdown()
    assert process.returncode == 0, said
    assert f'{RECORDINGS} of {RECORDINGS} recordings are completed' in said
    after = results(out)
    assert set(after) == {f'{i}/{n:03}.png' for i in range(RECORDINGS) for n in range(FRAMES)}
    assert 0 < len(before) < len(after)
    assert [name for name, when in before.items() if after[name] != when] == []
    # A frame that was being written is left under a temporary name at most.
    assert len(list(out.rglob('.*'))) <= 1


def test_the_lines_for_slurm_and_kubernetes_are_lines_of_the_command(tmp_path):
    yaml = pytest.importorskip('yaml', reason='reads YAML')
    (tmp_path / 'bags').mkdir()
    for name in ('a.mcap', 'b.mcap'):
        (tmp_path / 'bags' / name).write_bytes(b'')
    job = yaml.safe_load((FLEET / 'kubernetes.yaml').read_text(encoding='utf-8'))['spec']
    (container,) = job['template']['spec']['containers']
    pods = [*container['command'], container['args'][0].replace('/data/', f'{tmp_path}/')]
    slurm = ['sh', str(FLEET / 'complete.sbatch'), f'{tmp_path}/bags', f'{tmp_path}/out']
    printer = tmp_path / 'magadepth'
    printer.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    printer.chmod(0o755)
    parser = reference.parsers()['complete']
    for command, index, of in (
        *((slurm, 'SLURM_ARRAY_TASK_ID', range(1, 9)),),
        *((pods, 'JOB_COMPLETION_INDEX', range(job['completions'])),),
    ):
        shards = []
        for number in of:
            environment = {
                'PATH': f'{tmp_path}:{os.environ["PATH"]}',
                'SLURM_ARRAY_TASK_COUNT': '8',
                'SLURM_CPUS_PER_TASK': '4',
                index: str(number),
            }
            said = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            ).stdout.splitlines()
            assert said[0] == 'complete', shlex.join(said)
            args = parser.parse_intermixed_args(said[1:])
            assert [path.name for path in args.input] == ['a.mcap', 'b.mcap']
            assert args.output == tmp_path / 'out' and args.threads == 4
            shards.append(args.shard)
        assert shards == [(part, 8) for part in range(1, 9)]
    assert '#SBATCH --array=1-8' in (FLEET / 'complete.sbatch').read_text(encoding='utf-8')
    assert values.Shard()('8/8') == (8, 8)
