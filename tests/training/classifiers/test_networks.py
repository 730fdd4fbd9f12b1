"""Networks from scratch: what goes in and out, that they learn, and that nothing in them spoils int8."""

from __future__ import annotations

from collections import Counter

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from device.errors import ConfigError
from export.keras_litert import bare, convert
from training.classifiers import commands
from training.classifiers.networks import COMPACT_WIDTHS, NETWORKS, build_network

PLAIN = {"CONV_2D", "MAX_POOL_2D", "ADD", "MEAN", "FULLY_CONNECTED", "RESHAPE", "DELEGATE"}
"""What runs in int8 on small processors, and loses little."""


def noise(count: int, size: int, seed: int = 0) -> np.ndarray:
    """[count, size, size, 3] float32 pixels."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.float32)


def fresh(name: str, size: int, classes: int, seed: int = 0, **settings: float) -> keras.Model:
    """A network whose weights are drawn from `seed`."""
    keras.utils.set_random_seed(seed)
    return build_network(name, size, classes, **settings)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("size", "classes"), [(24, 2), (32, 10), (97, 3), (128, 2)])
def test_ok__pixels_to_logits(name: str, size: int, classes: int) -> None:
    network = fresh(name, size, classes)
    logits = network(noise(2, size), training=False).numpy()
    assert logits.shape == (2, classes)
    assert logits.dtype == np.float32
    embedding = keras.Model(network.input, network.get_layer("embedding").output)(noise(2, size)).numpy()
    assert embedding.shape[0] == 2
    assert embedding.ndim == 2
    assert not np.allclose(logits.sum(1), 1), "logits, not probabilities"


def test_ok__the_command_offers_every_network() -> None:
    assert set(commands.NETWORKS) == set(NETWORKS)


def test_ok__the_textbook_is_the_textbooks() -> None:
    network = fresh("textbook", 150, 2)
    kinds = [type(layer).__name__ for layer in network.layers[1:]]
    assert kinds == ["Rescaling", *["Conv2D", "MaxPooling2D"] * 3, "Flatten", "Dense", "Dropout", "Dense"]
    assert [layer.filters for layer in network.layers if isinstance(layer, keras.layers.Conv2D)] == [32, 64, 128]
    assert network.get_layer("embedding").units == 512
    assert network.get_layer("dropout").rate == 0.5
    # 3·9·32+32, 32·9·64+64, 64·9·128+128, 17·17·128·512+512, 512·2+2
    assert network.count_params() == 896 + 18_496 + 73_856 + 18_940_416 + 1_026


def test_ok__the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (fresh("compact", 32, 3, seed).get_weights() for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(("size", "stages"), [(16, 2), (32, 3), (48, 3), (64, 4), (96, 3), (128, 3), (224, 3)])
def test_ok__compact_goes_down_to_a_small_map(size: int, stages: int) -> None:
    network = fresh("compact", size, 2)
    last = network.get_layer(f"stage{stages}_add").output.shape
    assert 4 <= last[1] < 8
    assert last[3] == COMPACT_WIDTHS[stages - 1]
    with pytest.raises(ValueError, match="No such layer"):
        network.get_layer(f"stage{stages + 1}_add")


def test_ok__compact_is_small_enough_to_ship() -> None:
    assert fresh("compact", 128, 2).count_params() < 1_000_000
    assert fresh("compact-wide", 32, 10).count_params() > 1.8 * fresh("compact", 32, 10).count_params()


@pytest.mark.parametrize(
    ("name", "size", "convolutions"), [("compact", 128, 7), ("compact", 32, 7), ("textbook", 32, 3)]
)
def test_ok__nothing_in_them_spoils_int8(name: str, size: int, convolutions: int) -> None:
    network = fresh(name, size, 2)
    interpreter = Interpreter(model_content=convert(bare(network).network))
    kinds = Counter(operation["op_name"] for operation in interpreter._get_ops_details())
    assert set(kinds) <= PLAIN, "BatchNorm and ReLU should be folded into the convolutions"
    assert kinds["CONV_2D"] == convolutions
    assert kinds["ADD"] == (3 if name == "compact" else 0)


@pytest.mark.parametrize(("name", "rate"), [("textbook", 1e-3), ("compact", 3e-3)])
def test_ok__sixteen_noises_are_learnt_by_heart(name: str, rate: float) -> None:
    pixels, labels = noise(16, 24, seed=1), np.arange(16) % 4
    network = fresh(name, 24, 4, dropout=0.1)
    network.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = network(pixels, training=False).numpy().argmax(1)
    for _ in range(40):
        network.train_on_batch(pixels, labels)
    after = network(pixels, training=False).numpy().argmax(1)
    assert (before == labels).mean() < 0.7
    assert (after == labels).all()


def test_ok__penalties_and_dropout_are_as_told() -> None:
    network = fresh("compact", 32, 2, dropout=0.3, l2=0.01)
    kernels = [weight for weight in network.get_weights() if weight.ndim in (2, 4)]
    wanted = 0.01 * sum(float((kernel.astype(np.float64) ** 2).sum()) for kernel in kernels)
    assert float(sum(network.losses)) == pytest.approx(wanted, rel=1e-4)
    assert network.get_layer("dropout").rate == 0.3
    assert not fresh("compact", 32, 2).losses


@pytest.mark.parametrize(
    ("name", "size", "classes", "said"),
    [
        ("resnet9000", 32, 2, "choose one of textbook, compact"),
        ("compact", 32, 1, "two classes or more, not 1"),
        ("compact", 8, 2, "pictures of 16 px or more, not 8"),
        ("textbook", 20, 2, "pictures of 24 px or more, not 20"),
    ],
)
def test_fail__what_cannot_be_built(name: str, size: int, classes: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_network(name, size, classes)
