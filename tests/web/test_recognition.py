"""Who is in this picture: the textbook's request and ours, and everything that can be sent instead of a picture."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from flask.testing import FlaskClient

from device.datatypes import Image
from device.web import recognition
from device.web.uploads import MAX_PICTURE_BODY, orientation, upright
from tests.web.conftest import PASSWORD, Site, log_in
from tests.web.doorhouse import DoorHouse, data_url, side_by_side

ORIGIN = {"Origin": "http://localhost"}
Known = dict[str, list[Image]]


def ask(client: FlaskClient, image: object, path: str = "/reconocer", **headers: str) -> Any:
    """What the page's script sends."""
    return client.post(path, json={"image": image}, headers=ORIGIN | headers)


def blank() -> Image:
    return np.full((240, 320, 3), 120, np.uint8)


def test_ok__everybody_is_named(vera: FlaskClient, known: Known) -> None:
    for name, photos in known.items():
        answer = ask(vera, data_url(photos[3]))
        assert (answer.status_code, answer.json) == (200, {"resultados": [name]})


def test_ok__stranger_is_desconocido(vera: FlaskClient, stranger: list[Image]) -> None:
    for photo in stranger:
        assert ask(vera, data_url(photo)).json == {"resultados": ["Desconocido"]}


def test_ok__several_faces_largest_first(vera: FlaskClient, known: Known, stranger: list[Image]) -> None:
    (first, a), (second, b), _ = known.items()
    picture = side_by_side(b[3], stranger[0], a[3], heights=(180, 250, 330))
    assert ask(vera, data_url(picture)).json == {"resultados": [first, "Desconocido", second]}


def test_ok__no_face_is_an_empty_list(vera: FlaskClient) -> None:
    assert ask(vera, data_url(blank())).json == {"resultados": []}


def test_ok__program_gets_boxes(door: Site, bearer: dict[str, str], known: Known, stranger: list[Image]) -> None:
    client = door.app.test_client()
    name, photos = next(iter(known.items()))
    picture = side_by_side(photos[3], stranger[0], heights=(330, 200))
    answer = client.post("/api/recognize", json={"image": data_url(picture)}, headers=bearer)
    assert answer.status_code == 200
    ours, theirs = answer.json["faces"]
    assert (ours["name"], ours["known"]) == (name, True)
    assert (theirs["name"], theirs["known"]) == ("unknown", False)
    assert ours["similarity"] > 0.4 > theirs["similarity"]
    assert ours["xyxy"][2] < picture.shape[1] / 2 + 60 < theirs["xyxy"][2]


def test_ok__similarity_is_no_ladder(
    door: Site, house: DoorHouse, vera: FlaskClient, admin: FlaskClient, bearer: dict[str, str], known: Known
) -> None:
    """Small changes of a picture move what a viewer or a token is told in steps of 0.05, or not at all."""
    photo, exact, told = next(iter(known.values()))[3], [], {"vera": [], "admin": [], "token": []}
    for strength in range(8):
        picture = np.clip(photo.astype(int) + 3 * strength, 0, 255).astype(np.uint8)
        [face] = house.sources().recognises.faces(simplejpeg.decode_jpeg(jpeg_bytes(picture), colorspace="RGB"))
        assert face.similarity is not None
        exact.append(face.similarity)
        door.clock.now += 10
        for who, client, headers in (
            ("vera", vera, {}),
            ("admin", admin, {}),
            ("token", door.app.test_client(), bearer),
        ):
            [shown] = ask(client, data_url(picture), "/api/recognize", **headers).json["faces"]
            told[who].append(shown["similarity"])
    assert len(set(exact)) == len(exact)
    assert told["vera"] == told["token"] == pytest.approx([round(value * 20) / 20 for value in exact])
    assert told["admin"] == pytest.approx([round(value, 2) for value in exact])
    assert len(set(told["vera"])) < len(exact) / 2
    assert recognition.stepped(0.07, recognition.STEP) == 0.05


def jpeg_bytes(picture: Image) -> bytes:
    return base64.b64decode(data_url(picture).partition(",")[2])


