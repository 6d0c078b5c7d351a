# SPDX-License-Identifier: Apache-2.0
"""The head of every choosing network: a softmax over the candidates and a small bounded factor."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..output import NetworkOutput
from .candidates import NAMES, Candidates

FIRST_GUESS = 4.0
"""Logit of the guided fill in an untrained network, which is therefore nearly that fill."""

FACTOR = 0.3
"""Largest change of the log depth that is not a choice."""

EXACT, DOUBT = 0.001, 0.7
"""
The expected error is the first, and this multiple of the sum of both doubts to the power of 1.5.

Fitted to ``rgbd_val``: in each eighth of its hidden pixels, ordered by the expected error, the
mean error is 0.6 to 1.4 of it. A learned multiple of the fill's doubt, trained by a Gaussian
likelihood, ranked the errors worse than the fill does (AUSE 0.017 against 0.014 m; so 0.012).
"""

LOG_VARIANCE_RANGE = (-14.0, 4.0)
"""Bounds of the relative log-variance: errors of 0.1 % to 7 times the depth."""


class Choice(NamedTuple):
    """``logits`` (B, K, H, W) of the candidates and the log ``factor`` (B, 1, H, W), by pixel."""

    logits: Tensor
    factor: Tensor


class ChoiceHead(nn.Module):
    """Predicts at half the size, four pixels in each place, and shuffles them to full size."""

    def __init__(self, channels: int, candidates: int = len(NAMES)):
        super().__init__()
        # A logit for each candidate, and the factor.
        self.answer = nn.Conv2d(channels, 4 * (candidates + 1), 1)
        assert self.answer.bias is not None
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)
        with torch.no_grad():
            self.answer.bias[:4] = FIRST_GUESS

    def forward(self, features: Tensor) -> Choice:
        """(B, C, H / 2, W / 2) -> `Choice` at full size."""
        # Two convolutions of one layer's weights: runtimes copy what they split afterwards.
        weight, bias = self.answer.weight, self.answer.bias
        assert bias is not None
        count = len(weight) - 4
        logits = F.conv2d(features, weight[:count], bias[:count])
        factor = F.conv2d(features, weight[count:], bias[count:])
        return Choice(
            F.pixel_shuffle(logits.float(), 2),
            FACTOR * torch.tanh(F.pixel_shuffle(factor.float(), 2)),
        )


def chosen(candidates: Candidates, choice: Choice) -> NetworkOutput:
    """
    Return the depth that was chosen [m] and its log-variance.

    The expected error grows with what the guided fill expects of itself and with how far the
    candidates of the softmax lie apart, both relative to the depth. Measured pixels stay as they
    were measured.
    """
    with torch.autocast(choice.logits.device.type, enabled=False):
        share = torch.softmax(choice.logits, dim=1)
        relative = (share * candidates.depths).sum(dim=1, keepdim=True)
        spread = (share * (candidates.depths / relative - 1) ** 2).sum(dim=1, keepdim=True)
        # Detached: what is expected of the depth never makes it.
        parts = candidates.deviation / candidates.depths[:, :1], torch.sqrt(spread).detach()
        expected = EXACT + DOUBT * sum(part * torch.sqrt(part) for part in parts)
        missing = 1 - candidates.valid
        relative = relative * torch.exp(missing * choice.factor)
        depth = relative * candidates.scale
        log_variance = 2 * torch.log(expected)
        nothing = missing.amin(dim=(2, 3), keepdim=True)
        log_variance = log_variance + nothing * (LOG_VARIANCE_RANGE[1] - log_variance)
        return NetworkOutput(
            depth,
            log_variance.clamp(*LOG_VARIANCE_RANGE) + 2 * torch.log(depth),
            choice=choice,
            candidates=candidates,
        )
