"""A tiny but real classifier: drawn shapes in three classes, a small Keras network, a run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from device.datatypes import Image
from device.inference.manifest import Bundle

SIZE = 32
LABELS = ("circle", "cross", "square")
COUNTS = {"train": 40, "val": 8, "test": 12}
COMMIT = "a" * 40
"""What git is made to say of the checkout that exports it."""


def draw(label: str, rng: np.random.Generator) -> Image:
    """A shape of any colour on a noisy ground: 40 to 60 pixels a side, RGB."""
    height, width = rng.integers(40, 60, 2)
    image = rng.integers(0, 90, (height, width, 3)).astype(np.uint8)
    colour = rng.integers(140, 255, 3).tolist()
    x, y, r = int(width / 2 + rng.integers(-5, 6)), int(height / 2 + rng.integers(-5, 6)), int(rng.integers(9, 14))
    if label == "circle":
        cv2.circle(image, (x, y), r, colour, -1)
    elif label == "square":
        cv2.rectangle(image, (x - r, y - r), (x + r, y + r), colour, -1)
    else:
        cv2.line(image, (x - r, y - r), (x + r, y + r), colour, 4)
        cv2.line(image, (x + r, y - r), (x - r, y + r), colour, 4)
    return image


def write_photos(root: Path) -> Path:
    """`root/SPLIT/CLASS/0.png` …"""
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for label in LABELS:
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                cv2.imwrite(str(root / split / label / f"{number}.png"), draw(label, rng)[..., ::-1])
    return root


def network() -> Any:
    """Pixels 0 to 255 -> three logits; normalisation in front, depthwise and plain convolutions, BatchNorm, ReLU6."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    picture = keras.Input((SIZE, SIZE, 3), name="picture")
    x = layers.Rescaling(1 / 127.5, -1.0, name="normalise")(picture)
    for number, width in enumerate((12, 16, 24)):
        x = layers.Conv2D(width, 3, 2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.8)(x)
        x = layers.ReLU(6)(x)
        if number:
            y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
            y = layers.BatchNormalization(momentum=0.8)(y)
            x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(picture, layers.Dense(len(LABELS), name="logits")(x), name="shapes")


def make_run(folder: Path, epochs: int = 20) -> Path:
    """A finished run in `folder/run`, on photos in `folder/photos`."""
    import keras

    from device.inference.letterbox import centre_crop
    from export.datasets import open_dataset

    dataset = open_dataset(write_photos(folder / "photos"))
    train = dataset.splits["train"]
    pixels = np.stack([centre_crop(dataset.read(sample), SIZE, SIZE) for sample in train]).astype(np.float32)
    labels = np.array([sample.label for sample in train])
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3), loss)
    model.fit(pixels, labels, batch_size=30, epochs=epochs, verbose=0)
    run = folder / "run"
    run.mkdir()
    model.save(run / "model.keras")
    config = {"family": "cnn", "network": "shapes", "name": "shapes", "data": str(folder / "photos"), "size": SIZE}
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "resize": "shorter-crop", "seed": 0}))
    return run


def exported(run: Path, floors: Path | None = None) -> Bundle:
    """Its int8 bundle, in the run."""
    from export.classifier import export_run

    given = {"floors": floors} if floors else {}
    return export_run(run, None, run / "bundle", lambda _: None, **given)


def floors_file(path: Path, **changes: float) -> Path:
    """A table of floors for the tests: generous, but for `changes` of what int8 may lose."""
    generous = {"points": 100.0, "kl": 10.0}
    table = {"int8": generous | changes, "fp32": {"points": 0.0, "kl": 0.001, "logit": 0.001}}
    path.write_text(json.dumps({"classify": table}))
    return path
