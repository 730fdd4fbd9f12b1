"""Fake quantization by hand: int8 rounding forward, straight through backward, in pieces that fit a processor's cache.

PyTorch's own is slow on a CPU because each of its steps walks over a tensor of megabytes; here all steps are done on
one piece before the next is touched. Straight-through estimator: Bengio et al. 2013, arXiv:1308.3432; the scheme of
scales and zero points: Jacob et al. 2018, arXiv:1712.05877.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

PIECE = 1 << 16
"""Elements handled at once: 256 KB of float32."""


@dataclass(frozen=True)
class Grid:
    """The 256 values an int8 tensor can hold: (q - zero_point) * scale for q in 0..255, covering `low` to `high`."""

    scale: float
    zero_point: int

    @classmethod
    def covering(cls, low: float, high: float) -> Grid:
        """The grid of a range, widened so that it holds 0 exactly, as LiteRT asks."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max(high - low, 1e-9) / 255
        return cls(scale, max(0, min(255, round(-low / scale))))


SIGMOID = Grid(1 / 256, 0)
"""LiteRT fixes the output of a sigmoid to this."""


def _flat(x: torch.Tensor) -> torch.Tensor:
    """The elements as they lie in memory, without a copy, for dense tensors."""
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.permute(0, 2, 3, 1).reshape(-1)
    return x.reshape(-1)


def _dense(x: torch.Tensor) -> torch.Tensor:
    return x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def _round_to(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Round one piece onto the grid, in place."""
    return x.mul_(1 / grid.scale).add_(grid.zero_point).round_().clamp_(0, 255).sub_(grid.zero_point).mul_(grid.scale)


class _RoundTo(torch.autograd.Function):
    """x -> x on a grid; the gradient passes where x was inside."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, grid: Grid) -> torch.Tensor:  # type: ignore[no-untyped-def]
        x = _dense(x)
        out = torch.empty_like(x)
        inside = torch.empty_like(x, dtype=torch.bool)
        low, high = (0 - grid.zero_point - 0.5) * grid.scale, (255 - grid.zero_point + 0.5) * grid.scale
        for piece, into, mask in _pieces(x, out, inside):
            torch.logical_and(piece >= low, piece <= high, out=mask)
            _round_to(into.copy_(piece), grid)
        ctx.save_for_backward(inside)
        return out

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):  # type: ignore[no-untyped-def]
        (inside,) = ctx.saved_tensors
        return gradient * inside, None


class _Silu(torch.autograd.Function):
    """x -> x on its grid, sigmoid on its own, their product on a third: three int8 steps of LiteRT as one.

    The derivative is computed where the values are still in the cache, and kept in bfloat16: it is an estimate anyway.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, before: Grid, after: Grid) -> torch.Tensor:  # type: ignore[no-untyped-def]
        x = _dense(x)
        out = torch.empty_like(x)
        slope = torch.empty_like(x, dtype=torch.bfloat16)
        low, high = (0 - before.zero_point - 0.5) * before.scale, (255 - before.zero_point + 0.5) * before.scale
        top = (255 - after.zero_point + 0.5) * after.scale
        bottom = (0 - after.zero_point - 0.5) * after.scale
        for piece, into, kept in _pieces(x, out, slope):
            rounded = _round_to(piece.clone(), before)
            gate = _round_to(torch.sigmoid(rounded), SIGMOID)
            torch.mul(rounded, gate, out=into)
            inside = (piece >= low) & (piece <= high) & (into >= bottom) & (into <= top)
            # d(x s)/dx = s (1 + x (1 - s))
            kept.copy_(gate.neg().add_(1).mul_(rounded).add_(1).mul_(gate).mul_(inside))
            _round_to(into, after)
        ctx.save_for_backward(slope)
        return out

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):  # type: ignore[no-untyped-def]
        (slope,) = ctx.saved_tensors
        return gradient * slope, None, None


def _pieces(*tensors: torch.Tensor):  # type: ignore[no-untyped-def]
    """The same piece of each tensor, one after the other."""
    return zip(*(torch.split(_flat(t), PIECE) for t in tensors), strict=True)


def round_to(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    """`x` rounded onto the grid; its gradient passes straight through, and is 0 where `x` was cut off."""
    return _RoundTo.apply(x, grid)


def silu(x: torch.Tensor, before: Grid, after: Grid) -> torch.Tensor:
    """SiLU in int8: `x` on the grid `before`, the result on the grid `after`."""
    return _Silu.apply(x, before, after)


def round_weights(weight: torch.Tensor) -> torch.Tensor:
    """Convolution weights [out, in, h, w] rounded to 127 steps either side of 0, a scale for each output channel."""
    scale = weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True).clamp_(min=1e-9) / 127
    rounded = (weight.detach() / scale).round_().mul_(scale)
    return weight + (rounded - weight.detach())
