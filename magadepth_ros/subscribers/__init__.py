# SPDX-License-Identifier: Apache-2.0
"""Subscribers of the commands to running nodes: what arrived, when, and which frames."""
