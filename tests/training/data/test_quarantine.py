"""Nothing is moved without a list; what was moved comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from device.errors import ConfigError, InputError
from tests.export.datasets.photos import a_detection_set, a_folder, a_photo, write
from training.data.commands import data


def check(*words: object) -> Result:
    result = CliRunner().invoke(data, ["check", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos with a broken one, a double, and one under two labels."""
    root = a_folder(tmp_path / "set", {"a": 30, "b": 30})
    (root / "a" / "05.jpg").write_text("Dear diary")
    write(root / "a" / "99.jpg", a_photo(7), quality=60)
    write(root / "b" / "also.jpg", a_photo(9), quality=60)
    return root


def test_ok__the_list_first_then_exactly_what_it_says_and_back(root: Path, tmp_path: Path) -> None:
    before, file = tree(root), tmp_path / "set-quarantine.txt"
    result = check(root, "--fix", "quarantine")
    assert result.exit_code == 0
    assert "2 files to put aside are listed" in result.output
    assert tree(root) == before
    listed = [line.split("\t")[0] for line in file.read_text().splitlines() if not line.startswith("#")]
    assert listed == ["a/05.jpg", "a/99.jpg"]
    assert "# a/09.jpg\tthe same photo is also b/also.jpg" in file.read_text()
    file.write_text(file.read_text().replace("a/99.jpg", "# a/99.jpg").replace("# b/also", "b/also"))
    assert "2 files moved" in check(root, "--fix", "quarantine", "--list", file).output
    assert before.keys() - tree(root).keys() == {"a/05.jpg", "b/also.jpg"}
    assert tree(tmp_path / "set-quarantine").keys() == {"a/05.jpg", "b/also.jpg"}
    assert "0 files moved" in check(root, "--fix", "quarantine", "--list", file).output, "a second time does nothing"
    assert "2 files are back" in check(root, "--fix", "restore").output
    assert tree(root) == before
    assert not (tmp_path / "set-quarantine").exists()


def test_ok__a_detectors_labels_go_with_their_picture(tmp_path: Path) -> None:
    root = a_detection_set(tmp_path / "set", 12)
    (root / "images" / "03.jpg").write_bytes(b"\xff\xd8\xff")
    check(root, "--fix", "quarantine")
    check(root, "--fix", "quarantine", "--list", tmp_path / "set-quarantine.txt")
    assert tree(tmp_path / "set-quarantine").keys() == {"images/03.jpg", "labels/03.txt"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("a/00.jpg\n../outside.jpg\n", "leads out of"),
        ("a/00.jpg\n/etc/hostname\n", "leads out of"),
        ("a/00.jpg\na/nowhere.jpg\n", "there is no a/nowhere.jpg"),
    ],
)
def test_fail__a_list_with_one_wrong_line_moves_nothing(root: Path, tmp_path: Path, lines: str, words: str) -> None:
    (tmp_path / "list.txt").write_text(lines)
    before = tree(root)
    with pytest.raises(InputError, match=words):
        check(root, "--fix", "quarantine", "--list", tmp_path / "list.txt")
    assert tree(root) == before


def test_fail__an_edited_list_is_not_overwritten(root: Path, tmp_path: Path) -> None:
    (tmp_path / "set-quarantine.txt").write_text("mine")
    with pytest.raises(InputError, match="may have been edited"):
        check(root, "--fix", "quarantine")
    assert (tmp_path / "set-quarantine.txt").read_text() == "mine"


def test_fail__nothing_comes_back_over_something_else(root: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a/00.jpg\na/01.jpg\n")
    check(root, "--fix", "quarantine", "--list", tmp_path / "list.txt")
    write(root / "a" / "01.jpg", a_photo(77))
    with pytest.raises(InputError, match=r"has another a/01\.jpg by now"):
        check(root, "--fix", "restore")
    assert (tmp_path / "set-quarantine" / "a" / "00.jpg").exists()


def test_fail__a_list_without_saying_what_to_do(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="goes with --fix quarantine"):
        check(root, "--list", tmp_path / "list.txt")


def test_fail__errors_make_exit_code_one(tmp_path: Path) -> None:
    result = check(a_folder(tmp_path, {"a": 5}))
    assert result.exit_code == 1
    assert "ERROR" in result.output
