"""YOLO's own labels in any of its layouts, to be written in the one that this project writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.datasets.boxes import read_boxes
from export.datasets.inspection import inspect_files
from export.datasets.yolo import open_detection
from training.data.conversion.annotated import Annotated, AnnotatedPhoto, NamedBox, Remarks


def read_yolo(source: Path, names: Sequence[str] = ()) -> Annotated:
    """Read what `open_detection` opens; wrong lines are left out and told. Raises InputError."""
    data = open_detection(source, names=names)
    remarks, photos = Remarks(), []
    for split, pairs in data.splits.items():
        looks = inspect_files([image for image, _ in pairs])
        for look, (image, label) in zip(looks, pairs, strict=True):
            found = read_boxes(label, len(data.names))
            for number, fault in found.faults:
                remarks.tell("a wrong line, left out", f"{label.name}, line {number}, which {fault}")
            if found.polygons:
                remarks.tell("a file of outlines, of which the boxes around them are taken", label.name)
            half = found.table[:, 3:5] / 2
            low, high = found.table[:, 1:3] - half, found.table[:, 1:3] + half
            size = (look.width, look.height)
            boxes = tuple(
                NamedBox(data.names[int(row[0])], (*(a * size), *(b * size)))
                for row, a, b in zip(found.table, low, high, strict=True)
            )
            photos.append(AnnotatedPhoto(image, boxes, size, None if split in data.made else split))
    for path, fault in data.left_out.items():
        remarks.tell("a photo that cannot be read, left out", f"{path.name}: {fault}")
    return Annotated(data.root, data.names, tuple(photos), remarks)
