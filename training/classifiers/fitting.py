"""The epoch loop: what it was doing is written down after each epoch, so that it goes on as if nothing had happened."""

from __future__ import annotations

import json
import math
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from device.errors import InputError
from training.classifiers.pipeline import Floats, Labels, Source
from training.interruption import Interruption
from training.progress import progress
from training.runs import Run

CHECKPOINT = "checkpoint.npz"
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine")
MONITORS = ("loss", "accuracy")


@dataclass(frozen=True)
class Plan:
    """How one stage learns."""

    epochs: int
    optimizer: str = "adam"
    rate: float = 1e-3
    schedule: str = "constant"
    warmup: float = 0.0
    """Epochs over which the rate rises from 0."""
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    early_stopping: int = 0
    """Stop after so many epochs without a better one on val; 0: never. The best weights are kept in any case."""
    reduce_on_plateau: int = 0
    """Halve the rate after so many epochs without a better one; 0: never."""
    monitor: str = "loss"
    """What "better" is, on val."""
    average: float = 0.0
    """Validate and keep the exponential moving average of the weights with this momentum; 0: the weights themselves."""


@dataclass
class Progressed:
    """All of a stage's state but the weights."""

    stage: str = ""
    epoch: int = 0
    """How many epochs are done."""
    scale: float = 1.0
    """By which plateaus have reduced the rate."""
    waited: int = 0
    since_reduced: int = 0
    best: list[float] = field(default_factory=list)
    """The best epoch's number, from 1, and its score; 0 is what the stage before had reached."""
    seconds: float = 0.0
    history: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """Of each stage, a row for each epoch."""
    starts: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of each stage but the first, the figures on val before its first epoch."""


@dataclass(frozen=True, eq=False)
class Validation:
    """The val part: `batches` gives the stage's inputs in order."""

    batches: Callable[[], Iterable[Floats]]
    labels: Labels


