# SPDX-License-Identifier: Apache-2.0
"""
Reads what an ONNX file says of itself, without the onnx package and without its weights.

Only the outer fields of the protobuf (onnx.proto: ``ModelProto``, ``GraphProto``) are walked;
nodes and weights are jumped over, so a file of any size is read in well under a millisecond
and a truncated one is noticed because a field ends behind the end of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from magadepth_ros.engines.engine import ModelInfo
from magadepth_ros.errors import ModelError

FORMAT = '1'
INPUTS = ('rgb', 'depth')
OUTPUT = 'completed'
OPTIONAL_OUTPUT = 'log_variance'

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_INPUT, _GRAPH_OUTPUT = 11, 12
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class OnnxHeader:
    """Outer part of an ONNX file: its metadata and the names of its inputs and outputs."""

    metadata: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_model_info(path: Path | str) -> ModelInfo:
    """
    Return what the ONNX file ``path`` says of itself.

    Raises
    ------
    ModelError
        the file is missing, truncated, no ONNX, lacks the metadata of a magadepth model, or has
        other inputs and outputs than ``rgb``, ``depth`` -> ``completed`` (, ``log_variance``).

    """
    path = Path(path)
    header = read_onnx_header(path)
    found = header.metadata
    if 'magadepth_format' not in found:
        raise ModelError(
            f'{path}: expected the metadata of a magadepth model (magadepth_format, network, '
            f'...), found {sorted(found) or "none"}; export it with `magadepth export-onnx`'
        )
    if found['magadepth_format'] != FORMAT:
        raise ModelError(
            f'{path}: magadepth_format is {found["magadepth_format"]!r}, this version reads '
            f'{FORMAT!r}; export it again with `magadepth export-onnx` or update the package'
        )
    if set(header.inputs) != set(INPUTS) or OUTPUT not in header.outputs:
        raise ModelError(
            f'{path}: expected inputs rgb, depth and output completed, found '
            f'{", ".join(header.inputs) or "none"} -> {", ".join(header.outputs) or "none"}; '
            'export it again with `magadepth export-onnx`'
        )
    try:
        info = ModelInfo(
            network=found['network'],
            height=int(found['input_height']),
            width=int(found['input_width']),
            min_depth=float(found['min_depth']),
            max_depth=float(found['max_depth']),
            normalisation=found['normalisation'],
            version=found['version'],
            training_data=found['training_data'],
            licence=found['licence'],
            low_precision_safe=found.get('low_precision_safe', '0') == '1',
        )
    except KeyError as error:
        raise ModelError(
            f'{path}: the metadata lacks {error.args[0]!r}; export it again with '
            '`magadepth export-onnx`'
        ) from None
    except ValueError as error:
        raise ModelError(
            f'{path}: a number in the metadata is broken ({error}); export it again with '
            '`magadepth export-onnx`'
        ) from None
    if info.height < 1 or info.width < 1 or not 0 <= info.min_depth < info.max_depth:
        raise ModelError(
            f'{path}: impossible metadata: {info.width}x{info.height} px, '
            f'{info.min_depth}..{info.max_depth} m; export it again with `magadepth export-onnx`'
        )
    return info


def read_onnx_header(path: Path | str) -> OnnxHeader:
    """Return metadata, input and output names of any ONNX file; ModelError where it is none."""
    path = Path(path)
    metadata: dict[str, str] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    try:
        with path.open('rb') as file:
            size = file.seek(0, 2)
            for number, start, end in _fields(file, 0, size):
                if number == _MODEL_METADATA:
                    entry = {n: _text(file, a, b) for n, a, b in _fields(file, start, end)}
                    metadata[entry.get(1, '')] = entry.get(2, '')
                elif number == _MODEL_GRAPH:
                    for kind, a, b in _fields(file, start, end):
                        if kind in (_GRAPH_INPUT, _GRAPH_OUTPUT):
                            names = inputs if kind == _GRAPH_INPUT else outputs
                            names += [
                                _text(file, c, d) for n, c, d in _fields(file, a, b) if n == 1
                            ]
    except FileNotFoundError:
        raise ModelError(f'{path}: no such model file') from None
    except OSError as error:
        raise ModelError(f'{path}: cannot be read: {error.strerror or error}') from None
    except (_BrokenError, UnicodeDecodeError):
        raise ModelError(
            f'{path}: not an ONNX file, or a truncated one ({path.stat().st_size} bytes); '
            'copy or export it again'
        ) from None
    if not outputs:
        raise ModelError(f'{path}: not an ONNX file: it has no graph with outputs')
    return OnnxHeader(metadata, tuple(inputs), tuple(outputs))


class _BrokenError(Exception):
    """The bytes are not the protobuf they should be."""


def _varint(file: BinaryIO, end: int) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte or file.tell() > end:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise _BrokenError


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (field number, first byte, byte behind the last) of the length-delimited fields."""
    position = start
    while position < end:
        file.seek(position)
        key = _varint(file, end)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            _varint(file, end)
            position = file.tell()
        elif kind == _FIXED64:
            position = file.tell() + 8
        elif kind == _FIXED32:
            position = file.tell() + 4
        elif kind == _BYTES:
            length = _varint(file, end)
            first = file.tell()
            position = first + length
            if position > end:
                raise _BrokenError
            yield number, first, position
        else:
            raise _BrokenError
        if number == 0 or position > end:
            raise _BrokenError


def _text(file: BinaryIO, start: int, end: int) -> str:
    file.seek(start)
    return file.read(end - start).decode('utf-8')
