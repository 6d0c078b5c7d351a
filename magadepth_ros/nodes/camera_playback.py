# SPDX-License-Identifier: Apache-2.0
"""Messages that the simulated camera plays in a loop: rendered, of a folder, or of a bag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, cycle, islice
from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import DataError
from magadepth_ros.manifest import read_manifest
from magadepth_ros.messages.camera_info import info_of
from magadepth_ros.messages.compressed import depth_to_compressed, rgb_to_compressed
from magadepth_ros.messages.images import fill
from magadepth_ros.pictures import to_millimetres
from magadepth_ros.recordings import importing_rosbags, is_bag_path
from magadepth_ros.simulation import SimulatedView, simulated_intrinsics, simulated_views
from magadepth_ros.simulation.drive import BasePose

_COLOUR: dict[str, int | None] = {
    'rgb8': None,
    'bgr8': cv2.COLOR_RGB2BGR,
    'rgba8': cv2.COLOR_RGB2RGBA,
    'bgra8': cv2.COLOR_RGB2BGRA,
    'mono8': cv2.COLOR_RGB2GRAY,
}
RGB_ENCODINGS = tuple(_COLOUR)
DEPTH_ENCODINGS = ('16UC1', '32FC1')


@dataclass(frozen=True)
class PlaybackSettings:
    """
    Size, length and encodings of the messages to play.

    ``width``, ``height`` [px]. ``count`` is the largest number of frames; 0 = all, for a rendered
    room 30, or 60 for a drive. ``seed`` chooses the room. ``frame_id`` and ``depth_frame_id`` are
    the optical frames of colour and depth. Encodings are those of sensor_msgs/Image: depth is
    16UC1 mm with 0 or 32FC1 metres with NaN = missing. With ``driving`` the camera is on a base
    that drives through the room. ``depth_left`` is the distance of the depth camera to the left
    of the colour camera [m].
    """

    width: int = 640
    height: int = 480
    count: int = 0
    seed: int = 0
    frame_id: str = 'camera_color_optical_frame'
    rgb_encoding: str = 'rgb8'
    depth_encoding: str = '16UC1'
    depth_frame_id: str = 'camera_color_optical_frame'
    driving: bool = False
    depth_left: float = 0.0


@dataclass
class CameraMessages:
    """The messages of one frame; only their stamps change while they are played."""

    rgb: Image
    depth: Image
    info: CameraInfo
    depth_info: CameraInfo
    mask: Image | None
    """Mask of mirroring surfaces, mono8; None where they are not known."""
    base: BasePose | None
    """Pose of the base that carries the camera; None without a base."""
    _compress: Callable[[], tuple[CompressedImage, CompressedImage]]
    _compressed: list[CompressedImage] = field(default_factory=list)

    def compressed(self) -> tuple[CompressedImage, CompressedImage]:
        """Return RGB as JPEG and depth as compressedDepth; encoded once, at the first call."""
        if not self._compressed:
            self._compressed = list(self._compress())
        rgb, depth = self._compressed
        rgb.header, depth.header = self.rgb.header, self.depth.header
        return rgb, depth


def playback(source: str, settings: PlaybackSettings) -> tuple[Iterator[CameraMessages], str]:
    """
    Open frames to be played in an endless loop.

    Rendered frames and those of a folder are prepared beforehand, so that playing them costs
    little; a bag, which may not fit into memory, is read while it plays.

    Parameters
    ----------
    source:
        '' renders a room; else a manifest folder or a bag, whose frames are fitted to the size.
    settings:
        size, length and encodings.

    Returns
    -------
    (messages, text)
        an endless iterator over the messages of each frame; the text names the source.

    Raises
    ------
    DataError
        the folder or the bag cannot be read, or the settings are for a rendered room only.

    """
    if source and (settings.driving or settings.depth_left):
        raise DataError(
            f'moving_base and own_depth_frame: expected a rendered room (empty input), got input '
            f'{source}; remove one of them'
        )
    size = f'{settings.width}x{settings.height}'
    if source and is_bag_path(source):
        endless = _bag(source, settings)
        first = next(endless)
        return chain((first,), endless), f'{source} in {size}'
    frames = list(_prepared(source, settings))
    return cycle(frames), f'{len(frames)} frames of {size}'


def _prepared(source: str, settings: PlaybackSettings) -> Iterator[CameraMessages]:
    width, height = settings.width, settings.height
    if not source:
        count = settings.count or (60 if settings.driving else 30)
        for view in simulated_views(
            width, height, count, settings.seed, settings.driving, settings.depth_left
        ):
            yield _messages(RgbdFrame(view.rgb, view.depth), settings, view)
        return
    for recorded in read_manifest(Path(source)).frames[: settings.count or None]:
        data = recorded.load()
        height, width = data.depth.shape
        known = CameraModel(width, height, *recorded.K) if recorded.K else None
        yield _messages(_fitted(RgbdFrame(data.rgb, data.depth, known), settings), settings)


def _bag(source: str, settings: PlaybackSettings) -> Iterator[CameraMessages]:
    with importing_rosbags(source):
        from magadepth_ros.recordings.bag_frames import bag_frames

    while True:
        for frame in islice(bag_frames(source), settings.count or None):
            yield _messages(_fitted(frame, settings), settings)


def _messages(
    frame: RgbdFrame, settings: PlaybackSettings, view: SimulatedView | None = None
) -> CameraMessages:
    header = Header(frame_id=settings.frame_id)
    depth_header = Header(frame_id=settings.depth_frame_id)
    millimetres = to_millimetres(frame.depth)
    encoding = settings.depth_encoding
    metres = np.where(millimetres > 0, frame.depth, np.float32(np.nan)).astype(np.float32)

    def compress() -> tuple[CompressedImage, CompressedImage]:
        rgb = rgb_to_compressed(header, frame.rgb)
        return rgb, depth_to_compressed(depth_header, metres, encoding)

    camera = _camera_of(frame)
    messages = CameraMessages(
        Image(header=header),
        Image(header=depth_header),
        info_of(header, camera),
        info_of(depth_header, camera),
        None if view is None else Image(header=header),
        None if view is None else view.base,
        compress,
    )
    code = _COLOUR[settings.rgb_encoding]
    rgb = frame.rgb if code is None else cv2.cvtColor(frame.rgb, code)
    fill(messages.rgb, rgb, settings.rgb_encoding)
    if view is not None and messages.mask is not None:
        fill(messages.mask, view.mask, 'mono8')
    fill(messages.depth, millimetres if encoding == '16UC1' else metres, encoding)
    return messages


def _fitted(frame: RgbdFrame, settings: PlaybackSettings) -> RgbdFrame:
    """Crop the middle to the wanted shape, then scale: nearest for depth, so holes stay holes."""
    width, height = settings.width, settings.height
    w, h = frame.size
    scale = min(w / width, h / height)
    cut_w, cut_h = min(w, round(width * scale)), min(h, round(height * scale))
    left, top = (w - cut_w) // 2, (h - cut_h) // 2
    part = (slice(top, top + cut_h), slice(left, left + cut_w))
    rgb, depth = frame.rgb[part], frame.depth[part]
    camera = _camera_of(frame)
    camera = replace(camera, width=cut_w, height=cut_h, cx=camera.cx - left, cy=camera.cy - top)
    if (cut_w, cut_h) != (width, height):
        smooth = cv2.INTER_AREA if cut_w > width else cv2.INTER_LINEAR
        rgb = cv2.resize(rgb, (width, height), interpolation=smooth)
        depth = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        camera = camera.scaled(width, height)
    return RgbdFrame(rgb, depth, camera)


def _camera_of(frame: RgbdFrame) -> CameraModel:
    width, height = frame.size
    return frame.camera or CameraModel(width, height, *simulated_intrinsics(width, height))
