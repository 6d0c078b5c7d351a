# SPDX-License-Identifier: Apache-2.0
"""The head of every choosing network: a softmax over the candidates and a small bounded factor."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..output import NetworkOutput
from .candidates import NAMES, Candidates
from .expected_error import growing, log_variance

FIRST_GUESS = 4.0
"""Logit of the guided fill in an untrained network, which is therefore nearly that fill."""

FACTOR = 0.3
"""Largest change of the log depth that is not a choice."""

DOUBT = 0.7
"""Weight of the fill's doubt and of the spread of the choice in the expected error."""


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

    It is the geometric mean of the candidates, weighed by the softmax. Their arithmetic mean leans
    to the far ones, which costs most in relative error: REL 0.0222 on ``rgbd_val`` instead of
    0.0204, with the same weights. The expected error grows with that of the guided fill and with
    the spread of the candidates in the softmax, both relative to the depth. Measured pixels stay
    as they were measured.
    """
    with torch.autocast(choice.logits.device.type, enabled=False):
        depths, logs, valid = candidates.depths, candidates.logs, candidates.valid
        share = torch.softmax(choice.logits, dim=1)
        mean = (share * logs).sum(dim=1, keepdim=True)
        spread = (share * (logs - mean) ** 2).sum(dim=1, keepdim=True)
        # Detached: the expected error must not change the depth.
        doubts = candidates.deviation / depths[:, :1], torch.sqrt(spread).detach()
        expected = DOUBT * (growing(doubts[0]) + growing(doubts[1]))
        filled = torch.exp(mean + choice.factor)
        depth = torch.where(valid > 0, depths[:, :1], filled) * candidates.scale
        return NetworkOutput(depth, log_variance(expected, depth, valid), choice, candidates)
