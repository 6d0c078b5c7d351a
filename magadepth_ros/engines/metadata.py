# SPDX-License-Identifier: Apache-2.0
"""Read and check the metadata of an ONNX file, as a runtime or the onnx package gives them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from magadepth_ros.engines.engine import ModelInfo
from magadepth_ros.errors import EngineError, ModelError, pip_install

FORMAT = '1'
INPUTS = ('rgb', 'depth')
OUTPUT = 'completed'
OPTIONAL_OUTPUT = 'log_variance'


def model_info(
    path: Path | str,
    metadata: Mapping[str, str],
    inputs: Mapping[str, Sequence[Any]],
    outputs: Collection[str],
) -> ModelInfo:
    """
    Check the metadata, inputs and outputs of an ONNX, and return its `ModelInfo`.

    Parameters
    ----------
    path:
        path of the file, for errors.
    metadata:
        its metadata_props.
    inputs:
        shapes of the inputs by name; a free length is any value but the expected one.
    outputs:
        names of the outputs.

    Raises
    ------
    ModelError
        the metadata of a magadepth model are missing or broken, or the inputs and outputs are
        not ``rgb``, ``depth`` -> ``completed`` (, ``log_variance``).
    EngineError
        the inputs are not of the size that the metadata says.

    """

    def refusal(what: str) -> ModelError:
        return ModelError(f'{path}: {what}; export it again with `magadepth export-onnx`')

    form = metadata.get('magadepth_format')
    if form is None:
        raise refusal(
            'expected the metadata of a magadepth model (magadepth_format, network, ...), found '
            f'{sorted(metadata) or "none"}'
        )
    if form != FORMAT:
        raise refusal(f'magadepth_format is {form!r}, this version reads {FORMAT!r}')
    if set(inputs) != set(INPUTS) or OUTPUT not in outputs:
        raise refusal(
            f'expected inputs rgb, depth and output completed, found '
            f'{", ".join(inputs) or "none"} -> {", ".join(outputs) or "none"}'
        )
    try:
        info = ModelInfo(
            network=metadata['network'],
            height=int(metadata['input_height']),
            width=int(metadata['input_width']),
            min_depth=float(metadata['min_depth']),
            max_depth=float(metadata['max_depth']),
            normalisation=metadata['normalisation'],
            version=metadata['version'],
            training_data=metadata['training_data'],
            licence=metadata['licence'],
            low_precision_safe=metadata.get('low_precision_safe', '0') == '1',
        )
    except KeyError as error:
        raise refusal(f'the metadata lacks {error.args[0]!r}') from None
    except ValueError as error:
        raise refusal(f'a number in the metadata is broken ({error})') from None
    if info.height < 1 or info.width < 1 or not 0 <= info.min_depth < info.max_depth:
        raise refusal(
            f'impossible metadata: {info.width}x{info.height} px, '
            f'{info.min_depth}..{info.max_depth} m'
        )
    stated = list(inputs[INPUTS[1]])
    if stated[2:] != [info.height, info.width]:
        raise EngineError(
            f'{path}: expected an input of (N, 1, {info.height}, {info.width}), as its metadata '
            f'says, found {stated}'
        )
    return info


def read_model_info(path: Path | str) -> ModelInfo:
    """
    Return the metadata of an ONNX file, read by the onnx package.

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        its inputs are not of the size that its metadata says, or the onnx package is missing.

    """
    model = load_onnx(path)
    return model_info(
        path,
        {entry.key: entry.value for entry in model.metadata_props},
        {
            value.name: [length.dim_value for length in value.type.tensor_type.shape.dim]
            for value in model.graph.input
        },
        [value.name for value in model.graph.output],
    )


def load_onnx(path: Path | str) -> Any:
    """Return the ``onnx.ModelProto`` of a file; raises as `read_model_info` does."""
    try:
        import onnx
    except ImportError as error:
        raise EngineError(
            f'this needs the onnx package ({error}); {pip_install("onnx")}'
        ) from error
    try:
        model = onnx.load(str(path))
    except FileNotFoundError:
        raise ModelError(f'{path}: no such model file') from None
    except Exception as error:
        # Exceptions of the protobuf runtimes share no base class.
        raise not_a_model(path) from error
    if not model.graph.output:
        raise not_a_model(path)
    return model


def not_a_model(path: Path | str) -> ModelError:
    """Return the error for a file that cannot be parsed."""
    return ModelError(
        f'{path}: not an ONNX file, or a truncated one ({Path(path).stat().st_size} bytes); '
        'copy or export it again'
    )
