"""Any other embedder as a Keras, TFLite or ONNX file, with a few lines that say what it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device.access.alignment import ARCFACE_TEMPLATE, FloatArray, fitted
from device.errors import ConfigError, InputError
from device.system.fetch import sha256_of
from export.face_scores import Array
from export.weights import weights
from training.facemodels.models import MOBILEFACENET, FaceModel, Faces

Batch = npt.NDArray[np.float32]
Runner = Callable[[Batch], npt.NDArray[Any]]
"""From pixels as the network wants them, [B, H, W, 3] or [B, 3, H, W] float32, to [B, …]."""

Triple = tuple[float, float, float]


class Description(BaseModel):
    """An embedder's input. Its number for a pixel (0 to 255) of channel c is (pixel - mean[c]) / std[c].

    `template`: `detector` (what suits the detector's landmarks best), `arcface` (insightface's), or `[scale, up]`:
    that one's, larger or smaller about the middle and moved up by so many of 112 pixels; `[0.8, 0]` shows more hair.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    name: str = ""
    size: Annotated[int, Field(ge=16, le=1024)] = 112
    color: Literal["RGB", "BGR"] = "RGB"
    mean: Triple | float = 127.5
    std: Annotated[float, Field(gt=0)] | tuple[Annotated[float, Field(gt=0)], ...] = 128.0
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    template: Literal["detector", "arcface"] | tuple[float, float] = "detector"


def read_description(path: Path) -> Description:
    """The description in a YAML file; `file` in it is relative to it.

    Raises:
        ConfigError: a key is unknown or has a value that is not allowed.
        InputError: it cannot be read, or the file it names is not there.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"the description {path} cannot be read: {' '.join(str(error).split())}") from None
    try:
        found = Description.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:1]) or "the file"
        raise ConfigError(f"{path}, {where}: {first['msg']}; known are {', '.join(Description.model_fields)}") from None
    named = path.parent / found.file
    if not named.is_file():
        raise InputError(f"{path}: there is no file {named}")
    return found.model_copy(update={"file": named, "name": found.name or path.stem})


def open_described(path: Path) -> FaceModel:
    """The embedder that a YAML file describes. Raises ConfigError or InputError."""
    return DescribedModel(read_description(path))


def mobilefacenet_192() -> FaceModel:
    """MobileFaceNet of 192 numbers, as Android apps carry it. Raises InputError where it cannot be had.

    RGB and ArcFace's own template did best on people of LFW who are in no test: EER 0.34 % on 66 of them, with the
    detector's template 0.45, in BGR 0.79.
    """
    file = weights("MobileFaceNet-192.tflite")
    return DescribedModel(Description(file=file, name=MOBILEFACENET, template="arcface"))


class DescribedModel(FaceModel):
    """A file and its description at work."""

    def __init__(self, description: Description) -> None:
        """Open the file. Raises InputError where its runtime refuses it or its input is another."""
        self._given = description
        self.name = description.name
        self.template = _template(description)
        kind = description.file.suffix.lower()
        if kind not in RUNNERS:
            raise InputError(f"{description.file} is of no kind that is known here: {', '.join(RUNNERS)}")
        try:
            self._batch, self._run = RUNNERS[kind](description.file)
            self.embed(np.zeros((1, 112, 112, 3), np.uint8))
        except Exception as error:  # noqa: BLE001 - each runtime has errors of its own, with no class in common.
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{description.file} is refused, or its description does not fit it: {first}") from None
        self.about = f"{kind.removeprefix('.')}, {description.size} px"
        self.key = f"{sha256_of(description.file)} {description.model_dump_json(exclude={'file', 'name'})}"

    def embed(self, faces: Faces) -> Array:
        """See `FaceModel.embed`."""
        found = []
        for start in range(0, len(faces), self._batch):
            part = np.stack([self._pixels(face) for face in faces[start : start + self._batch]])
            missing = self._batch - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
            answer = np.asarray(self._run(full), np.float64)
            found.append(answer.reshape(len(full), -1)[: len(part)])
        return np.concatenate(found)

    @property
    def bytes(self) -> int:
        """Of the file."""
        return self._given.file.stat().st_size

    def _pixels(self, face: npt.NDArray[np.uint8]) -> Batch:
        side = self._given.size
        shrinks = side < len(face)
        sized = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        pixels = sized[..., ::-1] if self._given.color == "BGR" else sized
        scaled = (pixels.astype(np.float32) - np.float32(self._given.mean)) / np.float32(self._given.std)
        return scaled if self._given.layout == "NHWC" else scaled.transpose(2, 0, 1)


def _template(description: Description) -> FloatArray | None:
    if description.template == "detector":
        return None
    if description.template == "arcface":
        return ARCFACE_TEMPLATE
    return fitted(*description.template)


def _tflite(file: Path) -> tuple[int, Runner]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    [given], answer = interpreter.get_input_details(), interpreter.get_output_details()[0]

    def run(batch: Batch) -> npt.NDArray[Any]:
        interpreter.set_tensor(given["index"], _quantized(batch, given))
        interpreter.invoke()
        return _plain(interpreter.get_tensor(answer["index"]), answer)

    return int(given["shape"][0]), run


def _quantized(batch: Batch, details: dict[str, Any]) -> npt.NDArray[Any]:
    scale, zero_point = details["quantization"]
    if not scale:
        return batch.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(batch / scale + zero_point), limits.min, limits.max).astype(details["dtype"])


def _plain(values: npt.NDArray[Any], details: dict[str, Any]) -> npt.NDArray[Any]:
    scale, zero_point = details["quantization"]
    return (values.astype(np.float32) - zero_point) * scale if scale else values


def _onnx(file: Path) -> tuple[int, Runner]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    batch = given.shape[0] if isinstance(given.shape[0], int) else 1

    def run(pixels: Batch) -> npt.NDArray[Any]:
        return np.asarray(session.run(None, {given.name: pixels})[0])

    return batch, run


def _keras(file: Path) -> tuple[int, Runner]:
    import keras

    from training.facemodels.imagenet import one_thread

    one_thread()
    model = keras.models.load_model(file, compile=False)
    return 1, lambda pixels: np.asarray(model(pixels, training=False))


RUNNERS: dict[str, Callable[[Path], tuple[int, Runner]]] = {
    ".tflite": _tflite,
    ".onnx": _onnx,
    ".keras": _keras,
    ".h5": _keras,
}
"""By the file's ending: opens it, and says how many faces it takes at once."""
