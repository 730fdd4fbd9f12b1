"""Steps: each can be done again to the bit, and they teach."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from export.face_scores import all_pairs
from export.mobilefacenet import MobileFaceNet
from training.faces.augmentation import augmented
from training.faces.fitting import Fitting, Settings, as_tensor, both_ways, embeddings, fit
from training.faces.quantaware import observed_ranges, rounded


def nothing(_: int) -> None:
    """Nobody watches."""


def fitting(made_up: tuple, **settings: object) -> Fitting:
    faces, labels = made_up
    torch.manual_seed(0)
    network = MobileFaceNet().eval()
    told = Settings(**{"batch": 8, "epochs": 1, **settings})  # type: ignore[arg-type]
    if told.from_scratch:
        return Fitting(network, faces, labels, told)
    ranges = observed_ranges(network, (as_tensor(faces[i : i + 1]) for i in range(0, 24, 6)))
    wanted = both_ways(network, faces)
    return Fitting(network, faces, labels, told, wanted=wanted, rounding=rounded(ranges))


@pytest.mark.parametrize("settings", [{}, {"loss": "triplet", "margin": 0.2}, {"from_scratch": True, "rate": 0.05}])
def test_going_on_from_a_checkpoint_is_the_same_to_the_bit(made_up: tuple, settings: dict) -> None:
    whole = fitting(made_up, **settings)
    kept: list[dict] = []

    def keep() -> None:
        if not kept:
            kept.append({key: _copy(value) for key, value in whole.state().items()})

    fit(whole, keep, nothing, nothing, every=1)
    assert whole.step == whole.total == 3
    resumed = fitting(made_up, **settings)
    resumed.restore(kept[0])
    assert resumed.step == 1
    fit(resumed, lambda: None, nothing, nothing)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    assert whole.curve == resumed.curve


def _copy(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return list(map(_copy, value)) if isinstance(value, list) else value


def test_each_epoch_sees_every_face_once_in_an_order_of_its_own(made_up: tuple) -> None:
    found = fitting(made_up, epochs=2)
    rows = [found.batch(step)[2] for step in range(found.total)]
    first, second = np.concatenate(rows[:3]), np.concatenate(rows[3:])
    assert sorted(first) == sorted(second) == list(range(24))
    assert first.tolist() != second.tolist()


def test_triplet_batches_hold_several_photos_of_each_person(made_up: tuple) -> None:
    _, labels, _ = fitting(made_up, loss="triplet", margin=0.2, photos_each=4).batch(0)
    assert np.bincount(labels.numpy())[np.unique(labels.numpy())].tolist() == [4, 4]


def test_from_scratch_it_learns_the_kinds_it_is_shown(made_up: tuple) -> None:
    faces, labels = made_up
    found = fitting(made_up, from_scratch=True, rate=0.05, epochs=8, margin=0.2)
    before = all_pairs(embeddings(found.network.eval(), faces).numpy(), labels)
    fit(found, lambda: None, nothing, nothing)
    assert found.curve[-1]["arcface"] < 0.5 * found.curve[0]["arcface"]
    after = all_pairs(found.network.train()(as_tensor(faces)).detach().numpy(), labels)
    assert after.same.mean() - after.different.mean() > before.same.mean() - before.different.mean()


def test_the_anchor_holds_the_network_near_its_base(made_up: tuple) -> None:
    """With it, embeddings move less than without."""
    moved = []
    for anchor in (0.0, 300.0):
        found = fitting(made_up, anchor=anchor, rate=5e-3)
        fit(found, lambda: None, nothing, nothing)
        moved.append(1 - float(torch.cosine_similarity(embeddings(found.network, made_up[0]), found._wanted).mean()))
    assert moved[1] < moved[0]


def test_batchnorms_statistics_stay_while_fine_tuning(made_up: tuple) -> None:
    found = fitting(made_up)
    before = found.network.conv1[1].running_mean.clone()
    weight = found.network.conv1[1].weight.detach().clone()
    found.train_step()
    assert torch.equal(found.network.conv1[1].running_mean, before)
    assert not torch.equal(found.network.conv1[1].weight, weight)


def test_a_loss_that_explodes_is_told_of(made_up: tuple) -> None:
    found = fitting(made_up)
    with torch.no_grad():
        found.network.conv3.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="lower --rate"):
        found.train_step()


def test_augmented_faces_are_faces_still(made_up: tuple) -> None:
    face = made_up[0][0]
    several = [augmented(face, np.random.default_rng(seed)) for seed in range(20)]
    assert all(each.shape == face.shape and each.dtype == np.uint8 for each in several)
    assert len({each.tobytes() for each in several}) == 20
    np.testing.assert_array_equal(several[3], augmented(face, np.random.default_rng(3)))
    grey = np.full((112, 112, 3), 128, np.uint8)
    assert max(abs(float(augmented(grey, np.random.default_rng(s)).mean()) - 128) for s in range(20)) <= 31