class Stages:
    """Carries a run's state from stage to stage, and from a stopped process to the next."""

    def __init__(self, run: Run, interruption: Interruption) -> None:
        """Raises InputError where the run's checkpoint is no checkpoint."""
        self.run = run
        self.interruption = interruption
        self.state = Progressed()
        self._arrays: dict[str, np.ndarray] = {}
        file = run.path / CHECKPOINT
        if file.exists():
            try:
                with np.load(file) as stored:
                    self._arrays = {name: stored[name] for name in stored.files}
                self.state = Progressed(**json.loads(str(self._arrays.pop("state"))))
            except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
                raise InputError(f"{file} is damaged ({error}): begin the run again by --out") from error

    def is_done(self, stage: str) -> bool:
        """Whether a later stage has begun."""
        return stage in self.state.history and self.state.stage != stage

    def fit(self, name: str, model: keras.Model, plan: Plan, source: Source, validation: Validation) -> None:
        """Train a stage to its end, from wherever it was left, and leave its best weights in the model.

        Args:
            name: of the stage; stages come in the same order each time, each training all that earlier ones did.
            model: inputs of the source -> logits; its trainable weights learn.
        Raises:
            InputError: the disk is full, or the loss is no longer a number.
            Stopped: a signal came.
        """
        if self.is_done(name):
            return
        learner = Learner(model, plan, source.steps)
        if self.state.stage == name:
            self._restore(learner)
        else:
            before = self.state
            self.state = Progressed(
                stage=name, seconds=before.seconds, history=before.history | {name: []}, starts=before.starts
            )
            if len(self.state.history) > 1:
                self._remember_start(learner, plan, validation)
            self._save(learner)
        self._epochs(learner, plan, source, validation)
        learner.take_best()

    def _remember_start(self, learner: Learner, plan: Plan, validation: Validation) -> None:
        """What the stage before has reached counts as epoch 0: a later stage never ends worse on val."""
        row = learner.validate(validation)
        self.state.best = [0, _score(plan, row)]
        self.state.starts[self.state.stage] = row
        self.run.log.info(
            "%s begins at val loss %.4f, val accuracy %.2f %%",
            self.state.stage,
            row["val_loss"],
            100 * row["val_accuracy"],
        )

    def _epochs(self, learner: Learner, plan: Plan, source: Source, validation: Validation) -> None:
        state = self.state
        rows = state.history[state.stage]
        with progress((plan.epochs - state.epoch) * source.steps, state.stage, unit="batch") as bar:
            while state.epoch < plan.epochs and not (plan.early_stopping and state.waited >= plan.early_stopping):
                begun = time.monotonic()
                row = {"epoch": state.epoch + 1, "rate": learner.rate(state.epoch + 0.5, state.scale)}
                losses, right, seen = [], 0.0, 0
                for step, batch in enumerate(source.epoch(state.epoch)):
                    loss, hits = learner.learn(batch, state.epoch + step / source.steps, state.scale)
                    losses.append(loss)
                    right, seen = right + hits, seen + len(batch[0])
                    bar.note(epoch=f"{state.epoch + 1}/{plan.epochs}", loss=float(np.mean(losses)))
                    bar.advance()
                    self.interruption.check()
                row |= {"loss": float(np.mean(losses)), "accuracy": right / seen} | learner.validate(validation)
                if not math.isfinite(row["loss"]) or not math.isfinite(row["val_loss"]):
                    raise InputError(
                        f"{state.stage}: the loss is no longer a number in epoch {state.epoch + 1}: lower the rate "
                        f"(it is {row['rate']:.2g}), and begin again by --out"
                    )
                state.seconds += time.monotonic() - begun
                self._after(learner, plan, row)
                rows.append(row)
                self._save(learner)
                self.run.log.info("%s", _line(state, plan, row))

    def _after(self, learner: Learner, plan: Plan, row: dict[str, float]) -> None:
        """What an epoch's figures change: best weights, patience, rate."""
        state = self.state
        state.epoch += 1
        score = _score(plan, row)
        if not state.best or score > state.best[1]:
            state.best, state.waited, state.since_reduced = [state.epoch, score], 0, 0
            learner.keep_best()
            return
        state.waited += 1
        state.since_reduced += 1
        if plan.reduce_on_plateau and state.since_reduced >= plan.reduce_on_plateau:
            state.scale, state.since_reduced = state.scale / 2, 0

    def _save(self, learner: Learner) -> None:
        with self.run.writing(CHECKPOINT) as scratch, scratch.open("wb") as stream:
            np.savez(stream, state=json.dumps(self.state.__dict__), **learner.arrays())

    def _restore(self, learner: Learner) -> None:
        try:
            learner.put(self._arrays)
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{self.run.path / CHECKPOINT} is of another network ({error}): begin the run again by --out"
            ) from error
        self._arrays = {}
        self.run.log.info("%s: going on after epoch %d", self.state.stage, self.state.epoch)


