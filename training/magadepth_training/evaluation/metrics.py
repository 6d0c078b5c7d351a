# SPDX-License-Identifier: Apache-2.0
"""The depth errors of the literature as torchmetrics: per frame first, then the mean of frames."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

NAMES = (
    'rmse',
    'mae',
    'rel',
    'd105',
    'd110',
    'd125',
    'd125_2',
    'd125_3',
    'unfilled',
)
"""RMSE and MAE [m], REL [-], delta 1.05, 1.10, 1.25, 1.25^2 and 1.25^3 [%], share unfilled [-]."""

MIN_PIXELS = 50
"""A frame with fewer scored pixels than this is left out: its figures would be noise."""

_THRESHOLDS = (1.05, 1.10, 1.25, 1.25**2, 1.25**3)


def depth_errors(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor | None:
    """
    Errors of one frame at the pixels of a mask, in the order of :data:`NAMES`.

    Parameters
    ----------
    prediction:
        any shape, metres; 0, negative or not finite = not filled, which counts as predicted 0.
    target:
        same shape, metres; must be > 0 where the mask is set.
    mask:
        same shape, bool.

    Returns
    -------
    Tensor or None
        (9,) float64; None with fewer than :data:`MIN_PIXELS` pixels in the mask.

    """
    p, t = prediction[mask].double(), target[mask].double()
    if t.numel() < MIN_PIXELS:
        return None
    # float32 metres carry 1e-7 of noise, which would decide ratios that are exactly 1.05.
    p, t = _on_grid(torch.where(p.isfinite() & (p > 0), p, torch.zeros_like(p))), _on_grid(t)
    error = (p - t).abs()
    ratio = torch.maximum(p / t, t / p.clamp(min=1e-9))
    deltas = [(ratio < threshold).double().mean() * 100 for threshold in _THRESHOLDS]
    head = [error.square().mean().sqrt(), error.mean(), (error / t).mean()]
    return torch.stack([*head, *deltas, (p <= 0).double().mean()])


class DepthErrors(Metric):
    """
    Mean over frames of :func:`depth_errors`; works under DDP, and is reset per epoch.

    ``update(prediction, target, mask)`` takes (B, 1, H, W), (B, H, W) or (H, W) metres and a
    bool mask of the same shape; ``compute()`` gives ``{name: float}``, empty without any frame.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    total: Tensor
    frames: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        zeros = torch.zeros(len(NAMES), dtype=torch.float64)
        self.add_state('total', zeros, dist_reduce_fx='sum')
        self.add_state('frames', torch.tensor(0), dist_reduce_fx='sum')

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add (B, H, W) or (H, W) metres; without a mask, known targets (> 0) are scored."""
        if prediction.shape != target.shape:
            raise ValueError(
                f'expected prediction and target of one shape, got {tuple(prediction.shape)} '
                f'and {tuple(target.shape)}'
            )
        known = target > 0
        mask = known if mask is None else mask & known
        if target.ndim == 2:
            prediction, target, mask = prediction[None], target[None], mask[None]
        for p, t, m in zip(prediction, target, mask, strict=True):
            errors = depth_errors(p, t, m)
            if errors is not None:
                self.total += errors.to(self.total.device)
                self.frames += 1

    def compute(self) -> dict[str, float]:
        """Return the mean over the frames by name; empty where no frame was scored."""
        if not int(self.frames):
            return {}
        return dict(zip(NAMES, (self.total / self.frames).tolist(), strict=True))


def _on_grid(metres: Tensor) -> Tensor:
    return (metres * 1e5).round() / 1e5
