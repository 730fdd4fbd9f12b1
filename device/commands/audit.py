"""`sereno audit`: the access log."""

from __future__ import annotations

import functools
import re
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device.commands.galleryfile import AUDIT, choose
from device.errors import ConfigError, InputError

if TYPE_CHECKING:
    from device.access.auditrecord import AuditRecord, Head

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds since 1970 of a local date, with a time or without, or of so long ago."""
    if value is None:
        return None
    ago = re.fullmatch(r"(\d{1,6})([mhdw])", value)
    if ago:
        return time.time() - int(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        sentence = f"{value!r} is no moment: as in 2026-11-22, 2026-11-22T18:30, 2h or 7d"
        raise click.BadParameter(sentence, ctx, param) from None


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose a log; the command gets its folder as `folder`, and `config_path`."""

    @click.option("--log", "folder", type=click.Path(path_type=Path, file_okay=False), help="The log's folder.")
    @click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The configuration whose storage is meant; without it, the default storage.",
    )
    @functools.wraps(command)
    def chosen(*args: Any, folder: Path | None, config_path: Path | None, **options: Any) -> Any:
        from device import configfile

        folder = folder or configfile.storage_of(config_path) / AUDIT
        return command(*args, folder=folder, config_path=config_path, **options)

    return chosen


@click.group()
def audit() -> None:
    """Who came to the door, and what was decided: a log that shows when it was tampered with."""


@audit.command()
@log_options
@click.option("--gallery", type=click.Path(path_type=Path, dir_okay=False), help="The gallery that knows the names.")
@click.option("--key", "key_file", type=click.Path(path_type=Path, dir_okay=False), help="The gallery's key.")
@click.option("--since", callback=_moment, metavar="WHEN", help="From then on: 2026-11-22, 2026-11-22T18:30, 2h, 7d.")
@click.option("--until", callback=_moment, metavar="WHEN", help="Before then.")
@click.option("--person", default="", help="Of one person, by name or id.")
@click.option("--decision", type=click.Choice(["granted", "denied"]), help="Decisions that ended so.")
@click.option("--reason", default="", help="Decisions with that reason.")
@click.option("--kind", default="", help="Records of that kind: decision, lock, door, admin, clock, anchor, start …")
@click.option("--limit", type=click.IntRange(min=1), help="The newest so many.")
@click.option("--csv", "form", flag_value="csv", help="For a spreadsheet.")
@click.option("--json", "form", flag_value="json", help="One object a line, with all that was recorded.")
@click.option("--line", "form", flag_value="line", help="Decisions as `name, Acceso permitido, date and time`.")
@click.option("--language", type=click.Choice(["es", "en"]), default="es", show_default=True, help="Of --line.")
def show(
    folder: Path,
    config_path: Path | None,
    gallery: Path | None,
    key_file: Path | None,
    since: float | None,
    until: float | None,
    person: str,
    decision: str | None,
    reason: str,
    kind: str,
    limit: int | None,
    form: str | None,
    language: str,
) -> None:
    """Show records, the oldest first, with the names of those who are in the gallery."""
    from device.access import auditview
    from device.access.audit import FILE, read

    names = _names(config_path, gallery, key_file)
    ids = {name.casefold(): known for known, name in names.items()}
    chosen = auditview.Filter(since, until, ids.get(person.casefold(), person), decision or "", reason, kind, limit)
    records = auditview.select(read(folder / FILE), chosen)
    if form == "csv":
        auditview.write_csv(records, names, sys.stdout)
        return
    lines = {
        "json": lambda: auditview.json_lines(records, names),
        "line": lambda: auditview.notices(records, names, language),
    }.get(form or "", lambda: auditview.table(records, names))()
    for line in lines:
        click.echo(line)


def _names(config_path: Path | None, gallery: Path | None, key_file: Path | None) -> Mapping[str, str]:
    """Names by id; none, and a word about it, where the gallery cannot be read: the log is readable all the same."""
    file = choose(gallery, key_file, config_path)
    if gallery is None and not file.path.exists():
        return {}
    try:
        opened = file.look_after()
        names = opened.names()
        opened.close()
        return names
    except InputError as error:
        if gallery is not None:
            raise
        click.echo(f"names are not shown: {error}", err=True)
        return {}


@audit.command()
@log_options
@click.option("--anchor", help="A file with a head of the log that was kept elsewhere, or `mqtt`: the broker's.")
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="The public key, kept elsewhere.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What the keeper of the lock wrote down.  [default: lock/journal.jsonl beside the log's folder, where it is]",
)
def verify(folder: Path, config_path: Path | None, anchor: str | None, key: Path | None, journal: Path | None) -> None:
    """Say whether the log is what was written: else which record is the first bad one, and what was done.

    Exit code 1 for a log that was tampered with. Without an anchor a log whose end was cut off, or an older copy that
    was put back, is told by the head that is remembered beside the log's folder alone: whoever could change the one
    could change the other. A lock that was released without a grant on record is told, too.
    """
    from device.access.audit import FILE, read
    from device.access.auditkey import PUBLIC_FILE, read_public
    from device.access.auditmemory import AuditMemory
    from device.access.auditverify import BY_ANCHOR
    from device.access.auditverify import verify as check

    anchors = _anchors(anchor, config_path)
    path = folder / FILE
    memory = AuditMemory(folder)
    if not path.is_file():
        raise InputError(memory.lost(folder) or f"there is no access log {path}")
    kept = memory.head()
    verdict = check(lambda: read(path), read_public(key or folder / PUBLIC_FILE), [*anchors, *([kept] if kept else [])])
    if verdict.finding:
        finding = verdict.finding
        by = f" ({memory.path} remembers record {kept.seq})" if kept and finding.how in BY_ANCHOR else ""
        raise InputError(
            f"the access log {path} was tampered with: {finding.how} at record {finding.seq}: {finding.detail}{by}"
        )
    moved = _releases(path, journal or folder.parent / "lock" / "journal.jsonl", asked=journal is not None)
    said = f"{verdict.records} records, each signed and in its place"
    if anchors:
        click.echo(f"{said}; it agrees with the anchor of record {max(head.seq for head in anchors)}.")
    else:
        click.echo(f"{said}. Truncation and rollback were not checked: that needs --anchor.")
    if moved:
        click.echo(moved)


