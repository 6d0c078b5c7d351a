# SPDX-License-Identifier: Apache-2.0
"""QoS of the node's topics, their overrides, and the reason where a peer's QoS does not fit."""

from __future__ import annotations

from rclpy.qos import (
    QoSCompatibility,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.qos_overriding_options import QoSOverridingOptions


def sensor_input() -> QoSProfile:
    """Best effort: connects to publishers of either reliability, never waits for a lost frame."""
    return QoSProfile(depth=2, reliability=QoSReliabilityPolicy.BEST_EFFORT)


def output() -> QoSProfile:
    """Reliable: connects to subscribers of either reliability; keeps the newest frame only."""
    return QoSProfile(depth=1, reliability=QoSReliabilityPolicy.RELIABLE)


def overrides() -> QoSOverridingOptions:
    """Let users set history, depth and reliability by the parameters ``qos_overrides.*``."""
    return QoSOverridingOptions.with_default_policies()


def mismatch(publisher: QoSProfile, subscription: QoSProfile) -> str:
    """Return why a subscription gets nothing from a publisher; '' where it does or may get it."""
    compatibility, reason = qos_check_compatible(publisher, subscription)
    return reason.strip(' ;') if compatibility == QoSCompatibility.ERROR else ''
