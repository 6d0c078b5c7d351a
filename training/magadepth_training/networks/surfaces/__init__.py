# SPDX-License-Identifier: Apache-2.0
"""Ours: the guided fill, the candidate surfaces, and the networks that choose among them."""
