# SPDX-License-Identifier: Apache-2.0
"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """Return a whole number from 1 on; for ``type=`` of argparse."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number from 1 on')
    return value
