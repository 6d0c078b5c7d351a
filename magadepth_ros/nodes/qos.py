# SPDX-License-Identifier: Apache-2.0
"""QoS of the node's topics, their overrides, and what is said when a peer's does not fit."""

from __future__ import annotations

from typing import Any

from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from magadepth_ros.nodes.reporter import Reporter

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble has them under their old name.
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


def sensor_input(depth: int = 2) -> QoSProfile:
    """Best effort: connects to publishers of either reliability, never waits for a lost frame."""
    return _profile(QoSReliabilityPolicy.BEST_EFFORT, depth)


def output(depth: int = 1) -> QoSProfile:
    """Reliable: connects to subscribers of either reliability; keeps the newest frame only."""
    return _profile(QoSReliabilityPolicy.RELIABLE, depth)


def overrides() -> QoSOverridingOptions:
    """Let users set history, depth and reliability by the parameters ``qos_overrides.*``."""
    return QoSOverridingOptions.with_default_policies()


def subscription_events(reporter: Reporter, topic: str) -> Any:
    """Report a publisher on ``topic`` that this subscription cannot hear."""

    def incompatible(event: Any) -> None:
        reporter.error(
            f'qos {topic}',
            f'a publisher on {topic} offers another QoS than this node asks for '
            f'(policy {_name(event)}): nothing arrives from it; set '
            f'qos_overrides.{topic}.subscription.reliability to best_effort',
        )

    return SubscriptionEventCallbacks(incompatible_qos=incompatible)


def publisher_events(reporter: Reporter, topic: str) -> Any:
    """Report a subscriber on ``topic`` that cannot hear this publisher."""

    def incompatible(event: Any) -> None:
        reporter.error(
            f'qos {topic}',
            f'a subscriber on {topic} asks for another QoS than this node offers '
            f'(policy {_name(event)}): it gets nothing; set its policy to that of this node '
            f'(reliable, volatile), or change this by qos_overrides.{topic}.publisher.*',
        )

    return PublisherEventCallbacks(incompatible_qos=incompatible)


def _profile(reliability: QoSReliabilityPolicy, depth: int) -> QoSProfile:
    return QoSProfile(
        reliability=reliability,
        durability=QoSDurabilityPolicy.VOLATILE,
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
    )


def _name(event: Any) -> str:
    try:
        return qos_policy_name_from_kind(event.last_policy_kind)
    except (TypeError, ValueError):
        return str(event.last_policy_kind)
