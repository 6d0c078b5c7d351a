# SPDX-License-Identifier: Apache-2.0
"""Data sets for training and evaluation, one loader per file behind :func:`open_source`."""
