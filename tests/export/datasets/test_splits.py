"""Groups are dealt to splits in the shares that were asked for, of each class and of the whole."""

from __future__ import annotations

import pytest

from export.datasets.splits import split_groups

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


def sizes(found: dict[str, list[int]]) -> list[int]:
    return [len(indices) for indices in found.values()]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (20, [14, 3, 3]), (100, [70, 15, 15])]
)
def test_ok__each_class_has_one_photo_on_each_side_where_it_can(count: int, expected: list[int]) -> None:
    found = split_groups([[index] for index in range(count)], [0] * count, ["a"], SHARES, seed=0)
    assert sizes(found) == expected
    assert sorted(index for indices in found.values() for index in indices) == list(range(count))


def test_ok__many_small_classes_keep_the_shares_of_the_whole() -> None:
    labels = [index // 2 for index in range(100)]
    names = [str(index) for index in range(50)]
    found = split_groups([[index] for index in range(100)], labels, names, SHARES, seed=0, least=0)
    assert sizes(found) == [70, 15, 15]
    assert {labels[index] for index in found["train"]} == set(range(50))


def test_ok__a_group_is_never_torn_and_a_large_one_trains() -> None:
    groups = [list(range(12)), *([index] for index in range(12, 30))]
    found = split_groups(groups, [0] * 30, ["a"], SHARES, seed=3)
    assert set(range(12)) <= set(found["train"])
    assert sizes(found) == [22, 4, 4]


def test_ok__a_share_of_nothing_stays_empty() -> None:
    found = split_groups([[index] for index in range(9)], [0] * 9, ["a"], SHARES | {"val": 0.0}, seed=0)
    assert found["val"] == []
