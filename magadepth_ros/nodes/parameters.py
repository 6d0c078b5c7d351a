# SPDX-License-Identifier: Apache-2.0
"""The parameters of completion_node: names, defaults, descriptions, ranges and their checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from magadepth_ros.completion.settings import CompletionSettings
from magadepth_ros.engines import BACKENDS, FASTEST_FIRST, PRECISIONS
from magadepth_ros.errors import DataError
from magadepth_ros.messages.registration import DepthRegistration
from magadepth_ros.nodes.parameter_declaration import (
    ON_CONFIGURE,
    ON_RELOAD,
    ON_START,
    declared,
    parameter,
    require_choice,
)
from magadepth_ros.resources import AUTO_MODEL
from magadepth_ros.topics import is_name


@dataclass(frozen=True)
class NodeParameters:
    """One consistent set of parameter values; each field is a parameter of the same name."""

    model: str = parameter(
        AUTO_MODEL,
        'Shipped model by name, or path of an ONNX or of an engine; auto: magadepth_small on a '
        'GPU, magadepth_tiny on a CPU.',
        ON_RELOAD,
    )
    backend: str = parameter(
        'auto',
        f'Runtime; auto is the first of {", ".join(FASTEST_FIRST)} that works.',
        ON_RELOAD,
        choices=BACKENDS,
    )
    precision: str = parameter(
        'auto',
        'Precision of the arithmetic inside the network; auto is the lowest that the metadata of '
        'the model call safe.',
        ON_RELOAD,
        choices=PRECISIONS,
    )
    threads: int = parameter(
        0,
        'CPU threads of the runtime; 0 = all cores, but one thread on OpenVINO for guided_fill '
        'with one camera.',
        ON_RELOAD,
        (0, 256),
    )
    min_depth: float = parameter(
        0.0, 'Nearest plausible depth [m]; 0 = the limit of the model.', limits=(0.0, 60.0)
    )
    max_depth: float = parameter(
        0.0, 'Farthest plausible depth [m]; 0 = the limit of the model.', limits=(0.0, 65.0)
    )
    keep_measured: bool = parameter(True, 'Measured pixels keep their values.')
    replace_outliers: bool = parameter(False, 'Treat flying pixels and speckle as missing.')
    outlier_tolerance: float = parameter(
        0.05, 'Smallest deviation of an outlier, relative to its depth.', limits=(0.001, 1.0)
    )
    confidence_threshold: float = parameter(
        0.0, 'Predicted pixels of a lower confidence become unknown.', limits=(0.0, 1.0)
    )
    temporal_smoothing: float = parameter(
        0.0,
        'Largest weight of earlier frames in the running mean of filled pixels; the mean starts '
        'again where something moves; 0 = off.',
        limits=(0.0, 0.95),
    )
    output_encoding: str = parameter(
        '32FC1',
        'Encoding of depth/completed: 32FC1 in metres, NaN = unknown; 16UC1 in millimetres, 0 = '
        'unknown.',
        choices=('32FC1', '16UC1'),
    )
    compressed_format: str = parameter(
        'png',
        'Format of depth/completed/compressedDepth; rvl is faster but larger.',
        choices=('png', 'rvl'),
    )
    cloud_stride: int = parameter(
        0,
        'Spacing of the points of the clouds [px]; 0 = 1 up to 640x480, 2 above.',
        limits=(0, 16),
    )
    cloud_rate: float = parameter(
        0.0, 'Highest rate of the clouds [Hz]; 0 = one for each frame.', limits=(0.0, 1e3)
    )
    cloud_confidence: bool = parameter(False, 'Add the field confidence to depth/points.')
    marking_confidence: float = parameter(
        0.5,
        'Smallest confidence of the filled pixels in depth/points_marking.',
        limits=(0.0, 1.0),
    )
    colorized_rate: float = parameter(
        0.0,
        'Highest rate of depth/colorized [Hz]; 0 = one for each frame.',
        limits=(0.0, 1e3),
    )
    slop: float = parameter(
        -1.0,
        'Largest gap between the stamps of a pair [s]; 0 = equal stamps, -1 = half of the '
        'measured frame period.',
        limits=(-1.0, 10.0),
    )
    max_age: float = parameter(
        0.5,
        'Pairs older than this are dropped [s]; 0 = never. Above 10 s, the stamps are assumed to '
        'come from another clock, and the pair is kept.',
        limits=(0.0, 60.0),
    )
    on_failure: str = parameter(
        'passthrough',
        'While no engine works, publish the measured depth alone (passthrough) or nothing '
        '(silent).',
        choices=('passthrough', 'silent'),
    )
    register_depth: bool = parameter(
        True,
        'Register depth whose frame is not that of the RGB; false treats all depth as aligned.',
        ON_CONFIGURE,
    )
    depth_to_rgb: tuple[float, ...] = parameter(
        (0.0,) * 7,
        'Position x, y, z [m] and quaternion x, y, z, w of the depth frame in the RGB frame; '
        'zeros = from /tf_static.',
        ON_CONFIGURE,
    )
    mask_max_age: float = parameter(
        0.1,
        'Largest gap between the stamps of a frame and of its mask [s].',
        limits=(0.0, 10.0),
    )
    mask_policy: str = parameter(
        'optional',
        'A frame without a mask is published unmasked (optional), or dropped (required).',
        choices=('optional', 'required'),
    )
    queue_size: int = parameter(
        10,
        'Largest number of messages of a stream that wait for their partner.',
        ON_CONFIGURE,
        (1, 100),
    )
    synchronizer: str = parameter(
        'auto',
        'Implementation of the pairing; auto = message_filters where it is installed, else own.',
        ON_CONFIGURE,
        choices=('auto', 'message_filters', 'own'),
    )
    transport: str = parameter(
        'raw',
        'Transport of the inputs: raw, or compressed (rgb/image/compressed and '
        'depth/image/compressedDepth).',
        ON_CONFIGURE,
        choices=('raw', 'compressed'),
    )
    depth_transport: str = parameter(
        'auto',
        'Transport of the depth input; auto = the value of transport.',
        ON_CONFIGURE,
        choices=('auto', 'raw', 'compressed'),
    )
    cameras: tuple[str, ...] = parameter(
        ('',),
        "Names of the cameras, each in its own namespace; [''] = one camera in the node's "
        'namespace.',
        ON_CONFIGURE,
    )
    autostart: bool = parameter(
        True, 'The node configures and activates itself at the start.', ON_START
    )
    build_only: bool = parameter(
        False, 'Build the TensorRT engine of the model for this machine, then exit.', ON_START
    )
    diagnostics_period: float = parameter(
        1.0, 'Period of the /diagnostics messages [s].', ON_START, (0.1, 60.0)
    )

    def completion(self) -> CompletionSettings:
        """
        Return the settings of the completer.

        Raises
        ------
        DataError
            the values contradict each other.

        """
        values = {item.name: getattr(self, item.name) for item in fields(CompletionSettings)}
        limits = {name: values[name] or None for name in ('min_depth', 'max_depth')}
        return CompletionSettings(**{**values, **limits})

    def registration(self) -> DepthRegistration | None:
        """
        Return a new registration of depth; None where depth counts as aligned.

        Raises
        ------
        DataError
            depth_to_rgb is no transform.

        """
        return DepthRegistration(self.depth_to_rgb) if self.register_depth else None

    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras; ``('',)`` for one camera in the node's namespace."""
        return tuple(name for name in self.cameras if name) or ('',)

    def changed(self, parameters: Iterable[Parameter], configured: bool) -> NodeParameters:
        """
        Apply changes, all or none.

        Parameters
        ----------
        parameters:
            changes; names that are not of this class are left to others.
        configured:
            whether those that are fixed after configure are fixed now.

        Raises
        ------
        DataError
            a value is not allowed, and why.

        """
        known = {item.name: item for item in fields(self)}
        changes: dict[str, Any] = {}
        for given in parameters:
            item = known.get(given.name)
            if item is None:
                continue
            value = given.value
            if isinstance(item.default, tuple):
                value = tuple(value or ())
            if configured and item.metadata['when'] == ON_CONFIGURE:
                if value != getattr(self, item.name):
                    raise DataError(
                        f'{item.name} cannot be changed while the node is configured: deactivate '
                        'and clean up the node, set the parameter, then configure the node again'
                    )
                continue
            changes[item.name] = require_choice(item, value)
        result = replace(self, **changes)
        result.completion()
        result.registration()
        if -1.0 < result.slop < 0.0:
            raise DataError(f'slop: expected -1, 0 or a time above 0 s, got {result.slop}')
        names = result.camera_names()
        bad = [name for name in names if name and not is_name(name)]
        if bad:
            raise DataError(f'cameras: expected names of letters, digits and _, got {bad[0]!r}')
        if len(set(names)) < len(names):
            raise DataError(f'cameras: expected different names, got {", ".join(names)}')
        return result


def declare(node: Node) -> NodeParameters:
    """Declare every parameter and return the start values. Raises as `declared` does."""
    return NodeParameters().changed(declared(node, NodeParameters), configured=False)


def unknown_overrides(node: Node) -> list[str]:
    """Return unknown parameters that were given at the start, each with a similar known one."""
    known = {item.name for item in fields(NodeParameters)}
    unknown = []
    # rclpy has no public access to the given parameters; a new version may remove this one.
    for name in sorted(getattr(node, '_parameter_overrides', {})):
        if not node.has_parameter(name) and not name.startswith('qos_overrides.'):
            (near,) = get_close_matches(name, known, 1) or ('',)
            unknown.append(f'{name} (is it {near}?)' if near else name)
    return unknown