class Learner:
    """A model, its optimizer and its best weights so far."""

    def __init__(self, model: keras.Model, plan: Plan, steps: int) -> None:
        self._model, self._plan, self._steps = model, plan, steps
        self._optimizer = _optimizer(plan)
        self._optimizer.build(model.trainable_variables)
        self._best, self._average = _values(model.variables), _values(model.variables)
        self._learn, self._answer = _compiled(model, self._optimizer)

    def rate(self, at: float, scale: float) -> float:
        """The learning rate `at` so many epochs."""
        plan = self._plan
        if at < plan.warmup:
            return plan.rate * scale * (at + 1 / self._steps) / plan.warmup
        if plan.schedule == "constant":
            return plan.rate * scale
        share = (at - plan.warmup) / max(plan.epochs - plan.warmup, 1e-9)
        return plan.rate * scale * 0.5 * (1 + math.cos(math.pi * min(share, 1)))

    def learn(self, batch: tuple[Floats, Floats, Floats], at: float, scale: float) -> tuple[float, float]:
        """One step; the batch's loss and how many it named rightly."""
        inputs, targets, weights = batch
        smoothing = np.float32(self._plan.label_smoothing)
        targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
        self._optimizer.learning_rate.assign(self.rate(at, scale))
        loss, right = self._learn(tf.constant(inputs), tf.constant(targets), tf.constant(weights))
        if self._plan.average:
            self._follow(self._plan.average)
        return float(loss), float(right)

    def _follow(self, momentum: float) -> None:
        share = np.float32(1 - momentum)
        for average, variable in zip(self._average, self._model.variables, strict=True):
            if average.dtype == np.float32:
                average += share * (variable.numpy() - average)
            else:
                average[...] = variable.numpy()

    def validate(self, validation: Validation) -> dict[str, float]:
        """Loss and accuracy on val, of the averaged weights where they are averaged."""
        own = _values(self._model.variables)
        if self._plan.average:
            _assign(self._model.variables, self._average)
        logits = np.concatenate([self._answer(tf.constant(inputs)).numpy() for inputs in validation.batches()])
        if self._plan.average:
            _assign(self._model.variables, own)
        return {
            "val_loss": cross_entropy(logits, validation.labels),
            "val_accuracy": float((logits.argmax(1) == validation.labels).mean()),
        }

    def keep_best(self) -> None:
        """Remember the weights as they are now."""
        self._best = [value.copy() for value in self._average] if self._plan.average else _values(self._model.variables)

    def take_best(self) -> None:
        """Go back to the weights that were best."""
        _assign(self._model.variables, self._best)

    def arrays(self) -> dict[str, np.ndarray]:
        """All state, by name."""
        parts = {"weights": _values(self._model.variables), "best": self._best}
        parts["optimizer"] = _values(self._optimizer.variables)
        if self._plan.average:
            parts["average"] = self._average
        return {f"{part}/{index}": value for part, values in parts.items() for index, value in enumerate(values)}

    def put(self, arrays: dict[str, np.ndarray]) -> None:
        """Go back to a state. Raises KeyError or ValueError where it is another model's."""
        count = len(self._model.variables)
        _assign(self._model.variables, [arrays[f"weights/{index}"] for index in range(count)])
        _assign(self._optimizer.variables, [arrays[f"optimizer/{i}"] for i in range(len(self._optimizer.variables))])
        self._best = [arrays[f"best/{index}"] for index in range(count)]
        if self._plan.average:
            self._average = [arrays[f"average/{index}"] for index in range(count)]


def _score(plan: Plan, row: dict[str, float]) -> float:
    """The higher the better; of equal accuracies the one with the smaller loss."""
    return row["val_accuracy"] - 1e-3 * row["val_loss"] if plan.monitor == "accuracy" else -row["val_loss"]


def cross_entropy(logits: Floats, labels: Labels) -> float:
    """Mean over samples, in nats."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]))


def _optimizer(plan: Plan) -> keras.optimizers.Optimizer:
    decay = plan.weight_decay or None
    if plan.optimizer == "sgd":
        made = keras.optimizers.SGD(plan.rate, momentum=0.9, nesterov=True, weight_decay=decay)
    elif plan.optimizer == "adamw":
        made = keras.optimizers.AdamW(plan.rate, weight_decay=decay or 4e-3)
    else:
        made = keras.optimizers.Adam(plan.rate, weight_decay=decay)
    if decay or plan.optimizer == "adamw":
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def _compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> tuple[Any, Any]:
    """A training step and a forward pass as graphs, for batches of any length."""
    inputs = tf.TensorSpec(model.input_shape, tf.float32)
    targets = tf.TensorSpec(model.output_shape, tf.float32)
    trainable = model.trainable_variables

    @tf.function(input_signature=[inputs, targets, tf.TensorSpec([None], tf.float32)], autograph=False)
    def learn(x: tf.Tensor, y: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            losses = tf.nn.softmax_cross_entropy_with_logits(y, logits)
            loss = tf.reduce_mean(losses * weights)
            if model.losses:
                loss += tf.add_n(model.losses)
        optimizer.apply(tape.gradient(loss, trainable), trainable)
        right = tf.reduce_sum(tf.cast(tf.argmax(logits, 1) == tf.argmax(y, 1), tf.float32))
        return loss, right

    @tf.function(input_signature=[inputs], autograph=False)
    def answer(x: tf.Tensor) -> tf.Tensor:
        return model(x, training=False)

    return learn, answer


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _line(state: Progressed, plan: Plan, row: dict[str, float]) -> str:
    return (
        f"{state.stage} {state.epoch}/{plan.epochs}: loss {row['loss']:.4f}, accuracy {100 * row['accuracy']:.2f} %, "
        f"val loss {row['val_loss']:.4f}, val accuracy {100 * row['val_accuracy']:.2f} %, rate {row['rate']:.2g}"
        f"{', best so far' if state.best[0] == state.epoch else ''}"
    )