def test_ok__phone_photo_lies_on_its_side(vera: FlaskClient, known: Known) -> None:
    """As phones write them: the pixels on their side, and a tag that says so."""
    name, photos = next(iter(known.items()))
    for how, turn in ((6, cv2.ROTATE_90_COUNTERCLOCKWISE), (3, cv2.ROTATE_180), (8, cv2.ROTATE_90_CLOCKWISE)):
        lying = bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(cv2.rotate(photos[3], turn)), colorspace="RGB"))
        jpeg = with_orientation(lying, how)
        assert orientation(jpeg) == how
        assert ask(vera, data_url(jpeg)).json == {"resultados": [name]}


@pytest.mark.parametrize("how", range(1, 9))
def test_ok__upright_as_opencv_has_it(how: int) -> None:
    picture = np.random.default_rng(how).integers(0, 255, (24, 40, 3), np.uint8)
    jpeg = bytes(simplejpeg.encode_jpeg(picture, quality=100, colorspace="RGB", colorsubsampling="444"))
    tagged = with_orientation(jpeg, how)
    wanted = cv2.imdecode(np.frombuffer(tagged, np.uint8), cv2.IMREAD_COLOR_RGB)
    ours = upright(simplejpeg.decode_jpeg(tagged, colorspace="RGB"), orientation(tagged))
    assert ours.shape == wanted.shape
    assert np.abs(ours.astype(int) - wanted).max() <= 4


