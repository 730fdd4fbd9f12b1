"""What is compared: from aligned faces to vectors, and how alike two of them are."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.access.alignment import FloatArray
from device.access.recognizer import Recognizer
from device.errors import ConfigError, InputError
from device.inference.interpreter import choose_file, open_interpreter
from device.inference.manifest import Bundle, load_bundle
from export.face_crops import Crops
from export.face_scores import Array, Labels
from export.face_verification import kept_vectors
from training.evaluation.subjects import find_subject

Faces = npt.NDArray[np.uint8]
"""[N, 112, 112, 3], RGB, from `export.face_crops`."""


class FaceModel:
    """One way from a face to a vector. As it stands here: it learns nothing, and its vectors' cosine says how alike.

    Attributes:
        name: in tables and pictures.
        about: a few words.
        template: 5x2, where the landmarks lie in its crops; None for the detector's own.
        learns: whether `learn` must be called with the photos that are enrolled.
        key: names all that its vectors hang on, so that they can be kept; None where it learns.
    """

    name: str
    about: str
    template: FloatArray | None = None
    learns = False
    key: str | None = None

    def learn(self, faces: Faces, owners: Labels) -> None:
        """Look at the enrolled photos [N] of people `owners` [N]."""

    def embed(self, faces: Faces) -> Array:
        """[N, D] float64, of any length."""
        raise NotImplementedError

    def prepared(self, vectors: Array) -> Array:
        """Embeddings as they are averaged to templates: of unit length, so that each photo counts the same."""
        return unit_rows(vectors)

    def similarities(self, photos: Array, templates: Array) -> Array:
        """[P, D] and [N, D] -> [P, N]: higher is more alike. Templates are means of prepared embeddings."""
        return unit_rows(photos) @ unit_rows(templates).T

    @property
    def bytes(self) -> int:
        """Of the file, or of what was learnt."""
        raise NotImplementedError

    def vectors(self, crops: Crops) -> Array:
        """Embeddings of all crops; from the cache where they were made before."""
        if self.key is None:
            return self.embed(crops.faces)
        way = hashlib.sha256(inspect.getsource(type(self)).encode()).hexdigest()
        return kept_vectors(f"{self.key} {way} {crops.fingerprint}", lambda: self.embed(crops.faces))


def unit_rows(vectors: Array) -> Array:
    """Each of length 1; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


class BundleModel(FaceModel):
    """A bundle of task `embed`, by the device's own recognizer."""

    def __init__(self, bundle: Bundle, name: str) -> None:
        self.name = name
        file = choose_file(bundle, "auto")
        self.about = f"{file.precision}, {file.runtime}"
        self._recognizer = Recognizer(bundle, open_interpreter(bundle))
        self._bytes = file.bytes
        self.key = f"bundle {file.sha256} {bundle.manifest.input.model_dump_json()}"
        self.trained = bundle.manifest.provenance.get("training")
        """What the bundle tells of its training; None where it tells nothing."""

    def embed(self, faces: Faces) -> Array:
        """See `FaceModel.embed`."""
        return np.stack([self._recognizer.embed(face) for face in faces]).astype(np.float64)

    @property
    def bytes(self) -> int:
        """Of the file."""
        return self._bytes


CLASSICS = ("eigenfaces", "fisherfaces", "lbph")
IMAGENET = "imagenet-mobilenetv2"
MOBILEFACENET = "mobilefacenet-192"
BUILT_IN = (*CLASSICS, IMAGENET, MOBILEFACENET)


def open_models(named: Sequence[str]) -> list[FaceModel]:
    """Each by its name.

    Args:
        named: names of `BUILT_IN`, descriptions (.yaml) of other embedders, bundles' folders or names, or runs.
    Raises:
        ConfigError: the same one twice, or a description with a mistake.
        InputError: there is no such model, or its file is not what it should be.
    """
    models = [_open(name) for name in named]
    names = [model.name for model in models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two models are called {twice[0]}: leave one out, or give a description another name")
    return models


def _open(name: str) -> FaceModel:
    if name in CLASSICS:
        from training.facemodels.classics import CLASSES

        return CLASSES[name]()
    if name == IMAGENET:
        from training.facemodels.imagenet import ImageNetModel

        return ImageNetModel()
    if name == MOBILEFACENET:
        from training.facemodels.described import mobilefacenet_192

        return mobilefacenet_192()
    if Path(name).suffix in (".yaml", ".yml"):
        from training.facemodels.described import open_described

        return open_described(Path(name))
    return _bundle(name)


def _bundle(name: str) -> FaceModel:
    try:
        subject = find_subject(name)
    except InputError as error:
        raise InputError(f"{error}; or one of {', '.join(BUILT_IN)}; or a description of another embedder") from None
    bundle = load_bundle(subject.bundle.path)
    if bundle.manifest.task != "embed":
        raise InputError(f"{bundle.path} is a bundle of task {bundle.manifest.task!r}; faces need one of task 'embed'")
    # A run's bundle is called by its kind only; its folder tells which run it was.
    run = Path(name)
    return BundleModel(bundle, run.name if (run / "config.yaml").is_file() else bundle.name)
