# SPDX-License-Identifier: Apache-2.0
"""Show frames on a timeline by rerun: pictures, depth, confidence and the coloured cloud."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.project import CloudProjector
from magadepth_ros.errors import DataError, pip_install_extra
from magadepth_ros.pictures import encode, to_millimetres

CLOUD_STRIDE = 2
_JPEG_QUALITY = 85
_SAVE = 'write a recording for `rerun FILE.rrd` on another computer: --save FILE.rrd'
_HOST = '127.0.0.1'
_PATIENCE = 20.0
"""Seconds that the window may take to open."""


@dataclass(frozen=True)
class ViewedFrame:
    """
    One frame to show; fields that are None are not shown.

    ``frame`` has the completed depth, the stamp that places it on the timeline and the camera,
    without which there is no cloud; ``measured`` (H, W) float32 metres, 0, NaN or inf = unknown;
    ``confidence`` (H, W) float32 0..1.
    """

    frame: RgbdFrame
    measured: np.ndarray | None = None
    confidence: np.ndarray | None = None


def require_rerun() -> None:
    """Raise DataError, which says how to install rerun, where it is missing."""
    if importlib.util.find_spec('rerun') is None:
        raise DataError(
            'the viewer needs the Python package rerun-sdk, which is not installed: '
            f'{pip_install_extra("viewer")}'
        )


def require_display() -> None:
    """Raise DataError where no window can open; Linux."""
    if sys.platform == 'linux' and not any(map(os.environ.get, ('DISPLAY', 'WAYLAND_DISPLAY'))):
        raise DataError(f'no window can open here, as there is no display; {_SAVE}')


class _Window:
    """The window of rerun, in a process that stays open when this process ends."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind((_HOST, 0))
            port = free.getsockname()[1]
        # Not by rerun's `spawn`, whose server listens on every interface.
        command = [sys.executable, '-m', 'rerun', '--bind', _HOST, '--port', str(port)]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - the process writes to it
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            env={**os.environ, 'NO_COLOR': '1'},
        )
        self.url = f'rerun+http://{_HOST}:{port}/proxy'
        end = time.monotonic() + _PATIENCE
        while not _answers(port):
            if self.closed or time.monotonic() > end:
                self._process.kill()
                raise DataError(f'the viewer: its window did not open: {self._said()}; {_SAVE}')
            time.sleep(0.05)
        # The server answers before the window exists.
        time.sleep(0.5)
        self.closed  # noqa: B018 - raises

    @property
    def closed(self) -> bool:
        """Whether somebody closed the window; DataError where its process failed."""
        code = self._process.poll()
        if code:
            raise DataError(f'the viewer: its window did not open: {self._said()}; {_SAVE}')
        return code == 0

    def _said(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors='replace').splitlines()
        faults = [line for line in lines if line.startswith('Error: ')]
        return (faults or [f'no answer within {_PATIENCE:g} s'])[-1].removeprefix('Error: ')


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((_HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


class Viewer:
    """A window of rerun, or a recording to be opened later; a context manager."""

    def __init__(self, save: Path | None = None) -> None:
        """
        Open a window or, with ``save``, begin the file instead (``rerun FILE.rrd`` shows it).

        Raises
        ------
        DataError
            rerun is not installed, the window did not open or the file cannot be written.

        """
        require_rerun()
        import rerun

        self._rerun: Any = rerun
        self._projector = CloudProjector()
        self._stream: Any = rerun.RecordingStream('magadepth')
        self._window: _Window | None = None
        try:
            if save is None:
                self._window = _Window()
                self._stream.connect_grpc(self._window.url, default_blueprint=_layout())
            else:
                save.parent.mkdir(parents=True, exist_ok=True)
                self._stream.save(save, default_blueprint=_layout())
        except (OSError, RuntimeError) as error:
            what = 'its window did not open' if save is None else f'{save} cannot be written'
            raise DataError(f'the viewer: {what}: {error}') from None
        optical = rerun.ViewCoordinates.RDF
        self._stream.log('camera', optical, static=True)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Flush all pending data."""
        self._stream.disconnect()

    @property
    def closed(self) -> bool:
        """Whether somebody closed the window; DataError where its process failed."""
        return self._window is not None and self._window.closed

    def show(self, viewed: ViewedFrame) -> None:
        """Put a frame on the timeline ``stamp``."""
        stream, rerun, frame = self._stream, self._rerun, viewed.frame
        completed = frame.depth
        stream.set_time('stamp', timestamp=np.datetime64(frame.stamp_ns, 'ns'))
        stream.log('rgb', self._picture(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)))
        known = completed[completed > 0]
        # One range for both, so that equal depth has equal colours.
        near, far = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
        span = [1000.0 * float(near), 1000.0 * float(far)]
        for name, depth in (('depth/measured', viewed.measured), ('depth/completed', completed)):
            if depth is not None:
                millimetres = to_millimetres(depth)
                stream.log(name, rerun.DepthImage(millimetres, meter=1000.0, depth_range=span))
        if viewed.confidence is not None:
            grey = (np.nan_to_num(viewed.confidence).clip(0, 1) * 255).astype(np.uint8)
            stream.log('confidence', self._picture(grey))
        if frame.camera is not None:
            cloud = self._projector.project(completed, frame.rgb, frame.camera, CLOUD_STRIDE)
            points = cloud[np.isfinite(cloud[..., 2]) & (cloud[..., 2] > 0)]
            # rerun wants 0xRRGGBBAA.
            colours = (points[:, 3].view(np.uint32) << np.uint32(8)) | np.uint32(255)
            stream.log('camera/cloud', rerun.Points3D(points[:, :3], colors=colours))

    def _picture(self, pixels: np.ndarray) -> Any:
        # As JPEG a recording has a fifth of the size.
        data = encode(pixels, '.jpg', cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
        return self._rerun.EncodedImage(contents=data, media_type='image/jpeg')


def _layout() -> Any:
    import rerun.blueprint as blueprint

    flat = [
        blueprint.Spatial2DView(origin=origin, name=name)
        for origin, name in (
            ('rgb', 'RGB'),
            ('depth/measured', 'measured depth'),
            ('depth/completed', 'completed depth'),
            ('confidence', 'confidence'),
        )
    ]
    cloud = blueprint.Spatial3DView(origin='camera', name='cloud')
    return blueprint.Blueprint(
        blueprint.Horizontal(cloud, blueprint.Grid(*flat, grid_columns=2)),
        collapse_panels=True,
    )