def with_orientation(jpeg: bytes, how: int) -> bytes:
    """The JPEG with an EXIF segment that says how it lies."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, how, 0, 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


# What else can be sent


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose header promises so many pixels, and that has none."""
    jpeg = bytearray(simplejpeg.encode_jpeg(blank(), colorspace="RGB"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(jpeg)


def half() -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    jpeg = bytes(simplejpeg.encode_jpeg(noise, colorspace="RGB"))
    return jpeg[: len(jpeg) // 2]


def many_scans() -> bytes:
    jpeg = bytes(simplejpeg.encode_jpeg(blank(), colorspace="RGB"))
    return jpeg[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 100 + jpeg[-2:]


def a_png() -> bytes:
    return cv2.imencode(".png", blank())[1].tobytes()


BAD = {
    "no picture": ({}, 400, "there is no picture"),
    "nothing": ({"image": None}, 400, "there is no picture"),
    "empty": ({"image": ""}, 400, "there is no picture"),
    "a number": ({"image": 7}, 400, "no data URL"),
    "a list": ([1, 2], 400, "must be a JSON object"),
    "a link": ({"image": "http://10.0.0.1/secret.jpg"}, 400, "no data URL"),
    "no base64": ({"image": "data:image/jpeg,abc"}, 400, "not in base64"),
    "broken base64": ({"image": "data:image/jpeg;base64,@@@@"}, 400, "base64 is broken"),
    "no content": ({"image": "data:image/jpeg;base64,"}, 415, "no JPEG"),
    "a text": ({"image": data_url(b"hello", "text/plain")}, 415, "text/plain"),
    "svg": ({"image": data_url(b"<svg/>", "image/svg+xml")}, 415, "image/svg+xml"),
    "a PNG": ({"image": data_url(a_png(), "image/png")}, 415, "image/png"),
    "a PNG that says JPEG": ({"image": data_url(a_png())}, 415, "no JPEG"),
    "half a JPEG": ({"image": data_url(half())}, 400, "cut short"),
    "only the start": ({"image": data_url(b"\xff\xd8\xff")}, 400, "damaged"),
    "noise": ({"image": data_url(b"\xff\xd8" + bytes(range(256)) * 9)}, 400, "damaged"),
    "100 megapixels": ({"image": data_url(jpeg_of_size(10_000, 10_000))}, 413, "10000x10000"),
    "4 gigapixels": ({"image": data_url(jpeg_of_size(65_500, 65_500))}, 413, "megapixels"),
    "pixels that are not there": ({"image": data_url(jpeg_of_size(3900, 3900))}, 400, "damaged"),
    "a thousand scans": ({"image": data_url(many_scans())}, 400, "too long"),
}


@pytest.mark.parametrize("path", ["/reconocer", "/api/recognize"])
def test_fail__bad_pictures(door: Site, vera: FlaskClient, path: str) -> None:
    for what, (body, code, words) in BAD.items():
        door.clock.now += 10
        answer = vera.post(path, json=body, headers=ORIGIN)
        assert answer.status_code == code, f"{what}: {answer.status_code} {answer.text}"
        assert words in answer.json["error"], f"{what}: {answer.json}"
        assert "\n" not in answer.json["error"]


@pytest.mark.parametrize("content", ['{"image": ', "", "[" * 100_000, "\xff\xfe"])
def test_fail__wrong_json(vera: FlaskClient, content: str) -> None:
    for path in ("/reconocer", "/api/recognize"):
        answer = vera.post(path, data=content, content_type="application/json", headers=ORIGIN)
        assert answer.status_code == 400
        assert answer.json["error"].startswith(("the body is no JSON: send {", "the body is JSON that is nested"))


@pytest.mark.parametrize(
    "kind", ["text/plain", "image/jpeg", "multipart/form-data", "application/x-www-form-urlencoded"]
)
def test_fail__no_json(door: Site, vera: FlaskClient, bearer: dict[str, str], kind: str) -> None:
    assert vera.post("/reconocer", data=b"x", content_type=kind, headers=ORIGIN).status_code == 415
    program = door.app.test_client().post("/reconocer", data=b"x", content_type=kind, headers=bearer)
    assert (program.status_code, program.json) == (415, {"error": "send application/json"})


def test_fail__a_body_that_is_too_large(vera: FlaskClient) -> None:
    answer = vera.post("/reconocer", json={"image": "x" * MAX_PICTURE_BODY}, headers=ORIGIN)
    assert answer.status_code == 413
    assert "are the most" in answer.json["error"]


def test_fail__who_may_not(door: Site, vera: FlaskClient) -> None:
    picture = data_url(blank())
    stranger = door.app.test_client()
    assert ask(stranger, picture).status_code == 401
    assert stranger.get("/reconocer").status_code == 302
    assert vera.post("/reconocer", json={"image": picture}).status_code == 403
    assert (
        vera.post("/reconocer", json={"image": picture}, headers={"Origin": "http://evil.example"}).status_code == 403
    )


def test_fail__too_often(door: Site, vera: FlaskClient, admin: FlaskClient) -> None:
    for _ in range(recognition.BURST):
        assert ask(vera, "").status_code == 400
    answer = ask(vera, "")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    again = door.app.test_client()
    log_in(again, "vera", PASSWORD)
    assert ask(again, "").status_code == 429, "another session of the same user"
    assert ask(admin, "").status_code == 400
    door.clock.now += 1
    assert ask(vera, "").status_code == 400


def test_fail__gallery_is_gone(house: DoorHouse, vera: FlaskClient, known: Known) -> None:
    name, photos = next(iter(known.items()))
    moved = house.path.rename(house.path.with_name("elsewhere.db"))
    answer = ask(vera, data_url(photos[3]))
    assert answer.status_code == 503
    assert "gallery" in answer.json["error"]
    moved.rename(house.path)
    assert ask(vera, data_url(photos[3])).json == {"resultados": [name]}


def test_fail__camera_box_recognises_nobody(ana: FlaskClient) -> None:
    answer = ask(ana, data_url(blank()))
    assert answer.status_code == 404
    assert "no door unit" in answer.json["error"]
    for path in ("/reconocer", "/access", "/people", "/api/access", "/api/door"):
        assert ana.get(path).status_code == 404


def test_ok__only_pages_with_a_camera_may_use_it(vera: FlaskClient, admin: FlaskClient) -> None:
    assert "camera=(self)" in vera.get("/reconocer").headers["Permissions-Policy"]
    assert "camera=(self)" in admin.get("/people").headers["Permissions-Policy"]
    for path in ("/", "/access"):
        assert "camera=()" in admin.get(path).headers["Permissions-Policy"]


def test_ok__nothing_of_the_picture_is_stored(house: DoorHouse, vera: FlaskClient, known: Known) -> None:
    """Neither the picture nor a record of it: the state folder is what it was."""
    before = {path: zlib.crc32(path.read_bytes()) for path in house.folder.rglob("*") if path.is_file()}
    url = data_url(next(iter(known.values()))[3])
    assert ask(vera, url).status_code == 200
    after = {path: zlib.crc32(path.read_bytes()) for path in house.folder.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} <= {house.path.with_name("gallery.db-shm")}
    assert base64.b64decode(url.partition(",")[2])[200:260] not in b"".join(path.read_bytes() for path in after)
