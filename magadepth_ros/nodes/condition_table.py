# SPDX-License-Identifier: Apache-2.0
"""Every condition that the node reports: its code, its level, its sentence and its remedy."""

from __future__ import annotations

from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Condition:
    """
    One fault that the node reports.

    ``code`` is stable: software may match it. `Conditions.set` fills the ``{fields}`` in
    ``sentence`` and ``remedy``. An ``event`` ends a few seconds after it last happened; any other
    condition lasts until it is cleared.
    """

    code: str
    level: bytes
    sentence: str
    remedy: str
    event: bool = False


# Of a camera: its inputs and outputs.
_CAMERA = (
    Condition(
        'WRONG_TRANSPORT',
        ERROR,
        '{topic} has {found}, and the {stream} transport is {transport}',
        "set {parameter}:={other} and remap {stream}/image to the camera's image topic, without "
        'the suffix of a transport',
    ),
    Condition(
        'WRONG_TYPE',
        ERROR,
        '{topic} has messages of type {found}, expected {wanted}',
        'remap {input} to a topic of {wanted}',
    ),
    Condition(
        'INPUT_QOS',
        ERROR,
        'no message arrives on {topic}, as the QoS of its publisher does not match: {reason}',
        'set qos_overrides.{topic}.subscription.reliability to best_effort',
    ),
    Condition(
        'NO_IMAGES',
        WARN,
        'no message has arrived on {rgb} or {depth}',
        'start the camera, and remap rgb/image and depth/image to its topics: ros2 topic list',
    ),
    Condition(
        'NO_RGB',
        WARN,
        'messages arrive on {depth}, but no message has arrived on {rgb}',
        'check with `ros2 topic info -v {rgb}` that the driver publishes this topic, and remap '
        'rgb/image',
    ),
    Condition(
        'NO_DEPTH',
        WARN,
        'messages arrive on {rgb}, but no message has arrived on {depth}',
        'check with `ros2 topic info -v {depth}` that the driver publishes this topic, and remap '
        'depth/image',
    ),
    Condition(
        'CAMERA_STOPPED',
        ERROR,
        'no message on {rgb} or {depth} for {seconds:.0f} s',
        'check the camera driver: it has ended, hangs, or has lost its camera',
    ),
    Condition(
        'RGB_STOPPED',
        ERROR,
        'no message on {rgb} for {seconds:.0f} s, while messages arrive on {depth}',
        'check the camera driver: its colour stream has stopped',
    ),
    Condition(
        'DEPTH_STOPPED',
        ERROR,
        'no message on {depth} for {seconds:.0f} s, while messages arrive on {rgb}',
        'check the camera driver: its depth stream has stopped',
    ),
    Condition(
        'ZERO_STAMPS',
        ERROR,
        'stamps of {topics} are zero, so no images can be paired',
        'make the driver set header.stamp',
    ),
    Condition(
        'UNSYNCHRONISED_STREAMS',
        ERROR,
        'no images can be paired: the newest stamps of {rgb} and {depth} are {gap:+.3f} s apart, '
        'and slop is {slop:.3f} s',
        'synchronise the streams in the driver (enable_sync, enable_frame_sync), or raise slop',
    ),
    Condition(
        'SWAPPED_TOPICS',
        WARN,
        'RGB and depth are swapped: {rgb} has depth, and {depth} has colour ({reason})',
        'swap the remappings of rgb/image and depth/image',
        event=True,
    ),
    Condition(
        'WRONG_ENCODING',
        WARN,
        'pairs of {rgb} and {depth} are refused: {reason}',
        'remap rgb/image to a colour image and depth/image to a depth image',
        event=True,
    ),
    Condition(
        'BAD_IMAGE',
        WARN,
        'pairs of {rgb} and {depth} are refused: {reason}',
        'check the published messages: ros2 topic echo --once --no-arr TOPIC',
        event=True,
    ),
    Condition(
        'SIZE_MISMATCH',
        WARN,
        'pairs of {rgb} and {depth} are refused: {reason}',
        'switch depth alignment on in the driver (align_depth.enable, depth_registration) and '
        'remap depth/image to the aligned topic',
        event=True,
    ),
    Condition(
        'UNREGISTERED_DEPTH',
        WARN,
        'pairs of {rgb} and {depth} are refused: {reason}',
        'switch depth alignment on in the driver (align_depth.enable, depth_registration) and '
        'remap depth/image to the aligned topic; or publish what is missing; or set '
        'register_depth to false if the depth is aligned',
        event=True,
    ),
    Condition(
        'UNALIGNED_DEPTH',
        WARN,
        '{depth} is in frame {depth_frame!r}, {rgb} in {rgb_frame!r}, and register_depth is false',
        'set register_depth to true, unless the driver aligns the depth: unaligned depth has '
        'wrong edges',
    ),
    Condition(
        'LATE_PAIRS',
        WARN,
        'a pair of {rgb} was dropped: it was {age:.2f} s old, and max_age is {max_age:.2f} s',
        'find the cause of the delay (driver, network or processor), or raise max_age',
        event=True,
    ),
    Condition(
        'FOREIGN_CLOCK',
        WARN,
        'stamps of {rgb} are {age:.1f} s old, so they come from another clock: max_age is not '
        'applied, and the latency is unknown',
        'for a bag, set use_sim_time and play it with --clock; for another computer, synchronise '
        'the clocks',
        event=True,
    ),
    Condition(
        'EMPTY_DEPTH',
        WARN,
        '{depth} has no usable measurement, so no depth can be completed',
        'check the depth stream, min_depth and max_depth',
    ),
    Condition(
        'OUT_OF_RANGE',
        WARN,
        '{share:.0%} of the measured pixels of {depth} are out of range and dropped: {near:.0%} '
        'nearer than {low:g} m, {far:.0%} farther than {high:g} m',
        "set min_depth and max_depth to the camera's range, as its launch file does",
    ),
    Condition(
        'BLACK_RGB',
        WARN,
        '{rgb} is black, so depth is completed without colour',
        'check exposure, lens cap and light',
    ),
    Condition(
        'FROZEN_RGB',
        WARN,
        '{rgb} has not changed for {frames} frames, although its stamps have',
        'restart the camera: its driver repeats an image',
    ),
    Condition(
        'NO_CAMERA_INFO',
        WARN,
        'no message has arrived on {info}, so no cloud and no camera_info are published',
        'remap rgb/camera_info to the topic of the colour camera',
    ),
    Condition(
        'BAD_CAMERA_INFO',
        WARN,
        '{info} cannot be used, so no cloud is published: {reason}',
        'calibrate the camera, or remap rgb/camera_info to the topic that belongs to rgb/image',
    ),
    Condition(
        'NO_MASK',
        WARN,
        'no mask on {mask} within {max_age:g} s of the stamp of a frame; the frame {effect}',
        'start the segmenter, raise mask_max_age, or set mask_policy to optional',
        event=True,
    ),
    Condition(
        'BAD_MASK',
        WARN,
        'masks on {mask} cannot be used: {reason}',
        'publish mono8 images with the aspect ratio of the colour image, not 0 where the depth is '
        'wrong',
        event=True,
    ),
    Condition(
        'NO_TRANSFORMS',
        WARN,
        '/tf_static cannot be read: {reason}',
        'install or rebuild tf2_msgs, or give the extrinsics as depth_to_rgb',
    ),
    Condition(
        'DUPLICATE_OUTPUT',
        WARN,
        '{topic} also has another publisher: {others}',
        'end the other publisher, or give one of the two a namespace or a remapping',
    ),
    Condition(
        'OUTPUT_QOS',
        ERROR,
        'a subscriber of {topic} gets no messages, as its QoS does not match: {reason}',
        'set the QoS of the subscriber to that of this node (reliable, volatile), or change the '
        'QoS of this node by qos_overrides.{topic}.publisher.*',
    ),
)