def _releases(path: Path, journal: Path, *, asked: bool) -> str:
    """What to say of the keeper's journal; empty where there is none, and the lock was never released. Raises
    InputError."""
    from device.access.audit import read
    from device.access.auditjournal import compare
    from device.access.keeper.journal import entries

    there = journal.exists() or asked
    try:
        found = compare(entries(journal) if there else (), read(path))
    except OSError as error:
        raise InputError(f"cannot read the keeper's journal {journal}: {error.strerror or error}") from error
    if found.fault:
        raise InputError(f"{journal}: {found.fault}")
    said = []
    if there:
        older = f"; {found.older} from before this log" if found.older else ""
        said.append(f"Releases of the lock: {found.checked}, each by a grant on record{older}.")
    if found.unwritten:
        said.append(
            f"The keeper's journal {journal} {'begins later' if there else 'is missing'}, and has no line of "
            f"{found.unwritten} releases that the log tells of: it was removed, emptied or replaced, unless it was "
            "moved away on purpose."
        )
    return "\n".join(said)


def _anchors(anchor: str | None, config_path: Path | None) -> list[Head]:
    """The heads to compare with. Raises InputError, ConfigError."""
    from device.access.auditrecord import Head

    if anchor is None:
        return []
    text = _retained(config_path) if anchor == "mqtt" else _text(Path(anchor))
    try:
        heads = [Head.from_json(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise InputError(f"{anchor} holds no anchor of an access log: {error}") from error
    if not heads:
        raise InputError(f"{anchor} holds no anchor of an access log: it is empty")
    return heads


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read the anchor {path}: {error.strerror}") from error


def _retained(config_path: Path | None) -> str:
    from device import configfile
    from device.publish.anchor import fetch_anchor

    if config_path is None:
        raise ConfigError("--anchor mqtt needs --config FILE, which says where the broker is and who the door")
    config = configfile.load(config_path)
    return fetch_anchor(config.mqtt, config.device.id, config_path.parent)


@audit.command()
@log_options
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="A new folder.")
def export(folder: Path, config_path: Path | None, out: Path) -> None:
    """Write all records with the public key and a verifier that needs no Sereno: `python verify.py`."""
    from device.access.audit import FILE, read
    from device.access.auditexport import export as write
    from device.access.auditkey import PUBLIC_FILE, read_public

    del config_path
    count = write(read(folder / FILE), read_public(folder / PUBLIC_FILE), out)
    click.echo(f"{count} records in {out}; `python {out}/verify.py {out}` verifies them.")


@audit.command()
@log_options
def head(folder: Path, config_path: Path | None) -> None:
    """Print the anchor: the head of the log, to be kept where nobody on this machine can change it."""
    from device.access.audit import FILE, read
    from device.access.auditkey import PUBLIC_FILE, public_bytes, read_public
    from device.access.auditrecord import Head

    del config_path
    first: AuditRecord | None = None
    last: AuditRecord | None = None
    for last in read(folder / FILE):
        first = first or last
    if first is None or last is None:
        raise InputError(f"the access log {folder / FILE} is empty")
    raw = public_bytes(read_public(folder / PUBLIC_FILE))
    click.echo(Head(str(first.content.get("log", "")), last.seq, last.hash, last.signature, raw).to_json())


@audit.command()
@log_options
@click.option("--why", required=True, help="One sentence for the record, without the name of a person of the door.")
def begin(folder: Path, config_path: Path | None, why: str) -> None:
    """Begin a new log, of a door that is stopped: because the old one is lost or damaged, or long enough.

    The old one is set aside, beside the new one, whose first record says why, and which was the last record known of
    the old one. Put it back from a copy instead where there is one.
    """
    from device.access.auditrenewal import begin_anew
    from device.commands.galleryfile import hand_over
    from device.publish.lock import holder

    del config_path
    if not why.strip() or not why.isprintable():
        raise ConfigError("--why must say, in one sentence, why a new log is begun")
    running = holder(folder.parent)
    if running is not None:
        raise InputError(f"the door is at work, as process {running}: stop it before a new log is begun")
    try:
        aside = begin_anew(folder, why.strip()[:500])
    finally:
        hand_over(folder)
    where = f"; the old one lies in {aside}" if aside else ""
    click.echo(f"A new access log begins in {folder}{where}.")
