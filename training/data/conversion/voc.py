"""Pascal VOC: an XML file for each photo, as LabelImg writes it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

from device.errors import InputError
from training.data.conversion.annotated import (
    Annotated,
    AnnotatedPhoto,
    NamedBox,
    PhotoIndex,
    Remarks,
    around,
    around_rotated,
    split_of,
    unlabelled,
)

MAX_BYTES = 4_000_000
"""The longest XML file that is read; one with a thousand boxes has 250,000."""


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses document types: entities are declared there, and files that fill the memory when they are expanded."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before anything in it is read."""
        del pubid, system
        raise ValueError(f"declares a document type ({name}); annotation tools write none, so it is not read")


def read_voc(root: Path, *, drop_difficult: bool = False) -> Annotated:
    """Read all XML files below a folder, with the photos that they name, wherever below it those are.

    Coordinates are taken as they are: LabelImg counts from the left and upper edge, where VOC's own files of 2012 began
    at 1, which is half a pixel at most in the middle of a box. Of rotated boxes the upright box around them is taken.

    Raises:
        InputError: no annotations, XML that cannot be read or declares entities, or boxes without numbers.
    """
    if not root.is_dir():
        raise InputError(f"{root} is no folder; Pascal VOC is a folder of XML files, with their photos in it")
    files = sorted(path for path in root.rglob("*.xml") if not path.name.startswith("._"))
    index, remarks = PhotoIndex(root), Remarks()
    listed = _image_sets(root)
    photos: dict[Path, AnnotatedPhoto] = {}
    annotations = 0
    for file in files:
        tree = parse(file)
        if tree.tag != "annotation":
            continue
        annotations += 1
        split = listed.get(file.stem) or split_of(file.relative_to(root))
        names = (tree.findtext("filename") or "", tree.findtext("path") or "", file.stem)
        photo = index.find(names, file.parent, split)
        where = file.relative_to(root).as_posix()
        if photo is None:
            remarks.tell("an annotation whose photo is not there", f"{where} ({names[0] or 'no filename'})")
        elif photo in photos:
            remarks.tell("a second annotation of one photo, left out", where)
        else:
            boxes = _boxes(tree, where, remarks, drop_difficult)
            photos[photo] = AnnotatedPhoto(photo, boxes, _size(tree), split or split_of(photo.relative_to(root)))
    if not annotations:
        raise InputError(f"{root} holds no Pascal VOC annotations: XML files that begin with <annotation> were wanted")
    unlabelled(index, photos, root, remarks)
    return Annotated(root, _names(root, photos.values()), tuple(photos.values()), remarks)


def parse(file: Path) -> ElementTree.Element:
    """The root element of an XML file without a document type. Raises InputError."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"{file} has more than {MAX_BYTES:,} bytes, which is no annotation of a photo")
        return ElementTree.fromstring(file.read_bytes(), ElementTree.XMLParser(target=_NoDoctype()))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except ElementTree.ParseError as error:
        raise InputError(f"{file} is no XML that can be read: {error}") from None
    except (ValueError, LookupError) as error:
        raise InputError(f"{file} {error}") from None


def _image_sets(root: Path) -> dict[str, str]:
    """The splits in ImageSets/Main/train.txt and so on, as in VOC's own folders."""
    found = {}
    for split in ("train", "val", "test"):
        for file in root.rglob(f"ImageSets/Main/{split}.txt"):
            found |= {line.split()[0]: split for line in file.read_text().splitlines() if line.strip()}
    return found


def _size(tree: ElementTree.Element) -> tuple[float, float] | None:
    try:
        width, height = float(tree.findtext("size/width") or 0), float(tree.findtext("size/height") or 0)
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _boxes(tree: ElementTree.Element, where: str, remarks: Remarks, drop_difficult: bool) -> tuple[NamedBox, ...]:
    found = []
    for thing in tree.iter("object"):
        name = " ".join((thing.findtext("name") or "").split())
        if not name:
            raise InputError(f"{where}: an object has no name")
        if (thing.findtext("difficult") or "0").strip().lower() in ("1", "true", "yes"):
            remarks.tell("a box marked difficult, " + ("left out" if drop_difficult else "kept"), where)
            if drop_difficult:
                continue
        try:
            xyxy = _corners(thing, where, remarks)
        except (TypeError, ValueError):
            raise InputError(f"{where}: the box of {name} lacks a number") from None
        if xyxy is None:
            remarks.tell("an object without a box, left out", f"{where} ({name})")
        else:
            found.append(NamedBox(name, xyxy))
    return tuple(found)


def _corners(thing: ElementTree.Element, where: str, remarks: Remarks) -> tuple[float, float, float, float] | None:
    """From <bndbox>, from roLabelImg's <robndbox>, or from an outline's <x1>, <y1>, … Raises TypeError, ValueError."""
    box = thing.find("bndbox")
    if box is not None:
        left, top, right, bottom = (float(box.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax"))  # type: ignore[arg-type]
        return min(left, right), min(top, bottom), max(left, right), max(top, bottom)
    rotated = thing.find("robndbox")
    if rotated is not None:
        remarks.tell("a rotated box, of which the upright box around it is taken", where)
        x, y, width, height, angle = (float(rotated.findtext(tag)) for tag in ("cx", "cy", "w", "h", "angle"))  # type: ignore[arg-type]
        return around_rotated((x, y), (width, height), angle)
    outline = thing.find("polygon")
    if outline is None:
        return None
    remarks.tell("an outline, of which the box around it is taken", where)
    values = [float(point.text) for point in outline.iter() if point.text and point.text.strip()]  # type: ignore[arg-type]
    return around(values)


def _names(root: Path, photos: Iterable[AnnotatedPhoto]) -> tuple[str, ...]:
    """In the order of a classes.txt or predefined_classes.txt, the rest by the alphabet."""
    used = sorted({box.name for photo in photos for box in photo.boxes})
    first: list[str] = []
    for file in (*root.rglob("classes.txt"), *root.rglob("predefined_classes.txt")):
        first = [line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
        break
    return tuple([name for name in first if name in used] + [name for name in used if name not in first])
