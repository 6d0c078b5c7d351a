# SPDX-License-Identifier: Apache-2.0
"""Show frames on a timeline by rerun: pictures, depth, confidence and the coloured cloud."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.project import CloudProjector
from magadepth_ros.errors import DataError
from magadepth_ros.pictures import to_millimetres

CLOUD_STRIDE = 2
_JPEG_QUALITY = 85


@dataclass(frozen=True)
class ViewedFrame:
    """
    One frame to show; what is None is not shown.

    ``frame`` has the completed depth, the stamp that places it on the timeline and the camera,
    without which there is no cloud; ``measured`` (H, W) float32 metres, 0, NaN or inf = unknown;
    ``confidence`` (H, W) float32 0..1.
    """

    frame: RgbdFrame
    measured: np.ndarray | None = None
    confidence: np.ndarray | None = None


def require_rerun() -> None:
    """Raise DataError with the way to install it where rerun is missing."""
    if importlib.util.find_spec('rerun') is None:
        raise DataError(
            'the viewer needs the Python package rerun-sdk, which is not installed: '
            'pip install "magadepth_ros[viewer]"'
        )


class Viewer:
    """A window of rerun, or a recording that one opens later; a context manager."""

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
        try:
            if save is None:
                self._stream.spawn(default_blueprint=_layout())
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
        """Write what is still on its way."""
        self._stream.disconnect()

    def show(self, viewed: ViewedFrame) -> None:
        """Put a frame on the timeline ``stamp``."""
        stream, rerun, frame = self._stream, self._rerun, viewed.frame
        completed = frame.depth
        stream.set_time('stamp', timestamp=np.datetime64(frame.stamp_ns, 'ns'))
        stream.log('rgb', self._picture(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)))
        known = completed[completed > 0]
        # One range for both, so that equal depth has equal colours.
        reach = (
            tuple(float(v) for v in np.percentile(known, (1, 99))) if known.size else (0.0, 1.0)
        )
        for name, depth in (('depth/measured', viewed.measured), ('depth/completed', completed)):
            if depth is not None:
                millimetres = to_millimetres(depth)
                span = [1000.0 * value for value in reach]
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
        done, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not done:
            raise DataError(f'a picture of {pixels.shape} cannot be encoded as JPEG')
        return self._rerun.EncodedImage(contents=data.tobytes(), media_type='image/jpeg')


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
