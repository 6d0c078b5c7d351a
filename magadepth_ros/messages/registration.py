# SPDX-License-Identifier: Apache-2.0
"""Registration of depth to the colour camera, by camera_infos and tf or given extrinsics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from magadepth_ros.completion.register import Registrar
from magadepth_ros.completion.static_frames import StaticFrames, transform_matrix
from magadepth_ros.errors import DataError, RegistrationError
from magadepth_ros.messages.camera_info import camera_model


@dataclass(frozen=True)
class View:
    """
    One camera of a pair: its image topic, the frame_id of its image, its newest camera_info.

    ``info`` is a message of ROS or of rosbags, or None where none has come on ``info_topic``.
    """

    topic: str
    frame: str
    info: Any
    info_topic: str = ''


class DepthRegistration:
    """
    Registers depth that is not in the frame of its colour image.

    Depth in the frame of the colour image is aligned already and returned unchanged.
    """

    def __init__(self, depth_to_rgb: Sequence[float] = ()) -> None:
        """
        Store the extrinsics, if they are given.

        Parameters
        ----------
        depth_to_rgb:
            x, y, z [m] and quaternion x, y, z, w that map points of the depth optical frame to the
            colour optical frame (``tf2_echo RGB_FRAME DEPTH_FRAME`` prints them). With them depth
            is registered whatever the names of the frames are. Where they are empty or all 0, the
            transforms of `add_transforms` are used.

        Raises
        ------
        DataError
            these are not seven numbers, or the quaternion is no rotation.

        """
        self._given: np.ndarray | None = None
        if any(depth_to_rgb):
            if len(depth_to_rgb) != 7:
                raise DataError(
                    f'depth_to_rgb: expected x y z qx qy qz qw, got {len(depth_to_rgb)} numbers'
                )
            self._given = transform_matrix(tuple(depth_to_rgb[:3]), tuple(depth_to_rgb[3:]))
        self._frames = StaticFrames()
        self._key: tuple = ()
        self._registrar: Registrar | None = None

    def add_transforms(self, message: Any) -> None:
        """Add the transforms of a tf2_msgs/TFMessage of /tf_static; broken ones are left out."""
        for item in message.transforms:
            t, q = item.transform.translation, item.transform.rotation
            try:
                step = transform_matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
            except DataError:
                continue
            self._frames.add(item.header.frame_id, item.child_frame_id, step)

    def needed(self, rgb: View, depth: View) -> bool:
        """Whether this depth is not in the frame of the colour image."""
        if self._given is not None:
            return True
        return bool(rgb.frame and depth.frame and rgb.frame != depth.frame)

    def register(
        self, image: np.ndarray, rgb: View, depth: View, size: tuple[int, int]
    ) -> np.ndarray:
        """
        Move a depth image to the colour camera.

        Parameters
        ----------
        image:
            (H, W) float32 metres; 0, NaN and inf = missing.
        rgb, depth:
            the two cameras.
        size:
            width and height of the colour image [px]. The sizes of both images tell which part of
            the sensor they show (region of interest, binning).

        Returns
        -------
        np.ndarray
            float32 metres of the colour image's size, 0 = missing.

        Raises
        ------
        RegistrationError
            the message names what is missing or not supported.

        """
        try:
            sizes = size, (image.shape[1], image.shape[0])
            return self._registrar_of(rgb, depth, sizes).register(image)
        except DataError as error:
            raise RegistrationError(
                f'depth in frame {depth.frame!r} cannot be registered to the colour image in '
                f'frame {rgb.frame!r}: {error}'
            ) from None

    def _registrar_of(
        self, rgb: View, depth: View, sizes: tuple[tuple[int, int], tuple[int, int]]
    ) -> Registrar:
        for view in (rgb, depth):
            if view.info is None:
                where = f'on {view.info_topic}' if view.info_topic else f'beside {view.topic}'
                raise DataError(f'no camera_info {where}')
        extrinsics = self._given
        if extrinsics is None:
            extrinsics = self._frames.lookup_transform(rgb.frame, depth.frame)
        if extrinsics is None:
            raise DataError(
                '/tf_static has no transform between them, and depth_to_rgb is not given'
            )
        key = (_key(rgb), _key(depth), sizes, extrinsics.tobytes())
        if self._registrar is None or key != self._key:
            colour, sensor = (
                camera_model(view.info, view.topic, size)
                for view, size in zip((rgb, depth), sizes, strict=True)
            )
            self._registrar, self._key = Registrar(sensor, colour, extrinsics), key
        return self._registrar


def _key(view: View) -> tuple:
    info, roi = view.info, view.info.roi
    numbers = (np.asarray(part, np.float64).tobytes() for part in (info.k, info.d, info.p))
    part = (roi.x_offset, roi.y_offset, roi.width, roi.height)
    return (view.topic, info.width, info.height, *part, info.distortion_model, *numbers)
