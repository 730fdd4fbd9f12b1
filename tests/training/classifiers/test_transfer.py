"""Where a network is cut, what learns, and that both ways of fine-tuning are the same network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from training.classifiers import inverted_residuals as blocks
from training.classifiers.augmentation import Augmentation
from training.classifiers.backbones import build_classifier
from training.classifiers.fitting import Plan, Stages
from training.classifiers.pipeline import Frame, Photos, Sampling
from training.classifiers.transfer import Method, find_boundary, freeze, train_transfer
from training.interruption import Interruption
from training.runs import Run

STAGES = (blocks.Stage(1, 8, 1, 1), blocks.Stage(2, 12, 3, 2))


def tiny_classifier(seed: int = 0) -> keras.Model:
    """A backbone of four blocks, two of them residual, and a classifier of two classes."""
    keras.utils.set_random_seed(seed)
    picture = keras.Input((16, 16, 3), name="picture")
    x = keras.layers.Rescaling(1 / 127.5, -1, name="normalise")(picture)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(blocks.inverted_residuals(x, STAGES, blocks.PYTORCH))
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(picture, keras.layers.Dense(2, name="logits")(x))


def pictures(count: int, seed: int) -> Photos:
    """Noise, brighter where the label is 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return Photos(
        [rng.integers(0, 180, (18, 16, 3), np.uint8) + np.uint8(40 * label) for label in labels],
        labels,
        Frame(16, "shorter-crop"),
    )


def method(layers: int, cache_bytes: int = 1 << 30) -> Method:
    """Two short stages."""
    techniques = Augmentation(flip=True, shift=0.1)
    plan = Plan(epochs=3, rate=1e-2)
    return Method(plan, Plan(epochs=2, rate=1e-3), layers, 3, cache_bytes, techniques, Sampling(8, 0), 8)


def test_ok__the_last_20_layers_of_mobilenet_begin_after_a_residual_sum() -> None:
    model = build_classifier("mobilenetv2", 64, 2, pretrained=False)
    boundary = find_boundary(model, 20)
    assert boundary is not None
    assert boundary.layer == "block_14_add"
    assert boundary.tensor.shape == (None, 2, 2, 160)


def test_ok__a_cut_in_a_residual_block_moves_before_it() -> None:
    model = tiny_classifier()
    names = [layer.name for layer in model.layers]
    inside = names.index("block_3_depthwise")
    boundary = find_boundary(model, names.index("embedding") - inside)
    assert boundary is not None
    assert boundary.layer == "block_2_add"
    tail = keras.Model(boundary.tensor, model.output)
    stem = keras.Model(model.input, boundary.tensor)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    assert np.allclose(tail(stem(pixels)), model(pixels), atol=1e-5)


def test_ok__no_cut_before_the_first_layer() -> None:
    assert find_boundary(tiny_classifier(), 1000) is None


def test_ok__frozen_layers_and_every_batchnorm_stay(tmp_path: Path) -> None:
    model = tiny_classifier()
    names = [layer.name for layer in model.layers]
    layers = names.index("embedding") - names.index("block_3_expand")
    before = {layer.name: layer.get_weights() for layer in model.layers}
    run = Run(tmp_path / "run", {}, resume=False)
    with Interruption(run) as interruption:
        train_transfer(model, pictures(24, 0), pictures(12, 1), method(layers), Stages(run, interruption))
    changed = {
        layer.name
        for layer in model.layers
        if any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
    }
    assert changed - {"dropout"} == {"block_3_expand", "block_3_depthwise", "block_3_project", "head", "logits"}


@pytest.mark.parametrize("layers", [0, -1, 9])
def test_ok__stages_are_told_apart_in_the_history(tmp_path: Path, layers: int) -> None:
    model = tiny_classifier()
    run = Run(tmp_path / "run", {}, resume=False)
    with Interruption(run) as interruption:
        stages = Stages(run, interruption)
        train_transfer(model, pictures(24, 0), pictures(12, 1), method(layers), stages)
    assert {name: len(rows) for name, rows in stages.state.history.items()} == {
        "features": 3,
        **({"fine-tuning": 2} if layers else {}),
    }


def test_ok__without_room_for_a_cache_photos_are_used(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {}, resume=False)
    with Interruption(run) as interruption:
        train_transfer(tiny_classifier(), pictures(24, 0), pictures(12, 1), method(9, 10), Stages(run, interruption))
    assert "too large to be kept" in (tmp_path / "run" / "log.txt").read_text()


def test_ok__freeze_by_number() -> None:
    model = tiny_classifier()
    freeze(model, -1)
    learning = {layer.name for layer in model.layers if layer.trainable_weights}
    assert "stem" in learning
    assert not any(name.endswith("_norm") for name in learning)
    freeze(model, 0)
    assert {layer.name for layer in model.layers if layer.trainable_weights} == {"logits"}
