"""Attacks on the access log: each kind at a thousand random places is found, and the right record named."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device.access.audit import Audit, read
from device.access.auditkey import public_bytes
from device.access.auditrecord import GENESIS, AuditRecord, Head, digest
from device.access.auditverify import Finding, verify
from device.errors import InputError
from device.system.clock import FakeClock

LENGTH = 16
TIMES = 1000
Log = list[AuditRecord]


def written(key: Ed25519PrivateKey, count: int, start: Iterable[AuditRecord] = (), tag: str = "") -> Log:
    """A genuine log of `count` records, gone on with from `start`."""
    log = list(start)
    for seq in range(len(log) + 1, count + 1):
        body = f'{{"decision":"denied","n":{seq},"tag":"{tag}"}}' if seq > 1 else '{"log":"00ff"}'
        prev = log[-1].hash if log else GENESIS
        fields = (seq, 1_700_000_000_000_000 + seq, seq, "boot", "decision" if seq > 1 else "begin", body, prev)
        hashed = digest(*fields)
        log.append(AuditRecord(*fields, hashed, key.sign(hashed)))
    return log


KEY, OTHER_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
GOOD = written(KEY, LENGTH)


def head(log: Log, key: Ed25519PrivateKey = KEY) -> Head:
    """The anchor of a log's last record."""
    return Head("00ff", log[-1].seq, log[-1].hash, log[-1].signature, public_bytes(key.public_key()))


def check(log: Iterable[AuditRecord], *anchors: Head, key: Ed25519PublicKey | None = None) -> Finding | None:
    rows = sorted(log, key=lambda record: record.seq)
    return verify(lambda: rows, key or KEY.public_key(), anchors).finding


def numbered(log: Iterable[AuditRecord]) -> Log:
    """The numbers in order again, as somebody does who covers up."""
    return [replace(record, seq=seq) for seq, record in enumerate(log, 1)]


def rehashed(log: Iterable[AuditRecord], key: Ed25519PrivateKey | None = None) -> Log:
    """Links and hashes made to fit, and signed by another key where one is given."""
    done: Log = []
    for record in numbered(log):
        fitting = replace(record, prev=done[-1].hash if done else GENESIS)
        fitting = replace(fitting, hash=fitting.digest())
        done.append(replace(fitting, signature=key.sign(fitting.hash)) if key else fitting)
    return done


def flipped(data: bytes, dice: random.Random) -> bytes:
    """One bit of it changed."""
    place = dice.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :]


EDITS: dict[str, Callable[[AuditRecord, random.Random], AuditRecord]] = {
    "wall": lambda record, dice: replace(
        record, wall_us=record.wall_us + dice.choice((-1, 1)) * dice.randint(1, 10**10)
    ),
    "monotonic": lambda record, dice: replace(record, monotonic_us=record.monotonic_us + dice.randint(1, 10**9)),
    "boot": lambda record, dice: replace(record, boot=record.boot + "x" * dice.randint(1, 3)),
    "kind": lambda record, _: replace(record, kind="start"),
    "body": lambda record, _: replace(record, body=record.body.replace("{", '{"x":1,')),
    "prev": lambda record, dice: replace(record, prev=flipped(record.prev, dice)),
    "hash": lambda record, dice: replace(record, hash=flipped(record.hash, dice)),
    "signature": lambda record, dice: replace(record, signature=flipped(record.signature, dice)),
    "body and kind cut elsewhere": lambda record, _: replace(
        record, kind=record.kind + record.body[0], body=record.body[1:]
    ),
    "body and its hash": lambda record, _: (lambda changed: replace(changed, hash=changed.digest()))(
        replace(record, body=record.body.replace("{", '{"x":1,'))
    ),
}


def test_ok__a_good_log() -> None:
    assert check(GOOD) is None
    assert check(GOOD, head(GOOD), head(GOOD[:5])) is None


def test_fail__edited() -> None:
    """Each field; found at that record, also where its hash was made to fit."""
    dice = random.Random(1)
    for (name, edit), _ in zip(itertools.cycle(EDITS.items()), range(TIMES), strict=False):
        place = dice.randrange(LENGTH)
        log = list(GOOD)
        log[place] = edit(log[place], dice)
        found = check(log)
        assert found is not None, name
        # The last record with a hash that fits but a wrong signature may as well have been added.
        hows = (
            ("edited", "inserted")
            if name in ("signature", "body and its hash") and place == LENGTH - 1
            else ("edited",)
        )
        assert (found.seq, found.how in hows) == (place + 1, True), (name, found)


