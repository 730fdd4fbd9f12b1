"""Backbones give what their weights were trained to give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from device.capture.pictures import read_picture
from device.errors import ConfigError, InputError
from device.inference.letterbox import centre_crop
from export.weights import weights
from training.classifiers import commands
from training.classifiers import inverted_residuals as blocks
from training.classifiers.backbones import APPLICATIONS, BACKBONES, build_classifier
from training.classifiers.networks import NETWORKS
from training.classifiers.torch_weights import read_torch_weights

TORCHVISION = """
import sys, numpy, torch, torchvision
torch.set_num_threads(1)
model = torchvision.models.mobilenet_v2()
model.load_state_dict(torch.load(sys.argv[1], weights_only=True))
pixels = torch.from_numpy(numpy.load(sys.argv[2])).permute(0, 3, 1, 2) / 255
mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
with torch.no_grad():
    features = model.eval().features((pixels - mean) / std).mean((2, 3))
    numpy.savez(sys.argv[3], features=features, probabilities=model.classifier(features).softmax(1))
"""
DOGS = slice(151, 269)
"""ImageNet's classes of dogs."""


def test_ok__mobilenet_is_torchvisions_to_1e_5(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3)).astype(np.float32)
    pixels[0], pixels[1, :, :100] = 255, 0
    np.save(tmp_path / "pixels.npy", pixels)
    file = weights("mobilenet_v2-b0353104.pth")
    command = [sys.executable, "-c", TORCHVISION, file, tmp_path / "pixels.npy", tmp_path / "wanted.npz"]
    subprocess.run(command, check=True)
    wanted = np.load(tmp_path / "wanted.npz")
    model = build_classifier("mobilenetv2", 224, 1000)
    state = read_torch_weights(file)
    model.get_layer("logits").set_weights([state["classifier.1.weight"].T, state["classifier.1.bias"]])
    both = keras.Model(model.input, [model.get_layer("embedding").output, keras.ops.softmax(model.output)])
    features, probabilities = both(pixels, training=False)
    assert wanted["features"].max() > 1, "alive"
    assert np.abs(features.numpy() - wanted["features"]).max() <= 1e-5
    assert np.abs(probabilities.numpy() - wanted["probabilities"]).max() <= 1e-5


def test_ok__efficientnet_lite_knows_dogs(shared_data: Path) -> None:
    model = build_classifier("efficientnetlite0", 224, 1000)
    state = read_torch_weights(weights(BACKBONES["efficientnetlite0"].file))
    model.get_layer("logits").set_weights([state["_fc.weight"].T, state["_fc.bias"]])
    kinds = ["cats"] * 8 + ["dogs"] * 8
    files = [
        path for kind in ("cats", "dogs") for path in sorted((shared_data / "cats_dogs/train" / kind).iterdir())[:8]
    ]
    pixels = np.stack([centre_crop(read_picture(path), 224, 224) for path in files]).astype(np.float32)
    logits = model(pixels, training=False).numpy()
    shares = np.exp(logits - logits.max(1, keepdims=True))
    is_dog = (shares[:, DOGS].sum(1) / shares.sum(1)) > 0.5
    assert (is_dog == [kind == "dogs" for kind in kinds]).sum() >= 15


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_ok__caffe_normalisation_is_keras(name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    model = build_classifier(name, 32, 2, pretrained=False)
    normalised = keras.Model(model.input, model.get_layer("normalise").output)(pixels)
    wanted = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode="caffe")
    assert np.abs(normalised.numpy() - wanted).max() < 1e-3


@pytest.mark.parametrize("name", ["vgg16", "efficientnetb0"])
def test_ok__keras_files_arrive_in_the_right_layers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of random weights, in the format of the files that Keras publishes, found in a mirror."""
    build = getattr(keras.applications, APPLICATIONS[name])
    plain = build(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    file = tmp_path / BACKBONES[name].file
    with h5py.File(file, "w") as content:
        save_weights_to_hdf5_group(content, plain)
    monkeypatch.setattr("training.classifiers.backbones.weights", lambda name: tmp_path / name)
    model = build_classifier(name, 32, 2)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    mode = {"vgg16": "caffe", "efficientnetb0": None}[name]
    given = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=mode) if mode else pixels
    wanted = plain(given, training=False).numpy()
    found = keras.Model(model.input, model.get_layer("embedding").output)(pixels, training=False).numpy()
    assert np.abs(wanted).max() > 0
    assert np.allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("name", BACKBONES)
def test_ok__every_backbone_goes_from_pixels_to_logits(name: str) -> None:
    size = BACKBONES[name].smallest
    model = build_classifier(name, size, 3, dropout=0.1, pretrained=False)
    assert model.input_shape == (None, size, size, 3)
    assert model.output_shape == (None, 3)
    assert model.get_layer("embedding").output.shape[1] >= 512


def test_ok__help_offers_what_there_is() -> None:
    assert set(commands.BACKBONES) == set(BACKBONES)
    assert set(commands.NETWORKS) == set(NETWORKS)


def test_fail__unknown_small_or_single() -> None:
    with pytest.raises(ConfigError, match="no backbone 'resnet': choose one of mobilenetv2"):
        build_classifier("resnet", 224, 2)
    with pytest.raises(ConfigError, match="inceptionv3 needs pictures of 75 px or more, not 64"):
        build_classifier("inceptionv3", 64, 2)
    with pytest.raises(ConfigError, match="two classes or more, not 1"):
        build_classifier("mobilenetv2", 64, 1)


def test_fail__weights_of_another_network() -> None:
    picture = keras.Input((32, 32, 3))
    stages = (blocks.Stage(1, 16, 1, 1), blocks.Stage(6, 24, 1, 2))
    model = keras.Model(picture, blocks.inverted_residuals(picture, stages, blocks.PYTORCH), name="other")
    state = read_torch_weights(weights("mobilenet_v2-b0353104.pth"))
    with pytest.raises(InputError, match="another network's: head has other shapes in other"):
        blocks.take_torch_weights(model, state)


def test_fail__no_pytorch_file(tmp_path: Path) -> None:
    (tmp_path / "page.pth").write_text("<html>")
    with pytest.raises(InputError, match=r"page\.pth cannot be read as PyTorch weights"):
        read_torch_weights(tmp_path / "page.pth")
