# SPDX-License-Identifier: Apache-2.0
"""The checks of ``magadepth doctor``; each returns findings with their remedies."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from time import perf_counter

from magadepth_ros import __version__
from magadepth_ros.engines import BACKENDS, FASTEST_FIRST, opening
from magadepth_ros.engines.cache import cache_folder
from magadepth_ros.errors import (
    DataError,
    EngineError,
    MagadepthError,
    describe,
    pip_install,
    pip_install_extra,
)
from magadepth_ros.files import require_writable
from magadepth_ros.machine import cores, processor, versions
from magadepth_ros.resources import DEFAULT_MODEL, find_model, model_names, share_dir
from magadepth_ros.simulation import simulated_frames

OK, NOTE, FAULT = 'ok', 'note', 'fault'
"""It works; an optional part is missing; a fault."""

MESSAGES = (
    *('sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'std_srvs', 'lifecycle_msgs'),
    'rcl_interfaces',
)
SEGMENT = 64 * 2**20
"""Shared memory of each process with this package's DDS profile [bytes]."""
TIMED = 1.0
"""Seconds for which a runtime is timed."""


@dataclass(frozen=True)
class Finding:
    """One line of the page: ``remedy`` is '' where there is nothing to do."""

    name: str
    state: str
    said: str
    remedy: str = ''


def package() -> Iterator[Finding]:
    """Report what is installed, and where."""
    yield Finding('magadepth_ros', OK, f'{__version__} in {share_dir()}')
    yield Finding('Python', OK, f'{platform.python_version()}, {sys.executable}')
    system = f'{platform.system()} {platform.machine()}'
    yield Finding('machine', OK, f'{processor()}, {cores()} cores, {system}')
    found = versions()
    libraries = [
        f'{name} {found[name]}' for name in found if name not in ('magadepth_ros', 'python')
    ]
    yield Finding('libraries', OK, ', '.join(libraries))


def ros() -> Iterator[Finding]:
    """Look for rclpy, the messages, and the optional packages."""
    distro = os.environ.get('ROS_DISTRO', '')
    missing = [name for name in ('rclpy', *MESSAGES) if importlib.util.find_spec(name) is None]
    if missing:
        remedy = (
            _apt_install(distro, missing[0])
            if distro
            else f'source a ROS 2 distribution, or {pip_install_extra("ros")}'
        )
        yield Finding('messages', FAULT, f'{", ".join(missing)} missing', remedy)
    else:
        yield Finding('messages', OK, f'{distro or "wheels"}: all there')
    for name, without in (
        ('message_filters', "this package's own pairer is used, with the same rules"),
        ('cv_bridge', 'only the usual encodings are read'),
        ('tf2_msgs', 'extrinsics come from depth_to_rgb alone'),
        ('launch_ros', 'no launch files; the nodes start by `ros2 run`'),
    ):
        if importlib.util.find_spec(name) is not None:
            yield Finding(name, OK, 'is used')
        else:
            install = _apt_install(distro, name) if distro else ''
            yield Finding(name, NOTE, f'not installed: {without}', install)


def _apt_install(distro: str, name: str) -> str:
    return f'sudo apt install ros-{distro}-{name.replace("_", "-")}'


def dds() -> Iterator[Finding]:
    """Check that images fit into the shared memory of the middleware; the default is too small."""
    from magadepth_ros.nodes.dds import PROFILE_VARIABLES

    given = next((os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)), '')
    if not given:
        said = 'none set: processes that this package starts set their own'
        profile = share_dir() / 'config' / 'fastdds.xml'
        remedy = f'for a driver that you start: export {PROFILE_VARIABLES[0]}={profile}'
        yield Finding('profile', NOTE, said, remedy)
    elif Path(given).is_file():
        yield Finding('profile', OK, given)
    else:
        said = f'{given}: no such file, so images of best-effort publishers do not arrive'
        yield Finding('profile', FAULT, said, f'unset {" ".join(PROFILE_VARIABLES)}')
    memory = Path('/dev/shm')
    if memory.is_dir():
        free = shutil.disk_usage(memory).free
        left = len(list(memory.glob('fastdds_*')))
        said = f'{free / 2**20:.0f} MiB free in {memory}, {left} files of Fast DDS'
        if free > 4 * SEGMENT:
            yield Finding('shared memory', OK, said)
        else:
            yield Finding(
                'shared memory',
                FAULT,
                said,
                'remove what ended processes left (rm /dev/shm/fastdds_* while no node runs); '
                'in a container: --ipc=host, or --shm-size=1g',
            )


def runtimes(model: str = DEFAULT_MODEL) -> Iterator[Finding]:
    """Time each backend for a second with ``model``."""
    path = find_model(model)
    works = False
    for backend in BACKENDS:
        if backend in ('auto', 'torch'):
            continue
        try:
            said = _timed(path, backend)
            works = True
            yield Finding(backend, OK, said)
        except Exception as error:  # a driver or a half-installed library may raise anything
            yield Finding(backend, NOTE, describe(error).splitlines()[0])
    if not works:
        said = f'none of {", ".join(FASTEST_FIRST)} works'
        yield Finding('auto', FAULT, said, pip_install('openvino'))


