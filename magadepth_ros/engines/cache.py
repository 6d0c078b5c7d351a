# SPDX-License-Identifier: Apache-2.0
"""
The cache of engines built from models, in which each engine is built once.

An engine fits only the model, runtime version, GPU, precision and shape it was built for;
a runtime may crash on any other. All of these are the key. The JSON file beside the engine has
the key and the engine's size and SHA-256, and an engine is read only where all of them agree. An
engine that does not agree is moved aside, never deleted, as it may belong to somebody.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from magadepth_ros.engines.engine import ModelInfo
from magadepth_ros.errors import EngineError
from magadepth_ros.files import write_atomically

SIDECAR_FORMAT = 1
PORTABLE_GPU = 'portable'
"""The ``gpu`` of an engine that is not bound to one GPU (TensorRT for RTX)."""


@dataclass(frozen=True)
class EngineKey:
    """
    Everything that an engine depends on.

    ``shape`` is (largest batch, height, width) [px]; ``compute_capability`` like ``8.9``, for a
    portable engine the targets it was built for.
    """

    onnx_sha256: str
    runtime: str
    runtime_version: str
    gpu: str
    compute_capability: str
    precision: str
    shape: tuple[int, int, int]

    def digest(self) -> str:
        """Return 16 hex digits that name this key."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class EngineFile:
    """A serialized engine, its key and its report; ``path`` is None where it is not stored."""

    data: bytes
    info: ModelInfo
    key: EngineKey
    report: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/magadepth_ros`` (default ``~/.cache/magadepth_ros``)."""
    base = os.environ.get('XDG_CACHE_HOME', '')
    root = Path(base) if base.startswith('/') else Path.home() / '.cache'
    return root / 'magadepth_ros'


def sha256_of(path: Path | str) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def engine_path(model: Path | str, key: EngineKey) -> Path:
    """Return the path in the cache of the engine of ``model`` with this key."""
    name = f'{Path(model).stem}-{key.runtime}-{key.precision}-{key.digest()}.engine'
    return cache_folder() / 'engines' / name


def sidecar_path(engine: Path) -> Path:
    """Return the JSON file that belongs to an engine."""
    return engine.with_name(engine.name + '.json')


def find_engine(model: Path | str, key: EngineKey) -> tuple[EngineFile | None, str]:
    """
    Return the engine of ``model`` with this key, or None and the reason.

    A file that exists but is not the right engine (truncated, foreign, of another version
    or GPU) is moved aside.
    """
    path = engine_path(model, key)
    if not path.exists():
        return None, 'no engine was built yet for this model, runtime, GPU, precision and shape'
    try:
        return read_engine(path, key), 'found'
    except EngineError as error:
        return None, f'{error}; {move_aside(path)}'


def read_engine(path: Path | str, key: EngineKey | None = None) -> EngineFile:
    """
    Read an engine and its sidecar; EngineError where they do not agree with each other or ``key``.

    The file's size and SHA-256 and every part of the key are compared; nothing is deserialised.
    """
    path = Path(path)
    sidecar = sidecar_path(path)
    again = 'build it again with `magadepth export-trt`'
    try:
        found = json.loads(sidecar.read_text(encoding='utf-8'))
        stored = EngineKey(**{**found['key'], 'shape': tuple(found['key']['shape'])})
        size, digest, form = int(found['size']), str(found['sha256']), found['format']
        info = ModelInfo(**found['model'])
    except FileNotFoundError:
        raise EngineError(
            f'{path}: {sidecar.name} is not beside it, so its GPU and version are unknown; '
            + again
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = f'{sidecar}: not the description of an engine ({error}); {again}'
        raise EngineError(text) from None
    if form != SIDECAR_FORMAT:
        raise EngineError(f'{sidecar}: format {form}, this version reads {SIDECAR_FORMAT}')
    for name, wanted in asdict(key or stored).items():
        have = getattr(stored, name)
        if have != wanted:
            raise EngineError(f'{path}: built for {name} {have}, but {wanted} is needed')
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineError(f'{path}: cannot be read: {error.strerror or error}') from None
    if len(data) != size:
        raise EngineError(f'{path}: truncated or changed: {len(data)} bytes, expected {size}')
    if hashlib.sha256(data).hexdigest() != digest:
        raise EngineError(f'{path}: changed since it was built: its SHA-256 differs')
    return EngineFile(data, info, stored, found.get('report', {}), path)


def store_engine(file: EngineFile, path: Path) -> EngineFile:
    """
    Write an engine and its sidecar to ``path``, each under a temporary name first.

    Where the same engine exists already, only its sidecar is written again.

    Raises
    ------
    EngineError
        the folder cannot be written or the disk is full; no half-written file stays.

    """
    digest = hashlib.sha256(file.data).hexdigest()
    sidecar = {
        'format': SIDECAR_FORMAT,
        'key': asdict(file.key),
        'size': len(file.data),
        'sha256': digest,
        'model': asdict(file.info),
        'report': file.report,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = path.is_file() and sha256_of(path) == digest
        # The old engine is removed first and the new one written last, so that another process
        # finds no engine meanwhile, but never a wrong one.
        if not kept:
            path.unlink(missing_ok=True)
        write_atomically(sidecar_path(path), json.dumps(sidecar, indent=2).encode() + b'\n')
        if not kept:
            write_atomically(path, file.data)
    except OSError as error:
        with suppress(OSError):
            if not path.exists():
                sidecar_path(path).unlink(missing_ok=True)
        cached = path.is_relative_to(cache_folder())
        elsewhere = 'set XDG_CACHE_HOME to' if cached else 'name'
        raise EngineError(
            f'{path}: the engine cannot be stored ({error.strerror or error}); free some space or '
            f'{elsewhere} a folder that can be written'
        ) from error
    return replace(file, path=path)


@contextmanager
def build_lock(
    path: Path,
    waiting: Callable[[], None] = lambda: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[bool]:
    """
    Hold the lock of the engine at ``path``: of two processes or threads, one builds.

    Yields whether the lock is held. A cache without write permission has no lock; then no other
    process can write the engine either. The kernel drops the lock of a process that dies.
    ``waiting`` is called once where another process holds the lock.

    Raises
    ------
    EngineError
        ``cancelled()`` became true while waiting.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + '.lock').open('a')
    except OSError:
        yield False
        return
    with file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting()
                told = True
                if cancelled():
                    raise EngineError(f'{path}: stopped waiting for its build') from None
                time.sleep(0.05)
        yield True


def move_aside(path: Path) -> str:
    """Rename a bad engine and its sidecar; return a text that says so."""
    places = (path.with_name(f'{path.name}.bad{number}') for number in count(1))
    try:
        aside = next(place for place in places if not place.exists())
        path.replace(aside)
        with suppress(FileNotFoundError):
            sidecar_path(path).replace(sidecar_path(aside))
    except OSError as error:
        return f'it cannot be moved aside ({error.strerror or error})'
    return f'moved aside as {aside.name}'
