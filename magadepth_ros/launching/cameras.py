# SPDX-License-Identifier: Apache-2.0
"""The table of cameras: topics, optical frame, range, driver; each row is a launch file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from magadepth_ros.launching.arguments import REALSENSE, Argument, flag, of_parameter
from magadepth_ros.launching.setups import CameraSetup, Driver, Player, Simulated
from magadepth_ros.nodes.camera_parameters import CameraParameters

MASK = Argument('mask', '', 'Topic of masks: mono8, not 0 = the depth of this pixel is wrong.')


def _named(name: str, namespace: str = '', *more: Argument) -> tuple[Argument, ...]:
    """Return the arguments of a camera with a driver."""
    return (
        Argument('camera_name', name, "Name of the camera, part of its driver's topics."),
        Argument('camera_namespace', namespace, "Namespace of the driver's topics."),
        flag('start_camera', 'true', 'Start the driver; false: the driver runs already.'),
        MASK,
        *more,
    )


def _inputs(rgb: str | None, depth: str | None, frame: str) -> tuple[Argument, ...]:
    """Return the arguments that name topics."""
    return (
        Argument('rgb', rgb, 'Topic of the colour images.'),
        Argument('depth', depth, 'Topic of the depth images.'),
        Argument(
            'camera_info',
            '',
            'Topic of the intrinsics of the colour camera; empty: camera_info beside `rgb`.',
        ),
        Argument('frame', frame, "RViz's fixed frame: the frame_id of the colour images."),
        MASK,
    )


_SIMULATED = (
    MASK,
    *(
        of_parameter(CameraParameters, name)
        for name in ('input', 'rate', 'width', 'height', 'seed', 'moving_base', 'faults')
    ),
)
_PREFIX = '/{camera_namespace}/{camera_name}'


def _orbbec(title: str, sensor: str, max_depth: float, launch_file: str) -> CameraSetup:
    choice = Argument(
        'driver_launch_file', launch_file, "The driver's launch file for the model of the camera."
    )
    return CameraSetup(
        title=title,
        sensor=sensor,
        rgb=f'{_PREFIX}/color/image_raw',
        depth=f'{_PREFIX}/depth/image_raw',
        frame='{camera_name}_color_optical_frame',
        note='The driver is started with depth_registration, which is off by default.',
        parameters={'min_depth': 0.2, 'max_depth': max_depth},
        arguments=_named('camera', '', choice),
        source=Driver(
            package='orbbec_camera',
            launch_file='{driver_launch_file}',
            arguments={
                'camera_name': '{camera_name}',
                'depth_registration': 'true',
                'align_target_stream': 'COLOR',
                'enable_frame_sync': 'true',
                'enable_point_cloud': 'false',
            },
            install='sudo apt install ros-{distro}-orbbec-camera',
            push_namespace='/{camera_namespace}',
        ),
    )


_D400 = CameraSetup(
    title='Intel RealSense D400',
    sensor='active stereo: good to 3 m, usable to 6 m',
    rgb=f'{_PREFIX}/color/image_raw',
    depth=f'{_PREFIX}/aligned_depth_to_color/image_raw',
    frame='{camera_name}_color_optical_frame',
    note="Drivers up to 4.54 and some robots have no namespace: `camera_namespace:=''`. A "
    'driver that runs already needs `align_depth.enable` and `enable_sync`.',
    parameters={'min_depth': 0.2, 'max_depth': 8.0},
    arguments=_named('camera', 'camera'),
    source=Driver(
        package='realsense2_camera',
        launch_file='rs_launch.py',
        arguments={
            'camera_name': '{camera_name}',
            'camera_namespace': '{camera_namespace}',
            'align_depth.enable': 'true',
            'enable_sync': 'true',
        },
        install='sudo apt install ros-{distro}-realsense2-camera',
    ),
)

CAMERAS: dict[str, CameraSetup] = {
    'realsense': _D400,
    'realsense_d405': replace(
        _D400,
        title='Intel RealSense D405',
        sensor='stereo at close range: 7 to 50 cm',
        rgb=f'{_PREFIX}/color/image_rect_raw',
        note='Its colour comes from the depth sensor, on `image_rect_raw`. Drivers from 4.57 on '
        'may have it on `image_raw`: `realsense.launch.py min_depth:=0.07`.',
        parameters={'min_depth': 0.07, 'max_depth': 2.0},
    ),
    'azure_kinect': CameraSetup(
        title='Microsoft Azure Kinect',
        sensor='time of flight: narrow view unbinned 0.5 to 3.9 m, binned to 5.5 m',
        rgb=f'{_PREFIX}/rgb/image_raw',
        depth=f'{_PREFIX}/depth_to_rgb/image_raw',
        frame='rgb_camera_link',
        note="The driver's topics have no camera name: two cameras need `camera_namespace:=left` "
        'and so on. The driver publishes a `depth/camera_info` itself, so the camera_info of the '
        'completed depth is published on `depth/completed/camera_info`.',
        parameters={'min_depth': 0.3, 'max_depth': 6.0},
        camera_info='depth/completed/camera_info',
        arguments=_named(''),
        source=Driver(
            package='azure_kinect_ros_driver',
            launch_file='driver.launch.py',
            arguments={
                'depth_enabled': 'true',
                'depth_mode': 'NFOV_UNBINNED',
                'color_enabled': 'true',
                'color_resolution': '720P',
                'fps': '30',
                'point_cloud': 'false',
                'rgb_point_cloud': 'false',
            },
            install='build microsoft/Azure_Kinect_ROS_Driver, branch humble, and the sensor SDK '
            'from source',
            push_namespace=_PREFIX,
        ),
    ),
    'orbbec_femto': _orbbec(
        'Orbbec Femto Bolt, Mega',
        'time of flight: narrow view unbinned 0.25 to 3.9 m, binned to 5.5 m',
        6.0,
        'femto_bolt.launch.py',
    ),
    'orbbec_gemini': _orbbec(
        'Orbbec Gemini 330, 2',
        'active stereo: good to 5 m, usable to 10 m',
        10.0,
        'gemini_330_series.launch.py',
    ),
    'oak': CameraSetup(
        title='Luxonis OAK-D',
        sensor='stereo, baseline 7.5 cm: from 0.35 m (0.7 m without extended disparity)',
        rgb=f'{_PREFIX}/rgb/image_raw',
        depth=f'{_PREFIX}/stereo/image_raw',
        frame='{camera_name}_rgb_camera_optical_frame',
        note='The driver aligns depth to colour by default.',
        parameters={'min_depth': 0.3, 'max_depth': 10.0},
        arguments=_named(
            'oak',
            '',
            Argument(
                'driver_package',
                'depthai_ros_driver',
                'Package of the driver; up to Jazzy, DepthAI v3 has a package of another name.',
                ('depthai_ros_driver', 'depthai_ros_driver_v3'),
            ),
        ),
        source=Driver(
            package='{driver_package}',
            launch_file='camera.launch.py',
            arguments={
                'name': '{camera_name}',
                'namespace': '{camera_namespace}',
                'rectify_rgb': 'false',
                'pointcloud.enable': 'false',
            },
            install='sudo apt install ros-{distro}-depthai-ros-driver',
        ),
    ),
    'kinect2': CameraSetup(
        title='Microsoft Kinect v2',
        sensor='time of flight: 0.5 to 4.5 m, usable to 8 m',
        rgb=f'{_PREFIX}/{{resolution}}/image_color_rect',
        depth=f'{_PREFIX}/{{resolution}}/image_depth_rect',
        frame='{camera_name}_rgb_optical_frame',
        note='The bridge rectifies colour and registers depth to it.',
        parameters={'min_depth': 0.5, 'max_depth': 8.0},
        arguments=_named(
            'kinect2',
            '',
            Argument(
                'resolution',
                'qhd',
                'Size of the images: 512x424 (sd), 960x540 (qhd) or 1920x1080 (hd).',
                ('sd', 'qhd', 'hd'),
            ),
        ),
        source=Driver(
            package='kinect2_bridge',
            launch_file='kinect2_bridge_launch.yaml',
            arguments={'base_name': '{camera_name}'},
            install='build a ROS 2 port of kinect2_bridge (kinect2_ros2) and libfreenect2 from '
            'source',
            push_namespace='/{camera_namespace}',
        ),
    ),
    'zed': CameraSetup(
        title='Stereolabs ZED',
        sensor='passive stereo: 0.3 to 20 m',
        rgb=f'{_PREFIX}/zed_node/rgb/color/rect/image',
        depth=f'{_PREFIX}/zed_node/depth/depth_registered',
        frame='{camera_name}_left_camera_frame_optical',
        note='Its depth belongs to the left, rectified colour image.',
        parameters={'min_depth': 0.3, 'max_depth': 20.0},
        arguments=_named(
            'zed',
            '',
            Argument(
                'camera_model', 'zed2i', "Camera model: zed_wrapper's argument of that name."
            ),
        ),
        source=Driver(
            package='zed_wrapper',
            launch_file='zed_camera.launch.py',
            arguments={'camera_name': '{camera_name}', 'camera_model': '{camera_model}'},
            install='build stereolabs/zed-ros2-wrapper (5) and the ZED SDK from source',
            push_namespace='/{camera_namespace}',
        ),
    ),
    'camera': CameraSetup(
        title='any other camera',
        sensor='given its topics',
        rgb='{rgb}',
        rgb_info='{camera_info}',
        depth='{depth}',
        frame='{frame}',
        note='Start its driver yourself, with the [DDS profile](networking.md). Depth in its own '
        'frame is [registered](nodes.md#depth-in-its-own-frame).',
        arguments=_inputs(None, None, ''),
    ),
    'replay': CameraSetup(
        title='a recorded bag',
        sensor="with the bag's clock",
        rgb='{rgb}',
        rgb_info='{camera_info}',
        depth='{depth}',
        frame='{frame}',
        note='Needs ros2bag (and `rosbag2-storage-mcap` for mcap). Without ROS: `magadepth '
        'complete BAG OUT_BAG`.',
        arguments=(
            Argument('bag', '', 'Bag to play; empty: play a bag yourself, with `--clock`.'),
            flag('loop', 'false', 'Play the bag in a loop.'),
            Argument('rate', '1.0', 'Speed of the playback.', kind=float, limits=(0.01, 100.0)),
            *_inputs(REALSENSE.rgb, REALSENSE.depth, 'camera_color_optical_frame'),
            flag('use_sim_time', 'true', 'Take the time from /clock (bags, simulation).'),
        ),
        source=Player(),
    ),
    'demo': CameraSetup(
        title='a simulated camera',
        sensor="rendered rooms or recorded frames, under a RealSense's names",
        rgb=REALSENSE.rgb,
        depth=REALSENSE.depth,
        frame='camera_color_optical_frame',
        arguments=_SIMULATED,
        source=Simulated(),
    ),
}
"""Name of the launch file -> what it completes."""

SEVERAL = (
    Argument('cameras', 'front,rear', 'Names of the cameras, separated by commas.'),
    Argument(
        'serials',
        '',
        'Serial numbers of the cameras, in the same order; empty: as they are found.',
    ),
    flag('start_camera', 'true', 'Start the drivers; false: they run already.'),
)
"""The arguments of multi_realsense.launch.py."""


def merged(own: Sequence[Argument], everywhere: Sequence[Argument]) -> list[Argument]:
    """Return all arguments of a launch file; its own ones replace common ones of the same name."""
    names = {argument.name for argument in own}
    return [*own, *(argument for argument in everywhere if argument.name not in names)]
