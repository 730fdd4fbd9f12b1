"""Bundles: a folder with `manifest.json` and the model files it names. The device reads nothing else."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from device.errors import InputError
from device.jsontext import parsed

SCHEMA = 1
"""The only schema of `manifest.json` this version knows."""

MANIFEST_MAX_BYTES = 4_000_000
"""No manifest is nearly as long; a longer file is something else."""

INSTALL_ROOT = Path(__file__).resolve().parents[2]
"""Parent of the `device` package: the checkout, or where it was installed."""

Task = Literal["detect", "classify", "embed", "face-detect", "liveness"]
Runtime = Literal["litert", "onnxruntime"]


class Part(BaseModel):
    """A block of the manifest. Unknown keys are left alone: schema 1 may gain some, never change one."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class ModelFile(Part):
    """One model file. `outputs`: positions in the runtime's own list, in the order the decoder wants them."""

    path: str
    runtime: Runtime
    precision: Literal["int8", "fp32"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0)]
    outputs: tuple[Annotated[int, Field(ge=0)], ...] | None = None

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        """Refuse what could name a file outside the bundle."""
        path = PurePosixPath(value)
        if not value or path.is_absolute() or ".." in path.parts or "\\" in value or "\0" in value:
            raise ValueError(f"{value!r} must be a file inside the bundle's folder")
        return value


class Padding(Part):
    """How the letterbox pads: the grey `value` (0 to 255), and whether the picture is centred."""

    value: Annotated[int, Field(ge=0, le=255)] = 114
    center: bool = True


class InputSpec(Part):
    """What the network takes. Its number for a pixel (0 to 255) of channel c is (pixel - mean[c]) / std[c].

    `face_scale`, of a network that looks at one face: side of its crop over that of the face's box.
    """

    width: Annotated[int, Field(gt=0, le=4096)]
    height: Annotated[int, Field(gt=0, le=4096)]
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    dtype: str = "float32"
    color: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    letterbox: Padding | None = None
    resize: Literal["stretch", "shorter-crop"] = "stretch"
    face_scale: Annotated[float, Field(gt=0, le=10)] | None = None

    @field_validator("letterbox", mode="before")
    @classmethod
    def _switch(cls, value: object) -> object:
        """`false` means none, `true` the usual padding."""
        return {False: None, True: {}}[value] if isinstance(value, bool) else value

    @field_validator("std")
    @classmethod
    def _divisor(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) <= 0:
            raise ValueError("std must be above 0")
        return value


class OutputSpec(Part):
    """How the network's answer is read: the decoder's name, and what it needs to know."""

    decode: str
    strides: tuple[Annotated[int, Field(gt=0)], ...] = ()
    reg_max: Annotated[int, Field(gt=0, le=64)] = 16


HEADLINES = {"detect": "mAP50-95", "classify": "top-1", "embed": "TAR at FMR 1e-3"}
"""By task, the metric that a list of models shows."""


class Manifest(Part):
    """`manifest.json`, schema 1."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    version: str
    task: Task
    files: Annotated[tuple[ModelFile, ...], Field(min_length=1)]
    input: InputSpec
    output: OutputSpec
    labels: tuple[str, ...] = ()
    thresholds: dict[str, Any] = {}
    metrics: tuple[dict[str, Any], ...] = ()
    provenance: dict[str, Any] = {}
    licence: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Manifest:
        """Ask for what the task cannot do without."""
        if self.task in ("detect", "classify") and not self.labels:
            raise ValueError(f"labels: a bundle of task {self.task!r} needs its labels")
        if self.task == "detect":
            for key in ("confidence", "iou"):
                self.threshold(key)
        return self

    @property
    def headline(self) -> tuple[dict[str, Any], ...]:
        """The measurement that says most of a model of its task, over all views where there are several; or none."""
        wanted = HEADLINES.get(self.task)
        rows = [row for row in self.metrics if row.get("metric") == wanted and row.get("quantized") is not None]
        whole = [row for row in rows if str(row.get("view", "")).startswith("mean")]
        return tuple((whole or rows)[:1])

    def threshold(self, key: str) -> float:
        """The threshold of that name, 0 to 1. Raises ValueError where it is missing or something else."""
        value = self.thresholds.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"thresholds.{key}: {value!r} is not a number from 0 to 1")
        return float(value)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest was read and whose files had the right sha256 at that time."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The manifest's name."""
        return self.manifest.name

    def read(self, file: ModelFile) -> bytes:
        """The content of one of its files, checked again: what is run is what was checked.

        Raises:
            InputError: the file is missing, unreadable, or not the one the manifest was made for.
        """
        path = self.path / file.path
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise InputError(f"{path} leads out of the bundle's folder; a bundle's files must lie inside it")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"the bundle {self.path} names {file.path}, which cannot be read: {error.strerror}; {_REMEDY}"
            ) from None
        if len(content) != file.bytes:
            raise InputError(
                f"{path} has {len(content)} bytes, the manifest says {file.bytes}: it is cut short; {_REMEDY}"
            )
        found = hashlib.sha256(content).hexdigest()
        if found != file.sha256:
            raise InputError(
                f"{path} is damaged or was changed: its sha256 is {found[:12]}…, "
                f"the manifest says {file.sha256[:12]}…; {_REMEDY}"
            )
        return content


