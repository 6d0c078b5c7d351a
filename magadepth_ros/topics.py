# SPDX-License-Identifier: Apache-2.0
"""The table of topics: inputs and outputs of completion_node, and a RealSense's names."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import NamedTuple


class CameraTopics(NamedTuple):
    """
    Topics of one RGB-D camera; '' where there is none.

    ``rgb`` and ``depth`` are images, ``rgb_info`` and ``depth_info`` their camera_infos; ``mask``
    has images that mark depth that is not to be trusted.
    """

    rgb: str
    rgb_info: str
    depth: str
    depth_info: str = ''
    mask: str = ''

    def as_inputs(self, prefix: str = '') -> dict[str, str]:
        """Return the remappings of completion_node; ``prefix`` is '' or a camera and a slash."""
        pairs = zip(INPUTS, self, strict=True)
        return {f'{prefix}{name}': topic for name, topic in pairs if topic}


INPUTS = CameraTopics(
    'rgb/image', 'rgb/camera_info', 'depth/image', 'depth/image/camera_info', 'mask/image'
)
"""Topics to remap to a camera; depth/camera_info is an output, and not among them."""


class Topic(NamedTuple):
    """A topic of completion_node: name, type, and text for the documentation."""

    name: str
    type: str
    text: str


SUBSCRIBED = (
    Topic(
        INPUTS.rgb,
        'sensor_msgs/Image',
        'colour: rgb8, bgr8, rgba8, bgra8, mono8, their 16-bit forms, YUV 4:2:2, Bayer',
    ),
    Topic(
        INPUTS.rgb_info,
        'sensor_msgs/CameraInfo',
        'intrinsics of the colour camera; needed for `depth/points`, `depth/camera_info` and to '
        'register depth that is in its own frame',
    ),
    Topic(
        INPUTS.depth,
        'sensor_msgs/Image',
        'depth, aligned to the colour image or in its own frame: 16UC1 or mono16 in millimetres '
        'with 0 = missing, or 32FC1 in metres with NaN, 0 or inf = missing',
    ),
    Topic(
        INPUTS.depth_info,
        'sensor_msgs/CameraInfo',
        'intrinsics of the depth camera, needed where its image is in another frame than the RGB',
    ),
    Topic(
        INPUTS.mask,
        'sensor_msgs/Image',
        'optional: the mask of a [segmenter of glass or mirrors](#masks); mono8, not 0 = the '
        'depth of this pixel is wrong',
    ),
    Topic(
        '/tf_static',
        'tf2_msgs/TFMessage',
        'pose of the depth camera, needed in the same case; or set the parameter `depth_to_rgb`',
    ),
    Topic(
        'rgb/image/compressed',
        'sensor_msgs/CompressedImage',
        'instead of `rgb/image`, with `transport: compressed`',
    ),
    Topic(
        'depth/image/compressedDepth',
        'sensor_msgs/CompressedImage',
        'instead of `depth/image`: PNG or RVL, 16UC1 or 32FC1',
    ),
)

PUBLISHED = (
    Topic(
        'depth/completed',
        'sensor_msgs/Image',
        '32FC1 metres with NaN where unknown (REP 118), or 16UC1 millimetres with 0',
    ),
    Topic(
        'depth/completed/compressedDepth',
        'sensor_msgs/CompressedImage',
        "the same, as image_transport's compressedDepth",
    ),
    Topic(
        'depth/camera_info',
        'sensor_msgs/CameraInfo',
        'intrinsics of the colour camera, scaled to the size of the depth; '
        '`azure_kinect.launch.py` publishes them on `depth/completed/camera_info`, as its driver '
        'has a `depth/camera_info`',
    ),
    Topic(
        'depth/confidence',
        'sensor_msgs/Image',
        '32FC1, 0 to 1; 1 where a measurement was kept, 0 where the depth is unknown',
    ),
    Topic(
        'depth/points',
        'sensor_msgs/PointCloud2',
        'organised; x, y, z, rgb in 16 bytes a point, NaN where unknown; where the image is '
        'distorted, the points are undistorted',
    ),
    Topic(
        'depth/points_marking',
        'sensor_msgs/PointCloud2',
        'x, y, z of the measured pixels and of fills with a confidence of at least '
        '`marking_confidence`; unordered, without NaN; a costmap marks these points '
        '([reason](examples.md#nav2))',
    ),
    Topic('depth/colorized', 'sensor_msgs/Image', 'rgb8, depth as colours'),
    Topic(
        '/diagnostics',
        'diagnostic_msgs/DiagnosticArray',
        'one status for the engine, one for each camera',
    ),
    Topic(
        '~/debug/latency_ms',
        'std_msgs/Float64',
        'time from the stamp of the RGB to the publication of `depth/completed`',
    ),
    Topic(
        '~/debug/processing_time_ms',
        'std_msgs/Float64',
        'time from the start of the work on a pair to the publication of all outputs',
    ),
)

OUTPUTS = tuple(topic.name for topic in PUBLISHED if topic.name.startswith('depth/'))
"""Topics that are published for each camera."""


IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


def realsense_topics(name: str = 'camera', namespace: str = 'camera') -> CameraTopics:
    """Return the topics of a camera; drivers up to 4.54 have no namespace: ``''``."""
    base = f'/{namespace}/{name}' if namespace else f'/{name}'
    rgb, depth = f'{base}/color/image_raw', f'{base}/aligned_depth_to_color/image_raw'
    return CameraTopics(rgb, info_beside(rgb), depth, info_beside(depth))


def is_name(text: str) -> bool:
    """Whether ROS accepts a topic or namespace of this name; it may begin with a slash."""
    return re.fullmatch(r'/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', text, re.ASCII) is not None


def info_beside(image_topic: str) -> str:
    """Return the camera_info topic that belongs to an image topic by image_transport's rule."""
    return image_topic.rpartition('/')[0] + '/camera_info'


def info_among(topics: Container[str], image_topic: str) -> str:
    """
    Return the camera_info of an image among the topics that there are; '' where there is none.

    A transport's topic (compressed, compressedDepth) is one level below its image.
    """
    base = image_topic.rpartition('/')[0]
    return next((t for t in (info_beside(image_topic), info_beside(base)) if t in topics), '')
