# SPDX-License-Identifier: Apache-2.0
"""Metrics, classical baselines and reports: how good a completed depth is."""