def test_fail__number_edited() -> None:
    dice = random.Random(2)
    for _ in range(TIMES):
        place = dice.randrange(LENGTH)
        log = list(GOOD)
        log[place] = replace(log[place], seq=dice.choice((-3, 0, LENGTH + 1, LENGTH + 50)))
        if log[place].seq == GOOD[place].seq:
            continue
        found = check(log)
        assert found is not None
        assert found.seq == place + 1, (place, log[place].seq, found)
        assert found.how in ("edited", "reordered"), found


@pytest.mark.parametrize("cover", [list, numbered])
def test_fail__removed(cover: Callable[[Log], Log]) -> None:
    """One record or several, a gap left in the numbers or closed; not the last ones, see truncation."""
    dice = random.Random(3)
    for _ in range(TIMES // 2):
        count = dice.randint(1, 3)
        place = dice.randrange(LENGTH - count)
        found = check(cover(GOOD[:place] + GOOD[place + count :]))
        assert found is not None
        assert (found.seq, found.how) == (place + 1, "removed"), found
        assert f"record {place + count + 1}" in found.detail


def test_fail__removed_and_all_hashes_made_to_fit() -> None:
    dice = random.Random(4)
    for _ in range(TIMES // 5):
        place = dice.randrange(LENGTH - 1)
        found = check(rehashed(GOOD[:place] + GOOD[place + 1 :]))
        assert found is not None
        assert found.seq == place + 1


def inserted(dice: random.Random, place: int) -> AuditRecord:
    """A record with a hash that looks right, as somebody without the key can make it."""
    signature = dice.choice((dice.randbytes(64), GOOD[dice.randrange(LENGTH)].signature))
    body = '{"decision":"granted","person":"0123456789abcdef"}'
    made = AuditRecord(place + 1, 1_700_000_000_000_000, 5, "boot", "decision", body, GENESIS, GENESIS, signature)
    made = replace(made, prev=GOOD[place - 1].hash if place else GENESIS)
    return replace(made, hash=made.digest())


@pytest.mark.parametrize("cover", [numbered, rehashed])
def test_fail__inserted(cover: Callable[[Log], Log]) -> None:
    dice = random.Random(5)
    for _ in range(TIMES // 2):
        place = dice.randint(0, LENGTH)
        found = check(cover([*GOOD[:place], inserted(dice, place), *GOOD[place:]]))
        assert found is not None
        assert (found.seq, found.how) == (place + 1, "inserted"), found


def test_fail__inserted_a_copy_of_a_genuine_record() -> None:
    """A grant of yesterday once more."""
    dice = random.Random(6)
    for _ in range(TIMES):
        source, place = dice.randrange(LENGTH), dice.randint(0, LENGTH)
        found = check(numbered([*GOOD[:place], GOOD[source], *GOOD[place:]]))
        assert found is not None
        # Beside itself, which of the two is the copy nobody can say.
        first = place + 1 if place != source else source + 2
        assert found.seq == first, (source, place, found)
        assert found.how == "inserted", found


def test_fail__reordered() -> None:
    """Two change places, or one is moved and the others close up."""
    dice = random.Random(7)
    for turn in range(TIMES):
        one, other = sorted(dice.sample(range(LENGTH), 2))
        log = list(GOOD)
        if turn % 2:
            log[one], log[other] = log[other], log[one]
        else:
            log.insert(other, log.pop(one))
        found = check(numbered(log))
        assert found is not None
        assert (found.seq, found.how) == (one + 1, "reordered"), (one, other, found)


@functools.cache
def resigned(place: int) -> Log:
    """The log from `place` on, changed there, with links, hashes and signatures that fit, of another key."""
    changed = replace(GOOD[place], body='{"decision":"granted"}')
    return rehashed([*GOOD[:place], changed, *GOOD[place + 1 :]], OTHER_KEY)[place:]


@functools.cache
def gone_on(kept: int) -> Log:
    """An older copy with other records after it; it is a good log by itself."""
    log = written(KEY, LENGTH + 1, GOOD[:kept], tag="b")
    assert check(log) is None, "without an anchor nobody can tell"
    return log


@functools.cache
def cut_off(kept: int) -> Log:
    """The beginning of the log; it is a good log by itself."""
    assert check(GOOD[:kept]) is None, "without an anchor nobody can tell"
    return GOOD[:kept]


def test_fail__signed_by_another_key() -> None:
    """From some record on, everything made to fit but for the key."""
    dice = random.Random(8)
    for _ in range(TIMES):
        place = dice.randrange(LENGTH)
        found = check([*GOOD[:place], *resigned(place)])
        assert found is not None
        assert found.seq == place + 1


def test_fail__another_log_with_a_key_of_its_own() -> None:
    """Root has made everything new, the key too: only what was kept elsewhere tells."""
    forged = written(OTHER_KEY, LENGTH)
    assert check(forged, key=OTHER_KEY.public_key()) is None
    found = check(forged, head(GOOD), key=OTHER_KEY.public_key())
    assert found is not None
    assert found.how == "replaced"


def test_fail__truncated() -> None:
    dice = random.Random(9)
    for _ in range(TIMES):
        kept = dice.randrange(1, LENGTH)
        anchor = GOOD[: dice.randint(kept + 1, LENGTH)]
        found = check(cut_off(kept), head(anchor))
        assert found is not None
        assert (found.seq, found.how) == (kept + 1, "truncated")


def test_fail__rolled_back() -> None:
    """An older copy put back and gone on with, by the daemon itself, with the right key."""
    dice = random.Random(10)
    for _ in range(TIMES):
        kept = dice.randrange(1, LENGTH)
        anchor = GOOD[: dice.randint(kept + 1, LENGTH)]
        found = check(gone_on(kept), head(GOOD[:kept]), head(anchor))
        assert found is not None
        assert (found.seq, found.how) == (len(anchor), "rolled-back")
        assert f"after record {kept} " in found.detail


def test_fail__spliced_of_two_histories() -> None:
    """Genuine records of the time before a rollback, put into the log of the time after it."""
    fork = written(KEY, LENGTH, GOOD[:10], tag="b")
    found = check([*fork[:15], *GOOD[15:]])
    assert found is not None
    assert found.seq == 16


def test_fail__several_things_at_once() -> None:
    """Never a crash, never a good log, and never a finding behind the first record that differs."""
    dice = random.Random(11)
    for _ in range(TIMES // 2):
        log = list(GOOD)
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(log))
            attack = dice.randrange(4)
            if attack == 0:
                log[place] = dice.choice(list(EDITS.values()))(log[place], dice)
            elif attack == 1:
                del log[place]
            elif attack == 2:
                log.insert(place, dice.choice((inserted(dice, place % LENGTH), GOOD[dice.randrange(LENGTH)])))
            else:
                log.append(log.pop(place))
        log = numbered(log) if dice.random() < 0.7 else log
        rows = sorted(log, key=lambda record: record.seq)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(rows, GOOD, strict=False)))
        if same == len(rows):
            continue  # Only the end is missing.
        found = check(rows)
        assert found is not None
        assert found.seq <= same + 1 or found.how == "reordered", (same, found)


@pytest.mark.parametrize("body", ["[" * 200_000, '{"n":' + "9" * 5000 + "}", "no JSON", "[]"])
def test_ok__a_record_whose_body_was_made_nonsense_is_read_as_an_empty_one(body: str) -> None:
    assert replace(GOOD[3], body=body).content == {}
    finding = check([*GOOD[:3], replace(GOOD[3], body=body), *GOOD[4:]])
    assert finding is not None
    assert (finding.how, finding.seq) == ("edited", 4)


def test_fail__nothing_left() -> None:
    found = check([])
    assert found is not None
    assert (found.seq, found.how) == (1, "removed")


def test_fail__anchor_that_is_forged() -> None:
    with pytest.raises(InputError, match="anchor of record"):
        check(GOOD, replace(head(GOOD), hash=bytes(32)))


def test_ok__what_the_door_writes(tmp_path: Path) -> None:
    log = Audit.open(tmp_path, FakeClock())
    for n in range(20):
        log.append("decision", {"n": n})
    verdict = verify(lambda: read(tmp_path / "audit.db"), log.public_key, [log.head()])
    assert (verdict.records, verdict.anchors, verdict.finding) == (21, 1, None)
