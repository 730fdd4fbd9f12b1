"""The chain: all must say yes, any one's no is final, and whatever goes wrong is a no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.access.liveness import LivenessChain, open_liveness
from device.access.liveness.chain import LONGEST_GAP_S, MOST_TRACKS
from device.access.liveness.motion import Motion
from device.access.liveness.verdict import Check, Verdict, View
from device.datatypes import Liveness


class Scripted:
    """A check that says what it is told to, and counts."""

    def __init__(self, *said: Verdict) -> None:
        self.said = list(said)
        self.looks = 0
        self.forgotten = 0

    def look(self, _view: View) -> Verdict:
        self.looks += 1
        return self.said[min(self.looks, len(self.said)) - 1]

    def forget(self) -> None:
        self.forgotten += 1


class Broken(Scripted):
    def look(self, _view: View) -> Verdict:
        raise RuntimeError("the interpreter is gone")


YES, NO, OPEN = Verdict("yes", 0.9), Verdict("no", 0.2), Verdict("open", 0.4)


def chain(**checks: Check) -> LivenessChain:
    return LivenessChain(lambda: checks)


def look(of: LivenessChain, view: View, track: int = 1) -> Liveness:
    return of.look(view.frame, track, view.face, ())


def test_ok__live_only_when_all_say_yes(talking: list[View]) -> None:
    one = chain(motion=Scripted(OPEN, YES), border=Scripted(Verdict("yes", 0.7)))
    assert look(one, talking[0]) == Liveness("pending", 0.4, "motion")
    assert look(one, talking[1]) == Liveness("live", 0.7, "border"), "the score of the least convinced"


def test_fail__a_no_is_final_and_names_its_check(talking: list[View]) -> None:
    motion = Scripted(NO, YES)
    one = chain(frozen=Scripted(YES), motion=motion, border=Scripted(YES))
    for view in talking[:3]:
        assert look(one, view) == Liveness("spoof", 0.2, "motion")
    assert motion.looks == 1, "a refused track costs nothing more"
    assert look(one, talking[3], track=2).state == "live", "another track is another person (the check now says yes)"
    one.forget(1)
    assert look(one, talking[4], track=1).state == "live"


def test_fail__an_exception_is_a_no(talking: list[View]) -> None:
    assert look(chain(frozen=Scripted(YES), motion=Broken()), talking[0]) == Liveness("spoof", 0.0, "motion")


def test_fail__landmarks_in_one_place(talking: list[View]) -> None:
    face = replace(talking[0].face, landmarks=np.full((5, 2), 50, np.float32))
    assert chain(motion=Motion()).look(talking[0].frame, 1, face, ()) == Liveness("spoof", 0.0, "motion")


def test_fail__a_chain_without_checks(talking: list[View]) -> None:
    assert look(chain(), talking[0]).state == "spoof"


def test_ok__the_same_frame_again_is_no_evidence(talking: list[View]) -> None:
    motion = Scripted(OPEN, YES)
    one = chain(motion=motion)
    for _ in range(5):
        assert look(one, talking[0]).state == "pending"
    assert motion.looks == 1


def test_ok__two_faces_in_one_place_are_no_evidence(talking: list[View]) -> None:
    motion = Scripted(YES)
    one = chain(motion=motion)
    x1, y1, x2, y2 = talking[0].face.xyxy
    near, away = (replace(talking[0].face, xyxy=(x1 + d, y1, x2 + d, y2)) for d in (10, 60))
    assert one.look(talking[0].frame, 1, talking[0].face, [near]) == Liveness("pending", 0.0, "crowded")
    assert motion.looks == 0
    assert one.look(talking[0].frame, 1, talking[0].face, [away]).state == "live"


def test_ok__another_face_in_its_place_begins_anew(talking: list[View]) -> None:
    motion = Scripted(YES)
    one = chain(motion=motion)
    look(one, talking[0])
    look(one, talking[1])
    assert motion.forgotten == 0
    rng = np.random.default_rng(0)
    other = replace(talking[2].frame, image=rng.integers(0, 255, talking[2].frame.image.shape, np.uint8))
    one.look(other, 1, talking[2].face, ())
    assert motion.forgotten == 1


@pytest.mark.parametrize("gap_s", [LONGEST_GAP_S + 0.1, -0.5], ids=["not seen for long", "time ran backwards"])
def test_ok__a_gap_begins_anew(talking: list[View], gap_s: float) -> None:
    motion = Scripted(YES)
    one = chain(motion=motion)
    look(one, talking[10])
    later = replace(talking[11].frame, monotonic=talking[10].now + gap_s)
    one.look(later, 1, talking[11].face, ())
    assert motion.forgotten == 1


def test_ok__tracks_are_bounded_and_the_oldest_goes(talking: list[View]) -> None:
    made = []

    def make() -> Mapping[str, Check]:
        made.append(Scripted(OPEN))
        return {"motion": made[-1]}

    one = LivenessChain(make)
    for track in range(MOST_TRACKS + 5):
        look(one, talking[0], track)
    look(one, talking[1], MOST_TRACKS + 4)
    assert len(made) == MOST_TRACKS + 5
    look(one, talking[1], 0)
    assert len(made) == MOST_TRACKS + 6, "the first was forgotten"


def test_ok__off_asks_nothing(talking: list[View]) -> None:
    one = open_liveness("off")
    assert one.off
    assert look(one, talking[0]) == Liveness("off", 0.0, "off")
    assert one.faults == ()
    assert one.prompt(1) == ""


@pytest.mark.parametrize("mode", ["passive", "challenge"])
def test_fail__without_models_every_face_is_refused(
    talking: list[View], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr("device.inference.manifest.INSTALL_ROOT", tmp_path)
    monkeypatch.setenv("SERENO_MODELS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    one = open_liveness(mode)  # type: ignore[arg-type]
    assert len(one.faults) == (2 if mode == "passive" else 3)
    assert "every face is refused" in one.faults[0]
    assert look(one, talking[0]) == Liveness("spoof", 0.0, "minifasnet")
    assert not one.off


def test_fail__a_damaged_model_is_a_missing_one(
    talking: list[View], passive: LivenessChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from device.inference.manifest import find_bundle

    assert not passive.faults
    for name in ("minifasnet-v2", "minifasnet-v1se"):
        shutil.copytree(find_bundle(name), tmp_path / name)
    content = bytearray((tmp_path / "minifasnet-v2" / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "minifasnet-v2" / "model.tflite").write_bytes(content)
    monkeypatch.setenv("SERENO_MODELS", str(tmp_path))
    one = open_liveness("passive")
    assert "damaged or was changed" in one.faults[0]
    assert look(one, talking[0]).state == "spoof"


def test_ok__a_talking_face_is_live_within_a_second(talking: list[View], passive: LivenessChain) -> None:
    said = [look(passive, view) for view in talking]
    assert [one.state for one in said[:5]] == ["pending"] * 5
    assert said[10].state == "live"
    assert all(one.score >= 0.5 for one in said if one.state == "live")
    assert "spoof" not in {one.state for one in said}
