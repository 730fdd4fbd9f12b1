"""Fake quantization by hand: the same numbers and gradients as the textbook's, in pieces."""

from __future__ import annotations

import pytest
import torch

from training.distill.fakequant import PIECE, SIGMOID, Grid, round_to, round_weights, silu


def test_ok__same_as_pytorchs_own() -> None:
    grid = Grid.covering(-1.3, 4.1)
    x = (torch.rand(PIECE * 2 + 17) * 8 - 3).requires_grad_()
    y = x.detach().clone().requires_grad_()
    expected = torch.fake_quantize_per_tensor_affine(y, grid.scale, grid.zero_point, 0, 255)
    found = round_to(x, grid)
    # What lies in the very middle between two steps may go either way.
    assert ((found - expected).abs() > grid.scale * 1e-3).float().mean() < 1e-4
    assert (found - expected).abs().max() < grid.scale * 1.01
    weight = torch.rand_like(x)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    assert (x.grad != y.grad).float().mean() < 1e-3  # They may differ on the very edge of the range.


def test_ok__grid_holds_zero_exactly() -> None:
    for low, high in ((0.5, 3.0), (-3.0, -0.5), (-0.7, 5.0)):
        grid = Grid.covering(low, high)
        assert float(round_to(torch.zeros(1), grid)) == 0
        assert 0 <= grid.zero_point <= 255


def test_ok__channels_last_and_first_give_the_same() -> None:
    grid = Grid.covering(-1, 1)
    x = torch.randn(2, 5, 6, 7)
    last = round_to(x.contiguous(memory_format=torch.channels_last), grid)
    torch.testing.assert_close(last, round_to(x, grid))


def test_ok__silu_is_three_int8_steps() -> None:
    before, after = Grid.covering(-6, 5), Grid.covering(-0.28, 5)
    x = torch.linspace(-9, 8, PIECE + 5)
    rounded = round_to(x, before)
    expected = round_to(rounded * round_to(torch.sigmoid(rounded), SIGMOID), after)
    torch.testing.assert_close(silu(x, before, after), expected)


def test_ok__silu_slope_is_that_of_silu_inside_and_0_outside() -> None:
    before, after = Grid.covering(-6, 5), Grid.covering(-0.28, 5)
    x = torch.tensor([-20.0, -3.0, -0.5, 0.0, 1.0, 4.0, 20.0], requires_grad=True)
    silu(x, before, after).sum().backward()
    smooth = x.detach().clone().requires_grad_()
    torch.nn.functional.silu(smooth).sum().backward()
    assert x.grad is not None
    assert smooth.grad is not None
    assert x.grad[[0, -1]].tolist() == [0, 0]
    torch.testing.assert_close(x.grad[1:-1], smooth.grad[1:-1], atol=0.03, rtol=0)


def test_ok__weights_have_127_steps_a_channel_and_their_gradient_passes() -> None:
    weight = torch.randn(3, 4, 2, 2) * torch.tensor([0.01, 1.0, 100.0])[:, None, None, None]
    weight.requires_grad_()
    rounded = round_weights(weight)
    for own, mine in zip(weight.detach(), rounded.detach(), strict=True):
        step = own.abs().max() / 127
        steps = mine / step
        torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
        assert (own - mine).abs().max() <= step * 0.501
    rounded.sum().backward()
    assert weight.grad is not None
    assert (weight.grad == 1).all()


def test_fail__gradient_of_what_was_cut_off() -> None:
    x = torch.tensor([-5.0, 0.5, 5.0], requires_grad=True)
    round_to(x, Grid.covering(0, 1)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([0, 1, 0])
