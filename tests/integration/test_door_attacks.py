"""Some pictures of people who may come in, shown to the whole door; `attacks.py` counts hundreds of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import InputError
from device.inference.manifest import find_bundle
from tests.integration.attacks import OTHERS, Scene, Told, draw, photos_of, run_door, table
from tests.integration.attacks import Outcome as Became

SHOWN = ("still", "looped", "tilted", "phone")


@pytest.fixture(autouse=True)
def _models() -> None:
    for name in ("yunet", "minifasnet-v2", "minifasnet-v1se"):
        try:
            find_bundle(name)
        except InputError as error:
            pytest.skip(str(error))


@pytest.fixture
def scenes(shared_data: Path) -> list[Scene]:
    return draw(shared_data, len(SHOWN), 7, SHOWN)


def test_fail__pictures_of_people_who_may_come_in(scenes: list[Scene], tmp_path: Path) -> None:
    result = run_door(tmp_path, scenes)
    assert not result.left_out
    assert [one.species for one in result.outcomes] == list(SHOWN)
    assert [one.word for one in result.outcomes] == ["liveness"] * len(SHOWN), table(result.outcomes)
    assert all(one.recognised for one in result.outcomes), "a picture that nobody recognises attacks nobody"
    assert (result.grants, result.pulses) == (0, 0)
    assert not [told for one in result.outcomes for told in one.decisions if told.pulse]


def test_ok__the_same_pictures_open_a_door_without_liveness(scenes: list[Scene], tmp_path: Path) -> None:
    """Else the denials above would prove nothing; and grants and pulses are found and counted where there are some."""
    result = run_door(tmp_path, [scenes[0], scenes[3]], "off")
    assert [one.word for one in result.outcomes] == ["granted", "granted"], table(result.outcomes)
    assert (result.grants, result.pulses) == (2, 2)
    assert all(one.decisions[0].pulse for one in result.outcomes)


def test_ok__who_is_shown_is_enrolled_from_other_photos(shared_data: Path) -> None:
    everybody = draw(shared_data, 400, 7, SHOWN)
    assert len({one.photo for one in everybody}) == len(everybody), "each scene has a photo of its own"
    for one in everybody:
        assert len([photo for photo in photos_of(one) if photo != one.photo][:OTHERS]) >= 3


@pytest.mark.parametrize(
    ("reasons", "word"),
    [
        ([], "undecided"),
        (["unknown"], "unknown"),
        (["unknown", "liveness"], "liveness"),
        (["liveness", "recognised"], "granted"),
    ],
)
def test_ok__a_scene_counts_by_the_gravest_of_its_decisions(reasons: list[str], word: str) -> None:
    told = [
        Told(
            granted=reason == "recognised",
            reason=reason,
            check="motion",
            similarity=0.6,
            threshold=0.5,
            strike=False,
            summed=1,
            pulse=reason == "recognised",
            at_s=1.0,
        )
        for reason in reasons
    ]
    one = Became("still-somebody-1", "still", "somebody", told)
    assert one.word == word
    last = table([one]).splitlines()[-1]
    assert last.split(" | ")[-2] == str(int(word == "granted"))
