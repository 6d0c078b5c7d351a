# SPDX-License-Identifier: Apache-2.0
"""The one table of topic names: the node's inputs and outputs, and a RealSense's topics."""

from __future__ import annotations

from typing import NamedTuple


class CameraTopics(NamedTuple):
    """
    Topics of one RGB-D camera; '' where there is none.

    ``rgb`` and ``depth`` are images, ``rgb_info`` and ``depth_info`` their camera_infos.
    """

    rgb: str
    rgb_info: str
    depth: str
    depth_info: str = ''

    def as_inputs(self, prefix: str = '') -> dict[str, str]:
        """Return the remappings of completion_node; ``prefix`` is '' or a camera and a slash."""
        pairs = zip(INPUTS, self, strict=True)
        return {f'{prefix}{name}': topic for name, topic in pairs if topic}


INPUTS = CameraTopics('rgb/image', 'rgb/camera_info', 'depth/image', 'depth/image/camera_info')
"""What completion_node subscribes to. The last one is below the image: see `OUTPUTS`."""

OUTPUTS = (
    'depth/completed',
    'depth/camera_info',
    'depth/confidence',
    'depth/colorized',
    'depth/points',
    'depth/points_marking',
)
"""What completion_node publishes for each camera."""


def realsense_topics(name: str = 'camera', namespace: str = 'camera') -> CameraTopics:
    """Return the topics of a camera; drivers up to 4.54 have no namespace: ``''``."""
    base = f'/{namespace}/{name}' if namespace else f'/{name}'
    rgb, depth = f'{base}/color/image_raw', f'{base}/aligned_depth_to_color/image_raw'
    return CameraTopics(rgb, info_beside(rgb), depth, info_beside(depth))


def info_beside(image_topic: str) -> str:
    """Return the camera_info topic that belongs to an image topic by image_transport's rule."""
    return image_topic.rpartition('/')[0] + '/camera_info'
