"""MiniFASNet in PyTorch, and the files made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="only the workstation has PyTorch")

from device.access.liveness.minifasnet import LivenessNetwork  # noqa: E402
from device.errors import InputError  # noqa: E402
from device.inference.interpreter import open_interpreter  # noqa: E402
from device.inference.manifest import find_bundle, load_bundle  # noqa: E402
from export.liveness import CLOSEST, PUBLISHED, Published, by_torch, closeness  # noqa: E402
from export.liveness_network import CLASSES, MiniFASNet, load  # noqa: E402
from export.liveness_photos import presented  # noqa: E402
from export.weights import weights  # noqa: E402


def network(published: Published) -> MiniFASNet:
    try:
        return load(weights(published.file))
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: one.name)
def test_ok__every_tensor_of_the_weights_has_its_place(published: Published) -> None:
    """The state dict loads strictly; the layers are as many, as wide and as often halved as published."""
    net = network(published)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert 410_000 < parameters < 440_000, "0.41 and 0.43 million, as upstream states"
    with torch.no_grad():
        assert net.conv_5(net.conv_45(torch.zeros(1, 128, 10, 10))).shape == (1, 128, 5, 5)
        assert net(torch.zeros(2, 3, 80, 80)).shape == (2, len(CLASSES))
    assert not net.training
    excited = [name for name, _ in net.named_modules() if name.endswith("se_module")]
    assert len(excited) == (3 if published.name == "minifasnet-v1se" else 0)


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: one.name)
def test_ok__the_file_says_what_pytorch_says(published: Published) -> None:
    """To within 1e-4, colours and scale of the pixels included."""
    try:
        bundle = load_bundle(find_bundle(published.name))
    except InputError as error:
        pytest.skip(str(error))
    device = LivenessNetwork(bundle, open_interpreter(bundle))
    assert device.scale == published.scale
    assert bundle.manifest.files[0].precision == "fp32"
    rng = np.random.default_rng(0)
    smooth = [np.clip(rng.normal(120, 60, (5, 5, 3)), 0, 255).repeat(16, 0).repeat(16, 1) for _ in range(8)]
    crops = [(one + rng.normal(0, 8, one.shape)).clip(0, 255).astype(np.uint8) for one in smooth]
    close = closeness(by_torch(network(published), crops), np.stack([device.judge_crop(crop) for crop in crops]))
    assert close.most <= CLOSEST
    swapped = np.stack([device.judge_crop(np.ascontiguousarray(crop[..., ::-1])) for crop in crops])
    assert closeness(by_torch(network(published), crops), swapped).most > 100 * CLOSEST, "the order of colours matters"


def test_ok__closeness_counts_what_differs() -> None:
    one = np.array([[0.1, 0.8, 0.1], [0.6, 0.3, 0.1]])
    other = np.array([[0.1, 0.8, 0.1], [0.4, 0.5, 0.1]])
    close = closeness(one, other)
    assert (close.same, close.crops) == (0.5, 2)
    assert close.most == pytest.approx(0.2)
    assert close.mean == pytest.approx(0.4 / 6)


def test_ok__faces_are_shown_plain_and_held(shared_data: Path) -> None:
    crops = presented(shared_data)
    assert len(crops.pictures) > 300
    halves = [crops.cut(2.7, part) for part in ("calibration", "comparison")]
    assert sum(len(half) for half in halves) == len(crops.pictures)
    assert all(crop.shape == (80, 80, 3) for half in halves for crop in half)


def test_fail__weights_of_another_network(tmp_path: Path) -> None:
    torch.save({"conv1.conv.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(InputError, match="is not of a MiniFASNet"):
        load(tmp_path / "other.pth")
    with pytest.raises(InputError, match="holds no PyTorch state dict"):
        load(tmp_path / "text.pth")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "none.pth")


def test_fail__no_faces_to_compare_by(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="liveness networks are compared"):
        presented(tmp_path)
