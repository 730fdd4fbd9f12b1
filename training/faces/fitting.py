"""Training steps, from settings to weights: everything random hangs on the seed, the epoch and the photo."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from export.mobilefacenet import MEAN, STD, WIDTH, MobileFaceNet
from training.distill.quantaware import Float
from training.faces.augmentation import augmented
from training.faces.losses import ArcFace, anchor_loss, triplet_loss
from training.faces.quantaware import embed

Labels = npt.NDArray[np.int64]
Faces = npt.NDArray[np.uint8]
EMBED_BATCH = 64


@dataclass(frozen=True)
class Settings:
    """How to train. `anchor` weighs 1 - cosine to the base network's embedding; it needs a base network."""

    loss: Literal["arcface", "triplet"] = "arcface"
    margin: float = 0.5
    scale: float = 32.0
    anchor: float = 30.0
    epochs: int = 6
    batch: int = 64
    rate: float = 3e-3
    weight_decay: float = 5e-4
    momentum: float = 0.9
    photos_each: int = 4
    from_scratch: bool = False
    seed: int = 0

    def steps(self, faces: int) -> int:
        """Optimizer steps of the whole training on so many faces."""
        return self.epochs * math.ceil(faces / self.batch)


def as_tensor(faces: Faces) -> torch.Tensor:
    """Nx112x112x3 uint8 RGB -> [N, 3, 112, 112] float32 as the network takes it."""
    pixels = torch.from_numpy(np.ascontiguousarray(faces)).float()
    return ((pixels - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)


@torch.no_grad()
def embeddings(network: MobileFaceNet, faces: Faces, rounding: Float | None = None) -> torch.Tensor:
    """[N, 128] float32 of Nx112x112x3 uint8, as they come; `rounding` as in `training.faces.quantaware.embed`."""
    parts = torch.split(torch.arange(len(faces)), EMBED_BATCH)
    return torch.cat([embed(network, as_tensor(faces[part.numpy()]), rounding or Float()) for part in parts])


def both_ways(network: MobileFaceNet, faces: Faces) -> torch.Tensor:
    """[N, 128] of unit length: the mean of what a network says of each face and of its mirror image."""
    plain = F.normalize(embeddings(network, faces))
    return F.normalize(plain + F.normalize(embeddings(network, faces[:, :, ::-1])))


def centres(vectors: torch.Tensor, labels: Labels) -> torch.Tensor:
    """[people, D]: the mean embedding of each person, as the classes' first centres."""
    sums = torch.zeros(int(labels.max()) + 1, vectors.shape[1])
    return F.normalize(sums.index_add_(0, torch.from_numpy(labels), F.normalize(vectors)))


class Fitting:
    """The state of a training: network, centres, optimizer, and the number of steps done."""

    def __init__(
        self,
        network: MobileFaceNet,
        faces: Faces,
        labels: Labels,
        settings: Settings,
        *,
        wanted: torch.Tensor | None = None,
        rounding: Float | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            network: is trained in place.
            faces: Nx112x112x3 uint8, aligned.
            labels: [N], a number for each person from 0.
            wanted: [N, 128], what the network is anchored to: without, `settings.anchor` has no effect.
            rounding: of a quantization-aware training.
        """
        self.network, self.faces, self.labels, self.settings = network, faces, labels, settings
        self._wanted, self.rounding = wanted, rounding or Float()
        torch.manual_seed(settings.seed)
        start = torch.randn(int(labels.max()) + 1, WIDTH) if wanted is None else centres(wanted, labels)
        self.arcface = ArcFace(start, settings.margin, settings.scale)
        self.step, self.total = 0, settings.steps(len(faces))
        self.each_epoch = math.ceil(len(faces) / settings.batch)
        self.curve: list[dict[str, float]] = []
        self.optimizer = torch.optim.SGD(self._groups(), lr=settings.rate, momentum=settings.momentum)

    def _groups(self) -> list[dict[str, Any]]:
        """Weights decay, but not the scales and shifts of BatchNorm, nor the centres."""
        decayed = [p for p in self.network.parameters() if p.dim() > 1]
        others = [p for p in self.network.parameters() if p.dim() <= 1]
        centre = list(self.arcface.parameters()) if self.settings.loss == "arcface" else []
        return [
            {"params": decayed, "weight_decay": self.settings.weight_decay},
            {"params": [*others, *centre], "weight_decay": 0.0},
        ]

    def rate(self, step: int) -> float:
        """Cosine decay after a warm-up of a twentieth."""
        warm = max(1, self.total // 20)
        if step < warm:
            return self.settings.rate * (step + 1) / warm
        return self.settings.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.total - warm)))

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, Labels]:
        """The augmented faces of a step, [N, 3, 112, 112], their labels, and which of all faces they are."""
        epoch = step // self.each_epoch
        rows = self._mixed(step) if self.settings.loss == "triplet" else self._next(epoch, step % self.each_epoch)
        changed = [
            augmented(self.faces[row], np.random.default_rng((self.settings.seed, step, int(row)))) for row in rows
        ]
        return as_tensor(np.stack(changed)), torch.from_numpy(self.labels[rows]), rows

    def _next(self, epoch: int, at: int) -> Labels:
        """Each epoch goes through all faces, in an order of its own."""
        order = np.random.default_rng((self.settings.seed, epoch)).permutation(len(self.faces))
        return order[at * self.settings.batch : (at + 1) * self.settings.batch]

    def _mixed(self, step: int) -> Labels:
        """Some people, some photos of each: triplets need both."""
        rng = np.random.default_rng((self.settings.seed, step, 0x7121))
        each = self.settings.photos_each
        several = np.flatnonzero(np.bincount(self.labels) > 1)
        people = rng.permutation(several)[: max(2, self.settings.batch // each)]
        return np.concatenate([rng.permutation(np.flatnonzero(self.labels == person))[:each] for person in people])

    def train_step(self) -> dict[str, float]:
        """One step of the optimizer.

        Raises:
            FloatingPointError: the loss is no number any more.
        """
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        images, labels, rows = self.batch(self.step)
        scratch = settings.from_scratch
        vectors = self.network.train()(images) if scratch else embed(self.network, images, self.rounding)
        main = (
            self.arcface(vectors, labels)
            if settings.loss == "arcface"
            else triplet_loss(vectors, labels, settings.margin)
        )
        kept = anchor_loss(vectors, self._wanted[rows]) if self._wanted is not None else torch.zeros(())
        loss = main + settings.anchor * kept
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {self.step} is {loss.item()}: lower --rate")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        row = {"step": self.step, settings.loss: main.item(), "anchor": kept.item(), "rate": self.rate(self.step)}
        self.curve.append(row)
        self.step += 1
        return row

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on as if nothing had happened."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "arcface": self.arcface.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "curve": self.curve,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        self.network.load_state_dict(state["network"])
        self.arcface.load_state_dict(state["arcface"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.curve = state["step"], list(state["curve"])


def fit(
    fitting: Fitting,
    keep: Callable[[], None],
    each_epoch: Callable[[int], None],
    after: Callable[[int], None],
    every: int = 20,
) -> None:
    """All steps that are left.

    Args:
        keep: saves a checkpoint; called every so many steps and at the end of each epoch.
        each_epoch: told the number of epochs done, before the checkpoint of that moment.
        after: told the number of steps done, after each.
    """
    while fitting.step < fitting.total:
        fitting.train_step()
        ends = fitting.step % fitting.each_epoch == 0
        if ends:
            each_epoch(fitting.step // fitting.each_epoch)
        if ends or fitting.step % every == 0:
            keep()
        after(fitting.step)
