# SPDX-License-Identifier: Apache-2.0
"""Evaluation of completed depth: metrics, classical baselines and reports."""
