# SPDX-License-Identifier: Apache-2.0
"""The Lightning module: one network, its loss and optimiser, and its validation errors."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from .losses import choice_loss, paper_loss
from .networks.registry import create_network
from .recipe import Recipe
from .spectral_loss import joint_loss

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)

WARM_UP = 0.05
"""Largest share of a given time in which the learning rate rises."""


class TrainingModule(lightning.LightningModule):
    """
    Trains one network by a recipe.

    Batches have rgb (B, 3, H, W) in 0..1; depth and target (B, 1, H, W) metres, 0 = missing or
    unknown. ``watched`` are the names of the sets to validate on. With ``finish_in`` the learning
    rate falls with the time [s] instead of the steps, where that is sooner, so that the weights
    are finished after that time.
    """

    def __init__(
        self,
        config: Any,
        recipe: Recipe,
        watched: Sequence[str] = (),
        finish_in: float | None = None,
    ):
        super().__init__()
        self.network = create_network(config)
        self.recipe, self.finish_in, self.watched = recipe, finish_in, list(watched)
        self.started = time.monotonic()
        self.sums = torch.zeros(len(self.watched), 3)
        self.save_hyperparameters({'network': asdict(config), 'recipe': asdict(recipe)})

    def forward(self, rgb: Tensor, depth: Tensor) -> Any:
        """Run the network: rgb (B, 3, H, W), depth (B, 1, H, W) m -> NetworkOutput."""
        return self.network(rgb, depth)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return the loss of a batch, see the class."""
        recipe = self.recipe
        output = self.network(batch['rgb'], batch['depth'])
        if recipe.loss == 'paper':
            terms = paper_loss(output, batch['target'], mse=recipe.mse, structure=recipe.structure)
        else:
            loss = joint_loss if recipe.loss == 'joint' else choice_loss
            terms = loss(
                output,
                batch['depth'],
                batch['target'],
                cross_entropy=recipe.cross_entropy,
                structure=recipe.structure,
            )
        total = torch.stack(list(terms.values())).sum()
        self.log_dict({f'train/{name}': value.detach() for name, value in terms.items()})
        self.log('train/loss', total.detach(), prog_bar=True)
        return total

    def on_validation_epoch_start(self) -> None:
        """Reset the sums of the watched sets."""
        self.sums = torch.zeros(len(self.watched), 3, device=self.device)

    def validation_step(
        self, batch: dict[str, Tensor], index: int, dataloader_idx: int = 0
    ) -> None:
        """Sum the errors at hidden pixels, and show the first batch as a picture."""
        # Not by the compiled call, which would be compiled again for evaluation.
        output = self.network.forward(batch['rgb'], batch['depth'])
        self.sums[dataloader_idx] += hidden_errors(output.depth, batch)
        log = getattr(self.logger, 'experiment', None)
        if index == dataloader_idx == 0 and log is not None:
            log.add_image(
                'val/rgb_input_completed_target',
                contact_sheet(batch, output.depth),
                self.global_step,
            )

    def take_errors(self) -> dict[str, tuple[float, float]]:
        """
        Return REL and RMSE [m] of each watched set, means over the frames of all processes.

        Both are NaN where no frame has enough hidden pixels.
        """
        sums = self.trainer.strategy.reduce(self.sums, reduce_op='sum')
        assert isinstance(sums, Tensor)
        means = (sums[:, :2] / sums[:, 2:]).tolist()
        return {name: (rel, rmse) for name, (rel, rmse) in zip(self.watched, means)}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient's norm; a gradient that is not finite is set to 0."""
        if gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)
        for parameter in self.network.parameters():
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0, 0, 0)

    def on_train_start(self) -> None:
        """Start the clock of `finish_in`."""
        self.started = time.monotonic()

    def configure_optimizers(self) -> Any:
        """Return the recipe's optimiser; biases, norms and epsilons are not decayed."""
        recipe = self.recipe
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {'params': decayed, 'weight_decay': recipe.weight_decay},
            {'params': others, 'weight_decay': 0.0},
        ]
        if recipe.optimizer == 'sgd':
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                groups, lr=recipe.learning_rate, momentum=recipe.momentum
            )
        else:
            optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
        if recipe.schedule == 'plateau':
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=5)
            return {
                'optimizer': optimizer,
                'lr_scheduler': {
                    'scheduler': plateau,
                    'monitor': 'val/rel',
                    'interval': 'step',
                    'frequency': recipe.validate_every,
                    'strict': False,
                },
            }
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.share_of_rate)
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }

    def share_of_rate(self, step: int) -> float:
        """Return the share of the learning rate: a warm-up, then a cosine down to 0."""
        recipe, elapsed = self.recipe, 0.0
        warm = (step + 1) / max(1, recipe.warmup_steps)
        done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
        if self.finish_in:
            elapsed = (time.monotonic() - self.started) / self.finish_in
            if self.trainer.world_size > 1:
                # All ranks use one clock, as their weights would drift apart otherwise.
                elapsed = self.trainer.strategy.broadcast(elapsed)
            warm = max(warm, elapsed / WARM_UP)
        fallen = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, done, elapsed))))
        return min(1.0, warm, fallen)


def hidden_errors(completed: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """
    Sum the errors at hidden pixels over the frames of a batch that have 50 of them or more.

    In REL a pixel counts 1 at most: else a handful of wrong true depths, 10 times too far, would
    decide which weights are best. ``completed`` is (B, 1, H, W) metres. Returns (3,): REL,
    RMSE [m], and how many frames counted.
    """
    hidden = ((batch['depth'] <= 0) & (batch['target'] > 0)).float()
    count = hidden.sum(dim=(1, 2, 3))
    error = hidden * (completed - batch['target'])
    relative = (error.abs() / batch['target'].clamp(min=1e-3)).clamp(max=1)
    scored = (count >= 50).float()
    count = count.clamp(min=1)
    rel = relative.sum(dim=(1, 2, 3)) / count
    rmse = ((error**2).sum(dim=(1, 2, 3)) / count).sqrt()
    return (torch.stack([rel, rmse, torch.ones_like(rel)], dim=1) * scored[:, None]).sum(dim=0)


def freeze_all_but(network: nn.Module, parts: Sequence[str]) -> None:
    """
    Freeze a network except for some parts: ``head``, ``norms``, or names of other modules.

    The whole network goes to evaluation mode: norms keep the statistics of their training, as a
    few similar frames give no reliable statistics. Of ``norms``, scale and shift are trained.
    """
    network.requires_grad_(False).eval()
    for name, module in network.named_modules():
        if name in parts or ('norms' in parts and isinstance(module, NORMS)):
            module.requires_grad_(True)


def contact_sheet(batch: dict[str, Tensor], completed: Tensor) -> Tensor:
    """Return (3, H * B, W * 4): picture, input, completed and target depth, near to far."""
    rows = []
    for i in range(completed.shape[0]):
        target = batch['target'][i]
        far = target.max().clamp(min=1e-3)
        maps = [(d / far).clamp(0, 1).expand(3, -1, -1) for d in (batch['depth'][i], completed[i])]
        rows.append(torch.cat([batch['rgb'][i], *maps, (target / far).expand(3, -1, -1)], dim=2))
    return torch.cat(rows, dim=1).float()
