# SPDX-License-Identifier: Apache-2.0
"""Names of an RGB-D camera's topics, as the driver of RealSense has them."""

from __future__ import annotations

from typing import NamedTuple


class CameraTopics(NamedTuple):
    """Topics of the colour, of the depth that is aligned to it, and of the intrinsics of both."""

    rgb: str
    rgb_info: str
    depth: str
    depth_info: str

    def as_inputs(self, prefix: str = '') -> dict[str, str]:
        """Return the remappings of completion_node; ``prefix`` is '' or a camera and a slash."""
        return {
            f'{prefix}rgb/image': self.rgb,
            f'{prefix}rgb/camera_info': self.rgb_info,
            f'{prefix}depth/image': self.depth,
        }


def realsense_topics(name: str = 'camera', namespace: str = 'camera') -> CameraTopics:
    """Return the topics of a camera; drivers up to 4.54 have no namespace: ``''``."""
    base = f'/{namespace}/{name}' if namespace else f'/{name}'
    rgb, depth = f'{base}/color', f'{base}/aligned_depth_to_color'
    image, info = 'image_raw', 'camera_info'
    return CameraTopics(f'{rgb}/{image}', f'{rgb}/{info}', f'{depth}/{image}', f'{depth}/{info}')
