"""The decoder against the plainest float implementation, on random and on made-up heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import InputError
from device.inference.heads import YoloV8Heads
from tests.inference.samples import STRIDES, a_bundle, empty_heads, infos, put_object, quantize

Rows = list[tuple[int, float, float, float, float, float]]


def plainly(heads: list[np.ndarray], confidence: float, multi_label: bool) -> Rows:
    """Cell by cell, side by side, in float64: class id, score, x1, y1, x2, y2."""
    rows: Rows = []
    for stride, box, klass in zip(STRIDES, heads[::2], heads[1::2], strict=True):
        for y, x in np.ndindex(klass.shape[1:3]):
            scores = 1 / (1 + np.exp(-klass[0, y, x].astype(np.float64)))
            wanted = range(len(scores)) if multi_label else [int(scores.argmax())]
            sides = []
            for logits in box[0, y, x].astype(np.float64).reshape(4, 16):
                weights = np.exp(logits - logits.max())
                sides.append(float((weights * np.arange(16)).sum() / weights.sum()))
            corners = (x + 0.5 - sides[0], y + 0.5 - sides[1], x + 0.5 + sides[2], y + 0.5 + sides[3])
            x1, y1, x2, y2 = (stride * corner for corner in corners)
            rows += [(c, float(scores[c]), x1, y1, x2, y2) for c in wanted if scores[c] >= confidence]
    return rows


def decoded(decoder: YoloV8Heads, heads: list[np.ndarray], confidence: float, multi_label: bool = False) -> Rows:
    """What the decoder finds, as `plainly` has it."""
    found = decoder.decode(heads, confidence, multi_label=multi_label)
    return [
        (int(class_id), float(score), *map(float, box))
        for class_id, score, box in zip(found.class_ids, found.scores, found.boxes, strict=True)
    ]


def random_heads(seed: int, classes: int) -> list[np.ndarray]:
    """Heads of a 64 pixel input, most of them quiet, as a network's are."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(-4 if head.shape[-1] == classes else 0, 3, head.shape).astype(np.float32)
        for head in empty_heads(64, classes)
    ]


def assert_same(found: Rows, expected: Rows) -> None:
    """The same rows, in any order."""
    assert len(found) == len(expected)
    found, expected = (
        sorted(found, key=lambda row: row[:1] + row[2:]),
        sorted(expected, key=lambda row: row[:1] + row[2:]),
    )
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-4, atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.sampled_from([1, 2, 8, 11, 80]),
    confidence=st.sampled_from([0.001, 0.1, 0.25, 0.5, 0.9, 0.99999]),
    multi_label=st.booleans(),
)
def test_ok__float_heads(seed: int, classes: int, confidence: float, multi_label: bool) -> None:
    heads = random_heads(seed, classes)
    decoder = YoloV8Heads(a_bundle(labels=[str(i) for i in range(classes)]).manifest, infos(heads))
    found = decoded(decoder, heads, confidence, multi_label)
    expected = plainly(heads, confidence, multi_label)
    assert len({row[0] for row in expected}) <= classes
    assert_same(found, expected)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.sampled_from([1, 3, 80]),
    confidence=st.sampled_from([0.001, 0.25, 0.6, 0.97]),
    multi_label=st.booleans(),
    dtype=st.sampled_from([np.int8, np.uint8]),
    zero_point=st.integers(-100, 100),
)
def test_ok__quantized_heads(
    seed: int, classes: int, confidence: float, multi_label: bool, dtype: type[np.integer[Any]], zero_point: int
) -> None:
    floats = random_heads(seed, classes)
    shift = 128 if dtype == np.uint8 else 0
    # Each head has its own scale and zero point, as in a real file.
    stored = [quantize(head, 0.07 + 0.01 * i, zero_point + shift + i, dtype) for i, head in enumerate(floats)]
    heads = [head for head, _ in stored]
    meant = [(head.astype(np.float64) - info.zero_point) * info.scale for head, info in stored]
    decoder = YoloV8Heads(a_bundle(labels=[str(i) for i in range(classes)]).manifest, [info for _, info in stored])
    found = decoder.decode(heads, confidence, multi_label=multi_label)
    expected = plainly(meant, confidence, multi_label)
    assert len(found.scores) == len(expected)
    assert_same(decoded(decoder, heads, confidence, multi_label), expected)


def test_ok__an_object_is_where_its_cell_and_sides_say() -> None:
    heads = empty_heads(64, 3)
    put_object(heads, 1, 2, 1, class_id=2, logit=2.0, sides=(1, 2, 3, 0))
    decoder = YoloV8Heads(a_bundle().manifest, infos(heads))
    [(class_id, score, *box)] = decoded(decoder, heads, 0.25)
    assert class_id == 2
    assert score == pytest.approx(1 / (1 + np.exp(-2)))
    # Middle of row 2, column 1 at stride 16: x 24, y 40.
    assert box == pytest.approx([24 - 16, 40 - 32, 24 + 48, 40], abs=1e-3)


def test_ok__one_call_leaves_nothing_to_the_next() -> None:
    heads = empty_heads(64, 3)
    decoder = YoloV8Heads(a_bundle().manifest, infos(heads))
    put_object(heads, 0, 0, 0, class_id=0, logit=3.0, sides=(1, 1, 1, 1))
    assert len(decoded(decoder, heads, 0.25)) == 1
    assert decoded(decoder, empty_heads(64, 3), 0.25) == []
    assert len(decoded(decoder, heads, 0.25, multi_label=True)) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_ok__confidence_0_gives_every_cell_and_1_none(dtype: type[np.generic]) -> None:
    floats = empty_heads(64, 3)
    put_object(floats, 0, 0, 0, class_id=1, logit=100.0, sides=(1, 1, 1, 1))
    stored = [quantize(head, 0.1, 0) for head in floats]
    heads = floats if dtype == np.float32 else [head for head, _ in stored]
    about = infos(floats) if dtype == np.float32 else [info for _, info in stored]
    decoder = YoloV8Heads(a_bundle().manifest, about)
    assert len(decoded(decoder, heads, 0)) == 64 + 16 + 4
    assert len(decoded(decoder, heads, 0, multi_label=True)) == 3 * (64 + 16 + 4)
    assert decoded(decoder, heads, 1) == []


def test_ok__logits_far_out_do_not_overflow() -> None:
    heads = [head * 100 for head in random_heads(3, 3)]
    decoder = YoloV8Heads(a_bundle().manifest, infos(heads))
    with np.errstate(all="raise", under="ignore"):
        found = decoder.decode(heads, 0)
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize(
    ("labels", "size", "said"),
    [(4, 64, "class head of shape (1, 8, 8, 3)"), (3, 96, "box head of shape (1, 8, 8, 64)")],
)
def test_fail__heads_that_are_not_the_manifests(labels: int, size: int, said: str) -> None:
    manifest = a_bundle(size=size, labels=[str(i) for i in range(labels)]).manifest
    with pytest.raises(InputError) as caught:
        YoloV8Heads(manifest, infos(empty_heads(64, 3)))
    assert said in str(caught.value)


def test_fail__another_number_of_outputs() -> None:
    with pytest.raises(InputError, match="has 5 outputs"):
        YoloV8Heads(a_bundle().manifest, infos(empty_heads(64, 3)[:5]))
