"""Which photos make a template."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device.access.enrolment import AGREE_FMR, Accepted, PhotoJudge, agreeing, double_of, others_than, png_of
from device.access.face_detector import FaceDetector
from device.access.gallery import Gallery, new_id
from device.access.galleryrecords import Person, template_of
from device.access.recognizer import Embedding, Recognizer
from device.capture.pictures import decode_picture, read_picture
from device.errors import InputError
from device.inference.interpreter import open_interpreter
from device.inference.manifest import load_bundle
from tests import facemodels

BLACK = np.zeros((112, 112, 3), np.uint8)


def direction(seed: int) -> Embedding:
    vector = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def photo(name: str, person: int, noise: float = 0.6) -> Accepted:
    """A photo of the person of that number: with noise 0.6 two of them have a similarity of about 0.7."""
    seed = 100 * person + int(name.strip("abcdefghijklmnopqrstuvwxyz"))
    vector = direction(person) + np.float32(noise) * direction(50_000 + seed)
    return Accepted(name, vector / np.float32(np.linalg.norm(vector)), BLACK)


def names(photos: list[Accepted]) -> list[str]:
    return [each.name for each in photos]


def test_ok__one_persons_photos_agree() -> None:
    kept, refused = agreeing([photo(f"a{number}", 1) for number in range(5)], 0.4)
    assert len(kept) == 5
    assert refused == []
    assert agreeing([], 0.4) == ([], [])


@pytest.mark.parametrize("place", [0, 1, 3])
def test_fail__a_stranger_among_them_is_refused_wherever_they_stand(place: int) -> None:
    photos = [photo(f"a{number}", 1) for number in range(3)]
    photos.insert(place, photo("x0", 2))
    kept, refused = agreeing(photos, 0.4)
    assert names(kept) == ["a0", "a1", "a2"]
    [odd] = refused
    assert odd.name == "x0"
    assert "another person than the others" in odd.reason


def test_fail__no_majority_no_template() -> None:
    two = [photo(f"a{number}", 1) for number in range(3)] + [photo(f"b{number}", 2) for number in range(3)]
    with pytest.raises(InputError, match="only 3 of 6 agree"):
        agreeing(two, 0.4)
    with pytest.raises(InputError, match="only 1 of 3 agree"):
        agreeing([photo("a0", 1), photo("b0", 2), photo("c0", 3)], 0.4)


def test_fail__who_is_known_is_believed_before_a_majority() -> None:
    known = template_of([photo(f"a{number}", 1).embedding for number in range(3)]).unit
    kept, refused = agreeing([photo("a9", 1), photo("b0", 2), photo("b1", 2), photo("b2", 2)], 0.4, known)
    assert names(kept) == ["a9"]
    assert len(refused) == 3


def test_fail__somebody_elses_photo(tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "g.db", bytes(32), "a" * 64, create=True)
    assert double_of(direction(1), gallery, 0.4) is None
    people = {}
    for number, name in ((1, "Ana"), (2, "Eva")):
        shots = [photo(f"a{shot}", number).embedding for shot in range(3)]
        people[name] = gallery.add(Person(new_id(), name, 1.0), shots)
    kept, refused = others_than([photo("a8", 1), photo("b8", 2), photo("c8", 3)], gallery, 0.4)
    assert names(kept) == ["c8"]
    assert [each.reason.split(",")[0] for each in refused] == ["looks like Ana", "looks like Eva"]
    kept, refused = others_than([photo("a8", 1), photo("b8", 2)], gallery, 0.4, people["Ana"].id)
    assert names(kept) == ["a8"]
    assert names(others_than([photo("a8", 1)], gallery, 0.99)[0]) == ["a8"], "not alike enough to be anybody's"


# With the real models


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    bundle = load_bundle(facemodels.embedder())
    return Recognizer(bundle, open_interpreter(bundle))


def test_ok__the_template_is_the_mean_of_photos_and_their_mirror_images(
    yunet: FaceDetector, recognizer: Recognizer
) -> None:
    judge = PhotoJudge(yunet, recognizer)
    shots = [judge.look(f"{number}", image) for number, image in enumerate(facemodels.frames(facemodels.clip(), 25))]
    good = [shot for shot in shots if isinstance(shot, Accepted)]
    assert len(good) >= 3
    by_hand = []
    for shot in good:
        plain, mirrored = recognizer.embed(shot.aligned), recognizer.embed(np.ascontiguousarray(shot.aligned[:, ::-1]))
        by_hand.append((plain + mirrored) / np.linalg.norm(plain + mirrored))
    mean = np.sum(by_hand, axis=0)
    unit = template_of([shot.embedding for shot in good]).unit
    assert unit @ (mean / np.linalg.norm(mean)) == pytest.approx(1, abs=1e-6)
    assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-6)
    kept = decode_picture(png_of(good[0].aligned), "kept")
    assert (kept == good[0].aligned).all()


def test_ok__photos_of_real_people_agree_and_strangers_dont(
    yunet: FaceDetector, recognizer: Recognizer, shared_data: Path
) -> None:
    """Twenty people, four photos each; then each with a fifth photo: of the next person."""
    folders = sorted(path for path in (shared_data / "lfw" / "train").iterdir() if path.is_dir())[:20]
    threshold = recognizer.threshold(AGREE_FMR)
    good = []
    for folder in folders:
        judge = PhotoJudge(yunet, recognizer)
        verdicts = [judge.look(path.name, read_picture(path)) for path in sorted(folder.glob("*.jpg"))[:4]]
        good.append([verdict for verdict in verdicts if isinstance(verdict, Accepted)])
    assert sum(map(len, good)) >= 76
    lost = sum(len(agreeing(photos, threshold)[1]) for photos in good)
    assert lost <= 1
    for photos, others in zip(good, [*good[1:], good[0]], strict=True):
        _, refused = agreeing([*photos, others[0]], threshold)
        assert others[0].name in {each.name for each in refused}
