# SPDX-License-Identifier: Apache-2.0
"""
depth_image_proc: the coloured cloud of completed depth from a C++ container.

    ros2 launch magadepth_ros depth_image_proc.launch.py
    ros2 launch magadepth_ros depth_image_proc.launch.py camera:=realsense

docs/examples.md says when this is better than depth/points.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch_ros.actions import ComposableNodeContainer
from launch_ros.descriptions import ComposableNode

from magadepth_ros.launching.sources import users
from magadepth_ros.launching.start import Topics, example_launch
from magadepth_ros.launching.values import configuration
from magadepth_ros.topics import info_beside


def generate_launch_description() -> LaunchDescription:
    return example_launch('', use)


def use(context: LaunchContext, topics: Topics) -> list[LaunchDescriptionEntity]:
    cloud = ComposableNode(
        package='depth_image_proc',
        plugin='depth_image_proc::PointCloudXyzrgbNode',
        name='point_cloud_xyzrgb',
        parameters=[
            {
                # The stamps of colour and completed depth are equal.
                'exact_sync': True,
                # Colour waits here until its depth is completed.
                'queue_size': 10,
                'use_sim_time': configuration(context, 'use_sim_time') == 'true',
            }
        ],
        remappings=[
            ('rgb/image_rect_color', topics.rgb),
            ('depth_registered/image_rect', f'{topics.outputs}/depth/completed'),
            ('points', f'{topics.outputs}/depth_registered/points'),
            # It takes the intrinsics from the camera_info beside the colour image.
            *(
                [(info_beside(topics.rgb), topics.rgb_info)]
                * (info_beside(topics.rgb) != topics.rgb_info)
            ),
        ],
    )
    container = ComposableNodeContainer(
        name='depth_container',
        namespace='',
        package='rclcpp_components',
        executable='component_container',
        composable_node_descriptions=[cloud],
        output='screen',
    )
    return users('depth_image_proc', [container])
