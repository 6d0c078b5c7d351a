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

LOG_VARIANCE_RANGE = (-12.0, 4.0)
"""Bounds of the relative log-variance: errors of 0.25 % to 7 times the depth."""


class Choice(NamedTuple):
    """
    A network's answer for each pixel.

    ``logits`` (B, K, H, W) of the candidates, the log ``factor`` (B, 1, H, W), and ``doubt``
    (B, 1, H, W), which is added to the fill's log-variance.
    """

    logits: Tensor
    factor: Tensor
    doubt: Tensor


class ChoiceHead(nn.Module):
    """Predicts at half the size, four pixels in each place, and shuffles them to full size."""

    def __init__(self, channels: int, candidates: int = len(NAMES)):
        super().__init__()
        # A logit for each candidate, and the factor.
        self.answer = nn.Conv2d(channels, 4 * (candidates + 1), 1)
        self.doubt = nn.Conv2d(channels, 4, 1)
        for conv in (self.answer, self.doubt):
            nn.init.zeros_(conv.weight)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
        with torch.no_grad():
            assert self.answer.bias is not None
            self.answer.bias[:4] = FIRST_GUESS

    def forward(self, features: Tensor) -> Choice:
        """(B, C, H / 2, W / 2) -> `Choice` at full size."""
        # Two convolutions of one layer's weights: runtimes copy what they split afterwards.
        weight, bias = self.answer.weight, self.answer.bias
        assert bias is not None
        count = len(weight) - 4
        logits = F.conv2d(features, weight[:count], bias[:count])
        factor = F.conv2d(features, weight[count:], bias[count:])
        # Detached: what tells the error must not bend the features that make the depth.
        doubt = F.pixel_shuffle(self.doubt(features.detach()).float(), 2)
        return Choice(
            F.pixel_shuffle(logits.float(), 2),
            FACTOR * torch.tanh(F.pixel_shuffle(factor.float(), 2)),
            doubt,
        )


def chosen(candidates: Candidates, choice: Choice) -> NetworkOutput:
    """
    Return the depth that was chosen [m] and its log-variance.

    The expected squared error, relative to the depth, is the spread of the mixture and a learned
    multiple of the fill's own doubt. Measured pixels stay as they were measured.
    """
    with torch.autocast(choice.logits.device.type, enabled=False):
        share = torch.softmax(choice.logits, dim=1)
        relative = (share * candidates.depths).sum(dim=1, keepdim=True)
        spread = (share * (candidates.depths / relative - 1) ** 2).sum(dim=1, keepdim=True)
        own = 2 * torch.log(candidates.deviation / candidates.depths[:, :1] + 1e-3) + choice.doubt
        low, high = LOG_VARIANCE_RANGE
        variance = spread.detach() + torch.exp(own.clamp(low, high))
        missing = 1 - candidates.valid
        relative = relative * torch.exp(missing * choice.factor)
        depth = relative * candidates.scale
        log_variance = torch.log(variance).clamp(low, high)
        nothing = missing.amin(dim=(2, 3), keepdim=True)
        log_variance = log_variance + nothing * (high - log_variance)
        return NetworkOutput(
            depth, log_variance + 2 * torch.log(depth), choice=choice, candidates=candidates
        )
