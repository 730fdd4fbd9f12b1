"""Pixels become the numbers the manifest asks for, in every layout; the right file meets the right runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device.errors import InputError
from device.inference.fake import FakeInterpreter
from device.inference.interpreter import choose_file
from device.inference.manifest import Bundle, InputSpec, Manifest
from device.inference.tensors import TensorInfo, pixel_writer
from tests.inference.samples import a_bundle, a_file, a_manifest

SIZE = 16
SHAPE = (1, SIZE, SIZE, 3)


def every_pixel() -> np.ndarray:
    """A square with all 256 values in each channel, differently placed."""
    values = np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE)
    return np.ascontiguousarray(np.stack([values, values[::-1], values.T], axis=2))


def a_spec(**changes: Any) -> InputSpec:
    """An input of 16 x 16 pixels."""
    return InputSpec.model_validate({"width": SIZE, "height": SIZE} | changes)


def written(info: TensorInfo, spec: InputSpec) -> np.ndarray:
    """The tensor after `every_pixel` was written into it."""
    tensor = np.zeros(info.shape, info.dtype)
    pixel_writer(info, spec)(every_pixel(), tensor)
    return tensor


def test_ok__the_usual_int8_input_is_one_flipped_bit() -> None:
    info = TensorInfo(SHAPE, np.dtype(np.int8), 1 / 255, -128)
    np.testing.assert_array_equal(written(info, a_spec())[0], every_pixel().astype(np.int16) - 128)


def test_ok__a_uint8_input_is_a_copy() -> None:
    info = TensorInfo(SHAPE, np.dtype(np.uint8), 1 / 255, 0)
    np.testing.assert_array_equal(written(info, a_spec())[0], every_pixel())


def test_ok__a_float_input_is_0_to_1() -> None:
    tensor = written(TensorInfo(SHAPE, np.dtype(np.float32)), a_spec())
    np.testing.assert_allclose(tensor[0], every_pixel() / 255, rtol=1e-6)


IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


@pytest.mark.parametrize("mean_std", [IMAGENET, {"mean": [127.5] * 3, "std": [127.5] * 3}])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point"), [(np.float32, 1.0, 0), (np.int8, 0.02, -10), (np.uint8, 0.02, 110)]
)
def test_ok__any_normalization_layout_and_colour_order(
    mean_std: dict[str, Any], color: str, layout: str, dtype: type[np.generic], scale: float, zero_point: int
) -> None:
    shape = SHAPE if layout == "NHWC" else (1, 3, SIZE, SIZE)
    found = written(
        TensorInfo(shape, np.dtype(dtype), scale, zero_point), a_spec(color=color, layout=layout, **mean_std)
    )
    pixels = every_pixel().astype(np.float64)[..., :: -1 if color == "BGR" else 1]
    real = (pixels - mean_std["mean"]) / mean_std["std"]
    expected = real if layout == "NHWC" else real.transpose(2, 0, 1)
    if dtype == np.float32:
        np.testing.assert_allclose(found[0], expected, atol=1e-5)
    else:
        limits = np.iinfo(dtype)
        stored = np.clip(np.rint(expected / scale + zero_point), limits.min, limits.max)
        np.testing.assert_array_equal(found[0], stored)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (
            TensorInfo((1, 3, SIZE, SIZE), np.dtype(np.float32)),
            r"\(1, 3, 16, 16\), and its manifest says \(1, 16, 16, 3\)",
        ),
        (TensorInfo((1, 8, 8, 3), np.dtype(np.float32)), "its manifest says"),
        (TensorInfo(SHAPE, np.dtype(np.float64)), "float64"),
    ],
)
def test_fail__an_input_that_is_not_the_manifests(info: TensorInfo, said: str) -> None:
    with pytest.raises(InputError, match=said):
        pixel_writer(info, a_spec())


def test_ok__the_fake_remembers_what_it_was_shown() -> None:
    answer = np.ones((1, 5), np.float32)
    fake = FakeInterpreter(a_spec(), [answer])
    for value in (0, 255):
        fake.write(np.full((SIZE, SIZE, 3), value, np.uint8))
        assert fake.invoke() == (answer,)
    assert [int(tensor.max()) for tensor in fake.inputs] == [-128, 127]


def a_bundle_of(*runtimes: str) -> Bundle:
    """A bundle with a file for each."""
    files = [a_file(f"model.{name}", b"x", name) for name in runtimes]
    return Bundle(a_bundle().path, Manifest.model_validate(a_manifest(files=files)))


def test_ok__auto_takes_litert_whatever_the_order() -> None:
    bundle = a_bundle_of("onnxruntime", "litert")
    assert choose_file(bundle, "auto").runtime == "litert"
    assert choose_file(bundle, "onnxruntime").runtime == "onnxruntime"


def test_ok__auto_takes_onnx_runtime_where_there_is_no_other_file() -> None:
    assert choose_file(a_bundle_of("onnxruntime"), "auto").runtime == "onnxruntime"


def test_fail__no_file_for_the_runtime_says_which_there_is() -> None:
    with pytest.raises(InputError, match="no file for the runtime 'onnxruntime'; it has one for litert"):
        choose_file(a_bundle_of("litert"), "onnxruntime")
