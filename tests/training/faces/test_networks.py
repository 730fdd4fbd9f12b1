"""MobileFaceNet: the weights it is known by, and its twin that rounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from device.errors import InputError
from export.mobilefacenet import MobileFaceNet, load
from export.weights import weights
from training.distill.quantaware import Float
from training.faces.fitting import as_tensor, both_ways, embeddings
from training.faces.quantaware import embed, observed_ranges, rounded


@pytest.fixture(scope="module")
def base(shared_data: Path) -> MobileFaceNet:
    assert shared_data.is_dir()  # Where it is, the weights are.
    return load(weights("mobilefacenet.pt"))


def test_pixels_are_normalised_as_imagenet_has_them() -> None:
    pixels = as_tensor(np.full((1, 112, 112, 3), [255, 0, 0], np.uint8))
    np.testing.assert_allclose(pixels[0, :, 5, 5], [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5)


def test_the_official_weights_fit_and_tell_kinds_apart(base: MobileFaceNet, made_up: tuple) -> None:
    faces, _ = made_up
    with torch.no_grad():
        whole = base(as_tensor(faces[:2]))
    assert whole.shape == (2, 128)
    # The twin with folded BatchNorms says the same.
    np.testing.assert_allclose(embeddings(base, faces[:2]), whole, atol=1e-4)


def test_the_rounded_twin_stays_near_and_passes_gradients(base: MobileFaceNet, made_up: tuple) -> None:
    faces, _ = made_up
    ranges = observed_ranges(base, (as_tensor(faces[i : i + 1]) for i in range(0, 24, 3)))
    found = embeddings(base, faces[:4], rounded(ranges))
    cosines = F.cosine_similarity(found, embeddings(base, faces[:4]))
    assert cosines.min() > 0.97
    assert cosines.max() < 0.99999  # It does round.
    embed(base, as_tensor(faces[:2]), rounded(ranges)).square().sum().backward()
    gradients = [parameter.grad for parameter in base.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert float(base.conv1[0].weight.grad.abs().sum()) > 0
    base.zero_grad(set_to_none=True)


def test_both_ways_is_the_same_for_the_mirror_image(base: MobileFaceNet, made_up: tuple) -> None:
    faces, _ = made_up
    plain = both_ways(base, faces[:2])
    np.testing.assert_allclose(plain, both_ways(base, faces[:2, :, ::-1]), atol=1e-5)
    np.testing.assert_allclose(plain.norm(dim=1), 1, atol=1e-5)


def test_other_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no weights")
    torch.save({"other.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="no PyTorch state dict; the weights of a MobileFaceNet are wanted"):
        load(tmp_path / "text.pt")
    with pytest.raises(InputError, match="not of a MobileFaceNet"):
        load(tmp_path / "other.pt")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "none.pt")


def test_float_rounding_is_the_network_itself_for_gradients_too(made_up: tuple) -> None:
    torch.manual_seed(0)
    network = MobileFaceNet().eval()
    images = as_tensor(made_up[0][:2])
    network(images).sum().backward()
    whole = network.features[3].conv[0][1].weight.grad.clone()
    network.zero_grad()
    embed(network, images, Float()).sum().backward()
    np.testing.assert_allclose(network.features[3].conv[0][1].weight.grad, whole, rtol=2e-2, atol=1e-4)