def _timed(path: Path, backend: str) -> str:
    from magadepth_ros.completion import Completer

    # TensorRT is timed only with an engine of the cache, as a build takes minutes.
    offer = opening.open_for_service(opening.EngineRequest(path, backend))
    with Completer(offer.engine) as completer:
        if offer.build is not None:
            raise DataError('works, but has no engine yet; build it: magadepth export-trt')
        frames = simulated_frames(640, 480, 2)
        completer.complete(*frames[0])
        times, end = [], perf_counter() + TIMED
        for frame in cycle(frames):
            start = perf_counter()
            completer.complete(*frame)
            times.append(perf_counter() - start)
            if perf_counter() > end:
                break
        milliseconds = 1e3 * sorted(times)[len(times) // 2]
        return f'{completer.engine.precision}: {milliseconds:.1f} ms a frame of 640x480'


def models() -> Iterator[Finding]:
    """List the shipped models and the cache of engines."""
    for name in model_names():
        try:
            path = find_model(name)
            request = opening.EngineRequest(path, precision='fp32')
            with closing(opening.open_for_service(request, gpu=False).engine) as engine:
                info = engine.info
            size = f'{path.stat().st_size / 2**20:.1f} MiB'
            said = (
                f'{size}, {info.width}x{info.height}, {info.min_depth:g} to {info.max_depth:g} m'
            )
            yield Finding(name, OK, said)
        except EngineError as error:
            remedy = 'fix a runtime above; where one works, install the package again'
            yield Finding(name, FAULT, str(error), remedy)
        except MagadepthError as error:
            yield Finding(name, FAULT, str(error), 'install the package again')
    if not model_names():
        yield Finding('shipped', FAULT, 'none', 'install the package again')
    engines = list((cache_folder() / 'engines').glob('*.engine'))
    yield _writable(
        'cache',
        cache_folder(),
        f', {len(engines)} TensorRT engines',
        'set XDG_CACHE_HOME to a folder that can be written and is kept',
    )


def rights() -> Iterator[Finding]:
    """Find folders that cannot be written, and devices that this user may not open."""
    yield _writable('here', Path.cwd(), '', 'change to a folder of yours, or name --output')
    log = os.environ.get('ROS_LOG_DIR') or os.environ.get('ROS_HOME') or os.environ.get('HOME')
    if log:
        yield _writable('ROS logs', Path(log), '', 'set ROS_LOG_DIR')
    else:
        said = 'neither HOME nor ROS_LOG_DIR is set: rclpy does not start'
        yield Finding('ROS logs', FAULT, said, 'set ROS_LOG_DIR')
    for pattern, what, group in (
        ('video*', 'cameras', 'video'),
        ('dri/renderD*', 'graphics', 'render'),
        ('nvidia[0-9]*', 'NVIDIA GPUs', 'video'),
    ):
        devices = sorted(Path('/dev').glob(pattern))
        closed = [str(path) for path in devices if not os.access(path, os.R_OK | os.W_OK)]
        if closed:
            remedy = f'sudo usermod -aG {group} $USER, then log in again'
            yield Finding(what, FAULT, f'no access to {closed[0]}', remedy)
        elif devices:
            yield Finding(what, OK, ', '.join(map(str, devices)))


def graph(seconds: float) -> Iterator[Finding]:
    """List the image topics and completion nodes that are visible from this machine."""
    if importlib.util.find_spec('rclpy') is None:
        return
    from magadepth_ros.nodes.dds import use_shipped_profile
    from magadepth_ros.subscribers.graph import discover

    use_shipped_profile()
    seen = discover(seconds)
    said = f'{seen.rmw}, ROS_DOMAIN_ID {seen.domain}, {len(seen.nodes)} other nodes'
    yield Finding('middleware', OK, said)
    for topic in seen.images:
        said = f'{topic.kind.rpartition("/")[2]}, {topic.publishers} publishers'
        yield Finding(
            topic.name, OK, said + ('' if topic.has_info else ', no camera_info beside it')
        )
    if not seen.images:
        yield Finding(
            'cameras',
            NOTE,
            f'no image topic within {seconds:g} s',
            'start the camera; ROS_DOMAIN_ID and RMW_IMPLEMENTATION must be those of its driver',
        )
    for name, (well, said) in seen.statuses.items():
        if well:
            yield Finding(name, OK, said)
        else:
            yield Finding(name, FAULT, said, 'docs/troubleshooting.md')


def examine(seconds: float, model: str = DEFAULT_MODEL) -> Iterator[tuple[str, Finding]]:
    """Run every check, and yield each finding with its part; an exception is a finding too."""
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        'package': package,
        'ROS': ros,
        'DDS': dds,
        'runtimes': lambda: runtimes(model),
        'models': models,
        'rights': rights,
        'graph': lambda: graph(seconds),
    }
    for part, check in checks.items():
        try:
            for finding in check():
                yield part, finding
        except Exception as error:
            yield part, Finding(part, FAULT, describe(error).splitlines()[0])


def _writable(name: str, folder: Path, more: str, remedy: str) -> Finding:
    try:
        require_writable(folder, folder=True)
    except DataError as error:
        return Finding(name, FAULT, str(error), remedy)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    said = f'{folder}: {free / 2**30:.1f} GiB free{more}'
    if free < 2**30:
        return Finding(name, FAULT, said, 'free some space')
    return Finding(name, OK, said)
