"""COCO's JSON, as Roboflow, Label Studio and CVAT write it today, and as COCO does itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import radians
from pathlib import Path
from typing import Any

from device.errors import InputError
from training.data.conversion.annotated import (
    Annotated,
    AnnotatedPhoto,
    NamedBox,
    PhotoIndex,
    Remarks,
    around,
    around_rotated,
    split_named,
    split_of,
    unlabelled,
)

_Content = Mapping[str, Any]


def read_coco(source: Path) -> Annotated:
    """Read the annotations in a folder, or one JSON file, with the photos that they name.

    Known: Roboflow's `train|valid|test/_annotations.coco.json` beside the photos, whose first category only groups the
    others; Label Studio's `result.json` with `images/`, whose names are paths of the annotator's computer; COCO's
    own `annotations/instances_train2017.json`. Groups (iscrowd) and masks without corners are left out and told; of
    outlines and rotated boxes the upright box around them is taken.

    Raises:
        InputError: no annotations, or something in them is missing or of the wrong kind.
    """
    root = source if source.is_dir() else source.parent
    contents = _contents(source)
    index, remarks = PhotoIndex(root), Remarks()
    names = _names(contents)
    photos: dict[Path, AnnotatedPhoto] = {}
    for file, content in contents:
        split = split_of(file.relative_to(root)) or _split_in_name(file)
        try:
            _read_one(file, content, split, index, remarks, photos)
        except KeyError as error:
            raise InputError(f"{file} is not as COCO describes it: an entry lacks {error}") from None
        except (TypeError, AttributeError, ValueError) as error:
            raise InputError(f"{file} is not as COCO describes it: {error}") from None
    unlabelled(index, photos, root, remarks)
    return Annotated(root, names, tuple(photos.values()), remarks)


def _contents(source: Path) -> list[tuple[Path, _Content]]:
    """All files of annotations: those with the lists that make one."""
    files = sorted(source.rglob("*.json")) if source.is_dir() else [source]
    found = []
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{file} is no JSON that can be read: {error}") from None
        lists = ("images", "annotations", "categories")
        if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in lists):
            found.append((file, content))
    if not found:
        raise InputError(
            f"{source} holds no COCO annotations: a JSON file with images, annotations and categories was wanted"
        )
    return found


def _split_in_name(file: Path) -> str | None:
    """`instances_val2017.json` is for val."""
    return next(filter(None, map(split_named, file.stem.replace("-", "_").split("_"))), None)


def _names(contents: Sequence[tuple[Path, _Content]]) -> tuple[str, ...]:
    """The classes by their numbers, of all files; without those that only group others and have no box of their own."""
    found: dict[str, None] = {}
    for file, content in contents:
        try:
            used = {annotation["category_id"] for annotation in content["annotations"]}
            parents = {category.get("supercategory") for category in content["categories"]} - {None}
            for category in sorted(content["categories"], key=lambda category: category["id"]):
                name = str(category["name"])
                groups_only = name in parents - {category.get("supercategory")} and category["id"] not in used
                if not groups_only:
                    found.setdefault(name)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{file}: categories are not as COCO describes them ({error})") from None
    return tuple(found)


def _read_one(
    file: Path,
    content: _Content,
    split: str | None,
    index: PhotoIndex,
    remarks: Remarks,
    photos: dict[Path, AnnotatedPhoto],
) -> None:
    categories = {category["id"]: str(category["name"]) for category in content["categories"]}
    of_image: dict[Any, list[_Content]] = {}
    for annotation in content["annotations"]:
        of_image.setdefault(annotation["image_id"], []).append(annotation)
    known = {image["id"] for image in content["images"]}
    for image in content["images"]:
        name = str(image["file_name"])
        photo = index.find((name,), file.parent, split)
        if photo is None:
            remarks.tell("an annotation whose photo is not there", f"{name} in {file.name}")
            continue
        if photo in photos:
            remarks.tell("a second annotation of one photo, left out", f"{name} in {file.name}")
            continue
        boxes = []
        for annotation in of_image.get(image["id"], ()):
            xyxy = _box(annotation, name, remarks)
            if annotation["category_id"] not in categories:
                raise ValueError(f"category {annotation['category_id']} of an annotation is not listed")
            if xyxy is not None:
                boxes.append(NamedBox(categories[annotation["category_id"]], xyxy))
        size = (float(image["width"]), float(image["height"])) if image.get("width") and image.get("height") else None
        photos[photo] = AnnotatedPhoto(photo, tuple(boxes), size, split or split_of(index.relative(photo)))
    for image_id in of_image.keys() - known:
        remarks.tell("boxes of a photo that is not listed, left out", f"image_id {image_id} in {file.name}")


def _box(annotation: _Content, where: str, remarks: Remarks) -> tuple[float, float, float, float] | None:
    if annotation.get("iscrowd"):
        remarks.tell("a group marked iscrowd, left out", where)
        return None
    box = annotation.get("bbox")
    if not box or len(box) != 4 or (box[2] == 0 and box[3] == 0):
        return _around_outline(annotation.get("segmentation"), where, remarks)
    left, top, width, height = (float(value) for value in box)
    angle = (annotation.get("attributes") or {}).get("rotation") or 0
    if angle:
        remarks.tell("a rotated box, of which the upright box around it is taken", where)
        return around_rotated((left + width / 2, top + height / 2), (width, height), radians(float(angle)))
    return left, top, left + width, top + height


def _around_outline(outline: Any, where: str, remarks: Remarks) -> tuple[float, float, float, float] | None:
    if not isinstance(outline, list) or not outline or not outline[0]:
        remarks.tell("an object with neither box nor outline (a mask, perhaps), left out", where)
        return None
    remarks.tell("an outline, of which the box around it is taken", where)
    return around([value for ring in outline for value in ring])
