"""Where fruit is in a scene, as annotation tools write it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from training.practice.fruit import Seen


def write_yolo(path: Path, shape: Sequence[int], seen: Sequence[Seen], kinds: Sequence[str]) -> None:
    """A line `class x y width height` for each, 0 to 1; `shape` is the picture's height, width."""
    height, width = shape[:2]
    lines = []
    for one in seen:
        x1, y1, x2, y2 = one.box
        numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        lines.append(f"{kinds.index(one.kind)} " + " ".join(f"{number:.6f}" for number in numbers) + "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))


def write_voc(path: Path, image: str, shape: Sequence[int], seen: Sequence[Seen]) -> None:
    """Pascal VOC's XML, with pixels counted from 1, as LabelImg does it."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = image
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", shape[1]), ("height", shape[0]), ("depth", 3)):
        ElementTree.SubElement(size, name).text = str(value)
    for one in seen:
        thing = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(thing, "name").text = one.kind
        box = ElementTree.SubElement(thing, "bndbox")
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), one.box, strict=True):
            ElementTree.SubElement(box, name).text = str(value + 1 if name.endswith("min") else value)
    ElementTree.indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path, encoding="utf-8")
