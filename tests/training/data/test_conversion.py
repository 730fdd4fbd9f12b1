"""Annotations as today's tools write them become YOLO's labels; what cannot be taken over is told."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml
from click.testing import CliRunner

from device.errors import ConfigError, InputError
from export.datasets.boxes import read_boxes
from export.datasets.yolo import open_detection
from tests.export.datasets.photos import a_detection_set, a_photo, write
from training.data.commands import data
from training.data.conversion.coco import read_coco
from training.data.conversion.voc import read_voc
from training.data.conversion.writing import write_yolo
from training.data.conversion.yolo import read_yolo

LABELIMG = """<annotation>
	<folder>photos</folder>
	<filename>{name}</filename>
	<path>C:\\Users\\ana\\photos\\{name}</path>
	<source><database>Unknown</database></source>
	<size><width>{width}</width><height>{height}</height><depth>3</depth></size>
	<segmented>0</segmented>{objects}
</annotation>
"""
OBJECT = """
	<object>
		<name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>{difficult}</difficult>
		<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>
	</object>"""


def an_object(name: str, x1: float, y1: float, x2: float, y2: float, difficult: int = 0) -> str:
    return OBJECT.format(name=name, x1=x1, y1=y1, x2=x2, y2=y2, difficult=difficult)


def annotate(photo: Path, *objects: str, size: tuple[int, int] = (160, 128), to: Path | None = None) -> Path:
    """An XML file as LabelImg's, beside the photo."""
    file = to or photo.with_suffix(".xml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(LABELIMG.format(name=photo.name, width=size[0], height=size[1], objects="".join(objects)))
    return file


def rows(out: Path, name: str) -> list[list[float]]:
    (label,) = out.rglob(f"labels/*/{name}.txt")
    return read_boxes(label).table.tolist()


def remarks_of(annotated: object) -> str:
    return "\n".join(annotated.remarks.lines())  # type: ignore[attr-defined]


def test_ok__labelimg(tmp_path: Path) -> None:
    for index in range(20):
        photo = write(tmp_path / "in" / f"{index:02d}.jpg", a_photo(index))
        annotate(photo, an_object("sano", 16, 32, 80, 96), *([an_object("monilia", 0, 0, 160, 128)] * (index % 2)))
    out = tmp_path / "out"
    done = write_yolo(read_voc(tmp_path / "in"), out)
    assert done.names == ("monilia", "sano")
    assert done.photos == {"train": 14, "val": 3, "test": 3}
    assert yaml.safe_load((out / "data.yaml").read_text()) == {
        "train": "images/train",
        "val": "images/val",
        "test": "images/test",
        "names": {0: "monilia", 1: "sano"},
    }
    assert rows(out, "01") == [[1, 0.3, 0.5, 0.4, 0.5], [0, 0.5, 0.5, 1, 1]]
    assert sum(map(len, open_detection(out).splits.values())) == 20
    again = write_yolo(read_voc(tmp_path / "in"), tmp_path / "again")
    assert again.boxes == done.boxes
    assert (tmp_path / "again" / "labels").is_dir()


def test_ok__voc_folders_with_image_sets_and_a_list_of_classes(tmp_path: Path) -> None:
    for index, split in enumerate(("train", "train", "val")):
        photo = write(tmp_path / "JPEGImages" / f"{index}.jpg", a_photo(index))
        annotate(photo, an_object("b a", 0, 0, 80, 64), to=tmp_path / "Annotations" / f"{index}.xml")
        sets = tmp_path / "ImageSets" / "Main" / f"{split}.txt"
        sets.parent.mkdir(parents=True, exist_ok=True)
        with sets.open("a") as file:
            file.write(f"{index}\n")
    (tmp_path / "classes.txt").write_text("unused\nb a\n")
    done = write_yolo(read_voc(tmp_path), tmp_path / "out")
    assert done.names == ("b a",)
    assert done.photos == {"train": 2, "val": 1}


def test_ok__what_voc_has_beside_plain_boxes_is_told(tmp_path: Path) -> None:
    photo = write(tmp_path / "a.jpg", a_photo(1))
    rotated = (
        "<object><type>robndbox</type><name>r</name><difficult>0</difficult><robndbox><cx>80</cx><cy>64</cy><w>60</w>"
        "<h>20</h><angle>1.5707963</angle></robndbox></object>"
    )
    outline = (
        "<object><name>p</name><polygon><x1>16</x1><y1>32</y1><x2>80</x2><y2>32</y2><x3>48</x3><y3>96</y3></polygon>"
        "</object>"
    )
    annotate(
        photo,
        an_object("hard", 16, 32, 80, 96, difficult=1),
        an_object("over", -40, -10, 80, 64),
        an_object("gone", 200, 10, 300, 20),
        an_object("swapped", 80, 96, 16, 32),
        rotated,
        outline,
        "<object><name>nothing</name></object>",
    )
    annotate(tmp_path / "lost.jpg", an_object("hard", 0, 0, 9, 9), to=tmp_path / "lost.xml")
    write(tmp_path / "plain.jpg", a_photo(2))
    annotated = read_voc(tmp_path)
    out = tmp_path / "out"
    names = write_yolo(annotated, out).names
    found = {names[int(row[0])]: [round(value, 4) for value in row[1:]] for row in rows(out, "a")}
    assert found == {
        "hard": [0.3, 0.5, 0.4, 0.5],
        "over": [0.25, 0.25, 0.5, 0.5],
        "swapped": [0.3, 0.5, 0.4, 0.5],
        "r": [0.5, 0.5, 0.125, 0.4688],
        "p": [0.3, 0.5, 0.4, 0.5],
    }
    told = remarks_of(annotated)
    for words in (
        "1 x a box marked difficult, kept, as a.xml",
        "1 x a rotated box",
        "1 x an outline",
        "1 x an object without a box, left out, as a.xml (nothing)",
        "1 x an annotation whose photo is not there, as lost.xml (lost.jpg)",
        "1 x a photo without annotations, left out, as plain.jpg",
        "1 x a box that reached outside the picture, clipped, as a.jpg",
        "1 x a box without area in the picture, left out, as a.jpg",
    ):
        assert words in told
    dropped = write_yolo(read_voc(tmp_path, drop_difficult=True), tmp_path / "dropped")
    assert "hard" not in dropped.names


BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY a "{}"><!ENTITY b "{}"><!ENTITY c "{}"><!ENTITY d "{}"><!ENTITY e "{}">]>
<annotation><filename>&e;</filename></annotation>
""".format(*("&lol;&lol;" * 5000, "&a;" * 5000, "&b;" * 500, "&c;" * 500, "&d;" * 500))


@pytest.mark.parametrize(
    "content",
    [BOMB, '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation><filename>&x;</filename></annotation>'],
)
def test_fail__xml_with_entities_is_not_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.xml").write_text(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="declares a document type"):
        read_voc(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<annotation><obj", "is no XML that can be read"),
        ("<annotation><filename>a.jpg</filename><object><name>x</name><bndbox><xmin>1</xmin></bndbox></object>"
         "</annotation>", "the box of x lacks a number"),
        ("<annotation><filename>a.jpg</filename><object><bndbox/></object></annotation>", "an object has no name"),
        ("<html/>", "holds no Pascal VOC annotations"),
        ("&undefined;", "is no XML"),
        ('<?xml version="1.0" encoding="martian"?><annotation/>', "a.xml"),
    ],
)  # fmt: skip
def test_fail__wrong_xml(tmp_path: Path, content: str, words: str) -> None:
    write(tmp_path / "a.jpg", a_photo(1))
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(InputError) as caught:
        read_voc(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def coco(images: list[tuple[int, str]], boxes: list[dict], categories: list[dict]) -> str:
    return json.dumps(
        {
            "info": {"version": "1.0"},
            "images": [{"id": i, "file_name": n, "width": 160, "height": 128} for i, n in images],
            "annotations": [{"id": i, "iscrowd": 0, "segmentation": [], "area": 1} | b for i, b in enumerate(boxes)],
            "categories": categories,
        }
    )


def test_fail__a_photo_outside_the_folder_is_never_taken(tmp_path: Path) -> None:
    outside = write(tmp_path / "private.jpg", a_photo(1))
    (tmp_path / "in").mkdir()
    boxes = [{"image_id": index, "category_id": 0, "bbox": [1, 1, 9, 9]} for index in (0, 1)]
    content = coco([(0, str(outside)), (1, "../private.jpg")], boxes, [{"id": 0, "name": "x"}])
    (tmp_path / "in" / "a.json").write_text(content)
    with pytest.raises(InputError, match="2 x an annotation whose photo is not there"):
        write_yolo(read_coco(tmp_path / "in"), tmp_path / "out")


def test_ok__roboflow(tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": "pods", "supercategory": "none"},
        {"id": 1, "name": "sano", "supercategory": "pods"},
        {"id": 2, "name": "monilia", "supercategory": "pods"},
    ]
    for index, split in enumerate(("train", "valid", "test")):
        name = f"IMG_1_jpg.rf.{index}.jpg"
        write(tmp_path / "in" / split / name, a_photo(index))
        boxes = [{"image_id": 0, "category_id": 1 + index % 2, "bbox": [16, 32, 64, 64]}]
        (tmp_path / "in" / split / "_annotations.coco.json").write_text(coco([(0, name)], boxes, categories))
    annotated = read_coco(tmp_path / "in")
    done = write_yolo(annotated, tmp_path / "out")
    assert done.names == ("sano", "monilia"), "the category that only groups is none"
    assert done.photos == {"train": 1, "val": 1, "test": 1}
    assert rows(tmp_path / "out", "IMG_1_jpg.rf.1") == [[1, 0.3, 0.5, 0.4, 0.5]]
    assert not annotated.remarks.found


@pytest.mark.parametrize(
    "name",
    [
        "images/1a2b-a.jpg",
        "images\\1a2b-a.jpg",
        "images\\1/1a2b-a.jpg",
        "..\\..\\label-studio\\media\\upload\\4\\1a2b-a.jpg",
        "/data/local-files/?d=set/1a2b-a.jpg",
        "http://localhost:8080/data/upload/1/1a2b-a.jpg",
    ],
)
def test_ok__label_studio(tmp_path: Path, name: str) -> None:
    write(tmp_path / "in" / "images" / "1a2b-a.jpg", a_photo(1))
    boxes = [{"image_id": 0, "category_id": 0, "bbox": [16, 32, 64, 64], "ignore": 0}]
    (tmp_path / "in" / "result.json").write_text(coco([(0, name)], boxes, [{"id": 0, "name": "sano"}]))
    done = write_yolo(read_coco(tmp_path / "in"), tmp_path / "out")
    assert done.names == ("sano",)
    assert rows(tmp_path / "out", "1a2b-a") == [[0, 0.3, 0.5, 0.4, 0.5]]


def test_ok__cocos_own_folders_with_gaps_in_the_numbers(tmp_path: Path) -> None:
    categories = [{"id": 90, "name": "brush", "supercategory": "x"}, {"id": 3, "name": "car", "supercategory": "y"}]
    for split in ("train", "val"):
        write(tmp_path / f"{split}2017" / "000000000001.jpg", a_photo(len(split)))
        boxes = [{"image_id": 1, "category_id": 90, "bbox": [16, 32, 64, 64]}]
        file = tmp_path / "annotations" / f"instances_{split}2017.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(coco([(1, "000000000001.jpg")], boxes, categories))
    done = write_yolo(read_coco(tmp_path), tmp_path / "out")
    assert done.names == ("car", "brush")
    assert done.boxes == {"train": [0, 1], "val": [0, 1]}
    for split in ("train", "val"):
        copied = tmp_path / "out" / "images" / split / "000000000001.jpg"
        assert copied.read_bytes() == (tmp_path / f"{split}2017" / "000000000001.jpg").read_bytes()


def test_ok__what_coco_has_beside_plain_boxes_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", a_photo(1))
    boxes = [
        {"bbox": [0, 0, 9, 9], "iscrowd": 1, "segmentation": {"counts": [1, 2], "size": [128, 160]}},
        {"bbox": [], "segmentation": [[16, 32, 80, 32, 48, 96], [20, 40, 30, 40, 30, 50]]},
        {"bbox": [50, 54, 60, 20], "attributes": {"rotation": 90.0}},
        {"bbox": None, "segmentation": {"counts": "abc", "size": [128, 160]}},
        {"bbox": [150, 100, 60, 60]},
    ]
    boxes = [{"image_id": 0, "category_id": 0} | box for box in boxes]
    boxes.append({"image_id": 7, "category_id": 0, "bbox": [1, 1, 5, 5]})
    (tmp_path / "x.json").write_text(coco([(0, "a.jpg"), (1, "lost.jpg")], boxes, [{"id": 0, "name": "pod"}]))
    annotated = read_coco(tmp_path / "x.json")
    write_yolo(annotated, tmp_path / "out")
    np.testing.assert_allclose(
        rows(tmp_path / "out", "a"),
        [[0, 0.3, 0.5, 0.4, 0.5], [0, 0.5, 0.5, 0.125, 60 / 128], [0, 155 / 160, 114 / 128, 10 / 160, 28 / 128]],
        atol=1e-5,
    )
    told = remarks_of(annotated)
    for words in (
        "1 x a group marked iscrowd, left out, as a.jpg",
        "1 x an outline, of which the box around it is taken",
        "1 x a rotated box, of which the upright box around it is taken",
        "1 x an object with neither box nor outline",
        "1 x a box that reached outside the picture, clipped",
        "1 x an annotation whose photo is not there, as lost.jpg",
        "1 x boxes of a photo that is not listed",
    ):
        assert words in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON that can be read"),
        ("[" * 100_000, "is no JSON that can be read"),
        ("[]", "holds no COCO annotations"),
        ('{"images": [], "annotations": [{}], "categories": []}', "category_id"),
        ('{"images": [{"id": 0}], "annotations": [], "categories": []}', "an entry lacks 'file_name'"),
        (
            '{"images": [{"id": 0, "file_name": "a.jpg"}], "annotations": [{"image_id": 0, "category_id": 5, '
            '"bbox": [1, 1, 2, 2]}], "categories": [{"id": 1, "name": "x"}]}',
            "category 5 of an annotation is not listed",
        ),
        ('{"images": [], "annotations": [], "categories": []}', "nothing is left to convert"),
    ],
)
def test_fail__wrong_json(tmp_path: Path, content: str, words: str) -> None:
    write(tmp_path / "a.jpg", a_photo(1))
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError) as caught:
        write_yolo(read_coco(tmp_path), tmp_path / "out")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_ok__a_turned_photo_and_a_resized_one(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(a_photo(1)).save(tmp_path / "turned.jpg", exif=exif)
    write(tmp_path / "small.jpg", a_photo(2, 80, 64))
    boxes = [
        {"image_id": 0, "category_id": 0, "bbox": [32, 16, 64, 64]},
        {"image_id": 1, "category_id": 0, "bbox": [16, 32, 64, 64]},
    ]
    (tmp_path / "x.json").write_text(coco([(0, "turned.jpg"), (1, "small.jpg")], boxes, [{"id": 0, "name": "pod"}]))
    annotated = read_coco(tmp_path)
    write_yolo(annotated, tmp_path / "out")
    assert rows(tmp_path / "out", "turned") == [[0, 0.5, 0.3, 0.5, 0.4]]
    assert rows(tmp_path / "out", "small") == [[0, 0.3, 0.5, 0.4, 0.5]]
    assert "turned by its EXIF" in remarks_of(annotated)
    assert "of another size than its annotation says" in remarks_of(annotated)


def test_ok__yolo_in_another_layout_by_the_command_and_with_links(tmp_path: Path) -> None:
    a_detection_set(tmp_path / "in", 6, folder="train")
    a_detection_set(tmp_path / "in", 3, folder="val", start=50)
    (tmp_path / "in" / "labels" / "train" / "00.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n9 0.5 0.5 0.1 0.1\n")
    words = ["convert", "--from", "yolo", "--link", "--names", "a,b,c", str(tmp_path / "in"), str(tmp_path / "out")]
    result = CliRunner().invoke(data, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "1 x a wrong line, left out, as 00.txt, line 2, which has class 9" in result.output
    assert "1 x a file of outlines" in result.output
    assert (tmp_path / "out" / "images" / "val" / "00.jpg").is_symlink()
    converted = open_detection(tmp_path / "out")
    assert converted.names == ("a", "b", "c")
    assert {split: len(pairs) for split, pairs in converted.splits.items()} == {"train": 6, "val": 3}
    np.testing.assert_allclose(rows(tmp_path / "out", "05")[0], [2, 0.5, 0.5, 0.4, 0.6], atol=1e-6)


def test_ok__two_photos_of_one_name_both_arrive(tmp_path: Path) -> None:
    for folder in ("mon", "tue"):
        annotate(
            write(tmp_path / "in" / folder / "1.jpg", a_photo(len(folder) + ord(folder[0]))), an_object("x", 1, 1, 9, 9)
        )
    done = write_yolo(read_voc(tmp_path / "in"), tmp_path / "out", fractions=(1.0, 0.0, 0.0))
    assert sum(done.photos.values()) == 2
    assert {path.stem for path in (tmp_path / "out" / "labels").rglob("*.txt")} <= {"1", "tue-1", "mon-1"}


def test_fail__nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    annotate(write(tmp_path / "in" / "a.jpg", a_photo(1)), an_object("x", 1, 1, 99, 99))
    with pytest.raises(ConfigError, match="is there already, and nothing is overwritten"):
        write_yolo(read_voc(tmp_path / "in"), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_ok__a_set_converted_twice_is_the_same(tmp_path: Path, shared_data: Path) -> None:
    first = write_yolo(read_yolo(shared_data / "cacao"), tmp_path / "one", link=True)
    second = write_yolo(read_yolo(tmp_path / "one"), tmp_path / "two", link=True)
    assert first.boxes == second.boxes == {"train": [83, 81, 87], "val": [21, 22, 21]}
    for label in (tmp_path / "one" / "labels").rglob("*.txt"):
        other = tmp_path / "two" / label.relative_to(tmp_path / "one")
        np.testing.assert_allclose(read_boxes(label).table, read_boxes(other).table, atol=2e-6)
