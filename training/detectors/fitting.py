"""The training loop: Ultralytics' network, augmentation and loss, our own state.

Ultralytics' own trainer goes on from averaged weights and an optimizer rounded to half precision, so that a resumed
run is another run; it writes beside the photos, asks its host for a network to try mixed precision with, and takes all
threads but one. Here a run that was cut off ends, on one thread, with the same bits as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import ModelEMA

from training.detectors.photos import Photos, hyperparameters
from training.detectors.settings import Settings


class Fitting:
    """The state of a run: network, optimizer, moving average, history."""

    def __init__(self, network: DetectionModel, photos: Photos, settings: Settings) -> None:
        # Channels last: a fifth faster on a CPU.
        self.network = network.to(memory_format=torch.channels_last)
        self.photos = photos
        self.settings = settings
        self.network.args = hyperparameters(settings)
        self._frozen = _freeze(network, settings.freeze)
        self.optimizer = torch.optim.AdamW(_groups(network, settings.weight_decay), lr=settings.rate)
        self.average = ModelEMA(network, decay=settings.ema, tau=settings.ema_steps)
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] | None = None
        self.best_score = -1.0

    @property
    def batches_each(self) -> int:
        """Batches in an epoch."""
        return max(1, round(len(self.photos) / self.settings.batch))

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to `final_rate` of the rate."""
        settings, each = self.settings, self.batches_each
        warmup = min(settings.warmup, settings.epochs - 1) * each
        if step < warmup:
            return settings.rate * (step + 1) / warmup
        done = (step - warmup) / max(1.0, settings.epochs * each - warmup)
        low = settings.final_rate
        return settings.rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))

    def train_epoch(self, on_batch: Any = lambda: None) -> dict[str, float]:
        """Go through all photos once; returns the epoch's mean losses."""
        self.network.train()
        for module in self._frozen:
            module.eval()
        sums: dict[str, float] = {}
        for number, batch in enumerate(self.photos.batches(self.epoch)):
            step = self.epoch * self.batches_each + number
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate_at(step)
            for name, value in self._step(batch).items():
                sums[name] = sums.get(name, 0.0) + value
            on_batch()
        row = {"epoch": self.epoch + 1, **{name: total / self.batches_each for name, total in sums.items()}}
        row["rate"] = self.rate_at((self.epoch + 1) * self.batches_each - 1)
        self.history.append(row)
        self.epoch += 1
        return row

    def _step(self, batch: Mapping[str, Any]) -> dict[str, float]:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            loss, parts = self.network(batch)
        total = loss.sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss of epoch {self.epoch + 1} is {total.item()}: lower the rate")
        self.optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimizer.step()
        self.average.update(self.network)
        return {name.removesuffix("_loss"): float(value) for name, value in parts.items()}

    def keep_if_best(self, score: float) -> None:
        """Remember the averaged weights if no epoch before had a higher score."""
        if score > self.best_score:
            self.best_score = score
            self.best = {name: tensor.clone() for name, tensor in self.average.ema.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on as if nothing had happened."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "average": self.average.ema.state_dict(),
            "updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "best": self.best,
            "best_score": self.best_score,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        self.network.load_state_dict(state["network"])
        self.average.ema.load_state_dict(state["average"])
        self.average.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.history = state["epoch"], list(state["history"])
        self.best, self.best_score = state["best"], state["best_score"]


def _freeze(network: nn.Module, layers: int) -> list[nn.Module]:
    """Let the DFL's fixed bins and the first layers keep their weights; returns the frozen layers."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(".dfl." not in name)
    frozen = list(network.model)[:layers]
    for layer in frozen:
        layer.requires_grad_(False)
    return frozen


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights of convolutions decay; biases and BatchNorm do not."""
    decayed, others = [], []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            (decayed if parameter.ndim > 1 and not name.endswith("bias") else others).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
