# SPDX-License-Identifier: Apache-2.0
"""What a choosing network is shown: its logarithm in arithmetic, and how it spreads ratios."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.surfaces.logarithm import logarithm
from magadepth_training.networks.surfaces.observations import signed_log


def test_the_logarithm_in_arithmetic_is_the_logarithm():
    x = torch.logspace(-3, 3, 1000)

    torch.testing.assert_close(logarithm(x), torch.log(x.double()).float(), atol=1e-5, rtol=0)
    assert logarithm(torch.ones(1)) == 0


def test_ratios_are_spread_with_their_sign():
    ratio = torch.tensor([-1.5, -0.01, 0.0, 0.01, 1.5])

    wanted = [math.copysign(math.log(1 + 20 * abs(r)), r) for r in ratio.tolist()]
    torch.testing.assert_close(signed_log(ratio), torch.tensor(wanted), atol=1e-5, rtol=0)