_REMEDY = "restore the bundle, or make it again with `make export`"


def search_path() -> list[Path]:
    """Folders in which bundles are looked up by name, first match wins."""
    named = os.environ.get("SERENO_MODELS")
    own = [INSTALL_ROOT / "models", INSTALL_ROOT / ".cache" / "bundles"]
    return [Path(named), *own] if named else own


def find_bundle(name_or_path: str | Path) -> Path:
    """The folder of a bundle.

    Args:
        name_or_path: a folder, or the bare name of one on the search path.
    Raises:
        InputError: there is none; says where it was looked for and how to get one.
    """
    given = Path(name_or_path)
    bare = isinstance(name_or_path, str) and "/" not in name_or_path and name_or_path not in (".", "..", "")
    places = [folder / given for folder in search_path()] if bare else []
    places.append(given)
    for place in places:
        if (place / "manifest.json").is_file():
            return place
    if given.is_dir():
        raise InputError(f"{given} is a folder without a manifest.json, so no model bundle; {_REMEDY}")
    looked = ", ".join(str(place) for place in places)
    raise InputError(
        f"no model {str(name_or_path)!r}: looked for {looked}. `sereno models list` shows what is there; "
        "`make models` and `make export` fetch and make the others"
    )


def load_bundle(path: Path, *, require_signature: bool = False) -> Bundle:
    """Read a bundle's manifest and check every file it names.

    Args:
        path: the bundle's folder, from `find_bundle`.
        require_signature: refuse bundles that no trusted key has signed.
    Raises:
        InputError: the manifest is missing, malformed, of an unknown schema or incomplete, a file is missing or was
            changed, or a signature is asked for.
    """
    if require_signature:
        raise InputError(
            f"{path} is not signed by a trusted key, and `model.require_signature` asks for that; signing bundles "
            "is not built yet: set it to false to trust the sha256 in the manifest"
        )
    bundle = Bundle(path, _parse(path / "manifest.json"))
    for file in bundle.manifest.files:
        bundle.read(file)
    _check_labels(bundle)
    return bundle


@dataclass(frozen=True, slots=True)
class Listed:
    """One folder that `list_bundles` found: the bundle, or the sentence that says why it is none."""

    path: Path
    bundle: Bundle | None
    error: str


def list_bundles() -> list[Listed]:
    """Every bundle on the search path, checked. A name found earlier hides a later one, as in `find_bundle`."""
    found: dict[str, Listed] = {}
    for folder in search_path():
        # What begins with a dot is an export at work, or what a killed one left.
        for manifest in sorted(folder.glob("[!.]*/manifest.json")):
            found.setdefault(manifest.parent.name, _listed(manifest.parent))
    return list(found.values())


def _listed(path: Path) -> Listed:
    try:
        return Listed(path, load_bundle(path), "")
    except InputError as error:
        return Listed(path, None, str(error))


def _parse(path: Path) -> Manifest:
    """Read and validate one manifest."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MANIFEST_MAX_BYTES + 1)
        if len(text) > MANIFEST_MAX_BYTES:
            raise InputError(f"{path} is longer than {MANIFEST_MAX_BYTES} bytes, so no manifest; {_REMEDY}")
        content = parsed(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; {_REMEDY}") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); {_REMEDY}") from None
    if not isinstance(content, dict) or "schema" not in content:
        raise InputError(f"{path} has no `schema`, so it is no manifest of a bundle; {_REMEDY}")
    if content["schema"] != SCHEMA or isinstance(content["schema"], bool):
        raise InputError(
            f"{path} is of schema {content['schema']!r}, and this version of Sereno knows schema {SCHEMA} only: "
            "update Sereno, or make the bundle again with `make export`"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: {f'{where}: ' if where else ''}{message}; {_REMEDY}") from None


def _check_labels(bundle: Bundle) -> None:
    """`labels.txt` is for people and other programs; where it contradicts the manifest, one of them is damaged."""
    path = bundle.path / "labels.txt"
    if not path.exists():
        return
    try:
        labels = tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; {_REMEDY}") from None
    if labels != bundle.manifest.labels:
        raise InputError(f"{path} has other labels than the manifest; {_REMEDY}")
