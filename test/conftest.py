# SPDX-License-Identifier: Apache-2.0
"""Lets every test import ``support``, the helpers beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
