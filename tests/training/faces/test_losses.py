"""Losses against what their papers' formulas give."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from training.faces.losses import ArcFace, anchor_loss, semi_hard_triplets, triplet_loss


def direction(degrees: float) -> list[float]:
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def test_arcface_is_softmax_with_the_own_angle_widened() -> None:
    loss = ArcFace(torch.tensor([direction(0), direction(90)]), margin=0.5, scale=4.0)
    own, other = math.radians(30), math.radians(60)
    logits = torch.tensor([4 * math.cos(own + 0.5), 4 * math.cos(other)])
    expected = -F.log_softmax(logits, 0)[0]
    found = loss(torch.tensor([direction(30)]) * 7, torch.tensor([0]))  # Length means nothing.
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)


def test_without_margin_arcface_is_plain_softmax() -> None:
    torch.manual_seed(0)
    centres, vectors, labels = torch.randn(5, 8), torch.randn(4, 8), torch.tensor([0, 3, 1, 1])
    expected = F.cross_entropy(16 * F.linear(F.normalize(vectors), F.normalize(centres)), labels)
    assert ArcFace(centres, 0.0, 16.0)(vectors, labels).item() == pytest.approx(expected.item(), rel=1e-5)


def test_beyond_a_half_turn_arcface_goes_on_falling() -> None:
    loss = ArcFace(torch.tensor([direction(0), direction(90)]), margin=0.5, scale=8.0)
    losses = [loss(torch.tensor([direction(-angle)]), torch.tensor([0])).item() for angle in range(100, 180, 5)]
    assert losses == sorted(losses)


def test_arcface_gradients_are_finite_on_the_centre_itself() -> None:
    vectors = torch.tensor([direction(0)], requires_grad=True)
    ArcFace(torch.tensor([direction(0), direction(90)]), 0.5, 32.0)(vectors, torch.tensor([0])).backward()
    assert torch.isfinite(vectors.grad).all()


def test_semi_hard_negatives_are_further_than_the_positive_but_within_the_margin() -> None:
    # Squared distances to the anchor at 0: the positive at 10 degrees 0.030, others 0.008, 0.068, 0.187 and 1.
    vectors = torch.tensor([direction(a) for a in (0, 10, 5, 15, 25, 60)])
    labels = torch.tensor([0, 0, 1, 2, 3, 4])
    found = {tuple(row) for row in semi_hard_triplets(vectors, labels, 0.2).tolist()}
    assert (0, 1, 3) in found  # Not the harder one at 5, which is nearer than the positive.
    assert {row[:2] for row in found} == {(0, 1), (1, 0)}
    assert not len(semi_hard_triplets(vectors, labels, 0.001))


def test_triplet_loss_by_hand_and_without_triplets() -> None:
    vectors = torch.tensor([direction(a) for a in (0, 10, 15)], requires_grad=True)
    labels = torch.tensor([0, 0, 1])

    def squared(degrees: float) -> float:
        return 2 - 2 * math.cos(math.radians(degrees))

    # Anchor at 0: the stranger at 15. Anchor at 10: at 5 away, nearer than the positive, so none.
    expected = squared(10) - squared(15) + 0.2
    assert triplet_loss(vectors, labels, 0.2).item() == pytest.approx(expected, abs=1e-6)
    nothing = triplet_loss(vectors, torch.tensor([0, 1, 2]), 0.2)
    nothing.backward()
    assert nothing.item() == 0
    assert not vectors.grad.any()


def test_the_anchor_is_one_less_the_cosine() -> None:
    found = anchor_loss(torch.tensor([direction(0), direction(0)]), torch.tensor([direction(60), direction(0)]) * 3)
    assert found.item() == pytest.approx(0.25, abs=1e-6)