# Of the node: its engine, its requests, its place in the graph.
_NODE = (
    Condition(
        'ENGINE_FAILED',
        ERROR,
        'the engine failed (on_failure: {policy}): {reason}',
        'check the log; the node opens the engine again by itself',
    ),
    Condition(
        'ENGINE_DEGRADED',
        WARN,
        '{engine} replaces the requested engine: {reason}',
        'remove the cause, then call ~/reload_model',
    ),
    Condition(
        'TRANSITION_FAILED',
        ERROR,
        'the last transition failed: {reason}',
        'remove the cause, then request the transition again: ros2 lifecycle set',
    ),
    Condition(
        'RELOAD_FAILED',
        WARN,
        'the reload failed, and the model in use stays: {reason}',
        'correct the parameters, then call ~/reload_model again',
    ),
    Condition(
        'FRAME_LOST',
        ERROR,
        'a frame was lost: {reason}',
        'report it with the log: this is a fault of the node',
        event=True,
    ),
    Condition(
        'NO_CLOCK',
        WARN,
        'use_sim_time is true, but no message has arrived on /clock',
        'play the bag with --clock, start the simulation, or set use_sim_time to false',
    ),
    Condition(
        'DUPLICATE_NODE',
        WARN,
        '{count} nodes have the name {name}, so a service call may reach any of them',
        'end the others, or start them with another name or namespace',
    ),
    Condition(
        'UNKNOWN_PARAMETER',
        WARN,
        'unknown parameters were given: {names}',
        'correct the names; docs/parameters.md lists all parameters',
    ),
    Condition(
        'REFUSED_PARAMETER',
        WARN,
        'a parameter was refused and keeps its value: {reason}',
        'set an allowed value; `ros2 param describe` shows the range',
        event=True,
    ),
)

CONDITIONS = {condition.code: condition for condition in (*_CAMERA, *_NODE)}
"""By code. Of several conditions of one level, the first of the table is shown first."""
