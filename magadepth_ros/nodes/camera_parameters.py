# SPDX-License-Identifier: Apache-2.0
"""The parameters of simulated_camera: names, defaults, descriptions, ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from magadepth_ros.nodes.camera_faults import FAULTS
from magadepth_ros.nodes.camera_playback import DEPTH_ENCODINGS, RGB_ENCODINGS
from magadepth_ros.nodes.parameter_declaration import LIVE, ON_START, parameter
from magadepth_ros.simulation import RATES, SIDES


def _p(default: object, text: str, **metadata: Any) -> Any:
    return parameter(default, text, ON_START, **metadata)


@dataclass(frozen=True)
class CameraParameters:
    """The values of one simulated camera; each field is a parameter of the same name."""

    input: str = _p('', 'Manifest folder or bag to play; empty = a rendered room.')
    rate: float = _p(30.0, 'Frames a second [Hz].', limits=RATES)
    width: int = _p(640, 'Width of the images [px].', limits=SIDES)
    height: int = _p(480, 'Height of the images [px].', limits=SIDES)
    frames: int = _p(
        0,
        'Number of frames to play; 0 = all, or 30 of a room, or 60 with moving_base.',
        limits=(0, 5000),
    )
    seed: int = _p(0, 'Seed of the rendered room.', limits=(0, 999_999))
    camera_name: str = _p('camera', 'Second part of the topic names.')
    camera_namespace: str = _p('camera', 'First part of the topic names; may be empty.')
    frame_id: str = _p('', 'frame_id of colour and aligned depth; empty = that of a RealSense.')
    reliability: str = _p(
        'reliable', 'Reliability of the images.', choices=('reliable', 'best_effort')
    )
    rgb_encoding: str = _p('rgb8', 'Encoding of the RGB.', choices=RGB_ENCODINGS)
    depth_encoding: str = _p('16UC1', 'Encoding of the depth.', choices=DEPTH_ENCODINGS)
    own_depth_frame: bool = _p(
        False,
        'Publish unaligned depth, of a camera 5 cm to the left, on depth/image_rect_raw.',
    )
    moving_base: bool = _p(
        False,
        'The camera is on a base that drives through the room; /tf has its pose in odom.',
    )
    faults: str = parameter('', f'Faults, separated by commas: {", ".join(FAULTS)}.', LIVE)
