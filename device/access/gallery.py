"""Who may be recognised: people and their templates, sealed in one file, and in memory as one matrix."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from device.access.alignment import FloatArray
from device.access.galleryrecords import Person, Template, Vault, template_of
from device.access.gallerystore import GalleryStore, create_store
from device.access.policy.observation import GalleryFacts, PersonRules
from device.access.recognizer import Embedding
from device.access.sealing import Seal
from device.datatypes import Match
from device.errors import ConfigError, InputError

log = logging.getLogger(__name__)

NAME_MOST = 64
STRANGERS = frozenset({"unknown", "desconocido"})
"""What is answered for somebody whom nobody knows, folded: a person of that name could not be told from a stranger."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """How alike a face and one person's template are: the cosine, -1 to 1."""

    person: str
    similarity: float


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the file held when it was last read. Row i of `matrix` (unit length, float32) is `ids[i]`'s."""

    version: tuple[int, int] = (-1, -1)
    ids: tuple[str, ...] = ()
    matrix: FloatArray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    people: dict[str, Person] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)


class Gallery:
    """The people of one door. Threads may share it; other processes may change the file meanwhile, which is noticed
    at the next question.

    What cannot be read any more (the file is gone, damaged, or sealed with another key) is `fault`, one sentence;
    `match` then knows nobody.
    """

    fault = ""

    def __init__(self, store: GalleryStore, key: bytes, model: str) -> None:
        """Use `Gallery.open`. Raises InputError."""
        self.store = store
        self.vault = Vault(Seal(key), model)
        self._loaded = _Loaded()
        self._require()

    @classmethod
    def open(
        cls, path: Path, key: bytes, model_sha256: str | None, *, create: bool = False, repair: bool = False
    ) -> Gallery:
        """Open the gallery at `path`.

        Args:
            path: the database.
            key: 32 bytes, from `gallerykey.find_key`.
            model_sha256: of the embedder that the gallery is asked with: `Recognizer.model_sha256`. None: whichever it
                was made with, to look after it, not to match faces.
            create: make an empty one where there is none.
            repair: open it also where a person's record does not open, so that it can be forgotten.
        Raises:
            InputError: it is missing, empty, damaged, read-only, of another model, or sealed with another key.
        """
        if create and model_sha256 is not None and not path.exists():
            vault = Vault(Seal(key), model_sha256)
            create_store(path, lambda connection: _fill(connection, vault))
        store = GalleryStore(path)
        try:
            gallery = cls(store, key, model_sha256 or store.meta("model").decode())
            if not repair:
                gallery.people()
        except InputError:
            store.close()
            raise
        return gallery

    @property
    def path(self) -> Path:
        """The database."""
        return self.store.path

    def _require(self) -> None:
        """Refuse another key or another model."""
        proof, model = self.store.meta("proof"), self.store.meta("model").decode()
        if not self.vault.proves(proof):
            raise InputError(
                f"the key does not open the gallery {self.path}: it is another gallery's; the right one was made "
                f"beside it as {self.path.name}.key unless the configuration names one"
            )
        if model != self.vault.model:
            raise InputError(
                f"the gallery {self.path} was made with another face model (sha256 {model[:12]}…, this one is "
                f"{self.vault.model[:12]}…), and embeddings of two models cannot be compared: name that model with "
                "--model, or `sereno people reembed` makes new templates of the photos that were kept"
            )

    # Asking

    def match(self, embedding: Embedding) -> Match | None:
        """The person whose template is most like a face: one matrix product.

        Args:
            embedding: n float32, unit length, of the gallery's model.
        Returns:
            The best and how alike the next person is; None where the gallery is empty or has a `fault`, or the
            embedding is no number.
        Raises:
            ValueError: an embedding of another length.
        """
        loaded = self._current()
        similarities = _similarities(loaded, embedding)
        if similarities is None:
            return None
        best = int(similarities.argmax())
        alike = float(similarities[best])
        similarities[best] = -1
        runner_up = float(similarities.max())
        return Match(loaded.ids[best], _bounded(alike), _bounded(runner_up), len(loaded.ids))

    def rank(self, embedding: Embedding, most: int) -> list[Ranked]:
        """The `most` people most like a face, the best first; see `match`."""
        loaded = self._current()
        similarities = _similarities(loaded, embedding)
        if similarities is None:
            return []
        order = np.argsort(-similarities, kind="stable")[:most]
        return [Ranked(loaded.ids[index], _bounded(float(similarities[index]))) for index in order]

    def people(self) -> list[Person]:
        """Everybody, by name. Raises InputError where the gallery cannot be read."""
        loaded = self._readable()
        return sorted(loaded.people.values(), key=lambda person: fold(person.name))

    def person(self, person_id: str) -> Person | None:
        """One person by id; None where there is none of that id, or the gallery has a `fault`."""
        return self._current().people.get(person_id)

    def names(self) -> dict[str, str]:
        """Names by id: what joins a log of ids with who they are."""
        return {person.id: person.name for person in self._current().people.values()}

    def facts(self) -> GalleryFacts:
        """How many people can be recognised, and what keeps the gallery from being used."""
        people = len(self._current().ids)
        return GalleryFacts(people, self.fault)

    def rules(self, person_id: str) -> PersonRules | None:
        """When a person may enter; None where there is none of that id, or the gallery has a `fault`."""
        person = self.person(person_id)
        return None if person is None else PersonRules(person.valid_from, person.valid_until, person.schedule)

    def find(self, name_or_id: str) -> Person:
        """One person by name or id. Raises InputError where there is none; says who has a name like it."""
        loaded = self._readable()
        if name_or_id in loaded.people:
            return loaded.people[name_or_id]
        by_name = {fold(person.name): person for person in loaded.people.values()}
        if fold(name_or_id) in by_name:
            return by_name[fold(name_or_id)]
        close = get_close_matches(fold(name_or_id), by_name, n=1)
        hint = f"; did you mean {by_name[close[0]].name!r}?" if close else ""
        raise InputError(f"nobody called {name_or_id!r} is in the gallery {self.path}{hint}")

    def template(self, person_id: str) -> Template:
        """What a person is recognised by. Raises KeyError for an unknown id."""
        return self._readable().templates[person_id]

    def crops(self, person_id: str) -> list[bytes]:
        """The aligned faces that were kept of a person, as PNG, in their order."""
        rows = self.store.rows("SELECT number, content FROM crop WHERE person = ? ORDER BY number", person_id)
        return [self.vault.open_crop(person_id, int(number), content) for number, content in rows]

    # Changing

    def add(self, person: Person, embeddings: list[Embedding], crops: Iterable[bytes] = ()) -> Person:
        """Add somebody new, on the disk when it returns.

        Args:
            person: with an id of `new_id()`; `photos` is counted here.
            embeddings: at least one, unit length.
            crops: aligned faces as PNG, only with consent.
        Raises:
            InputError: the name is taken, or the disk refuses: nothing was changed then.
        """
        template = template_of(embeddings)
        with self._changing() as connection:
            self._insert(connection, person, template, crops)
        return replace(person, photos=template.photos)

    def extend(self, person: Person, embeddings: list[Embedding], crops: Iterable[bytes] = ()) -> Person:
        """Add photos to somebody who is there, with the record as given; see `add`."""
        with self._changing() as connection:
            template = self.template(person.id).with_photos(embeddings)
            self._update(connection, person)
            connection.execute(
                "UPDATE person SET template = ? WHERE id = ?",
                (self.vault.seal_template(person.id, template), person.id),
            )
            self._put_crops(connection, person.id, crops)
        return replace(person, photos=template.photos)

    def update(self, person: Person) -> None:
        """Write a person's record (name, groups, validity, schedule, consents) as given. Raises InputError."""
        with self._changing() as connection:
            self._update(connection, person)

    def forget(self, person_id: str) -> None:
        """Remove a person, and every byte of them from the file.

        Works also where that person's record does not open any more.

        Raises:
            InputError: there is no such person, or the file is busy or cannot be written.
        """
        with self.store.transaction() as connection:
            if not connection.execute("DELETE FROM person WHERE id = ?", (person_id,)).rowcount:
                raise InputError(f"nobody of the id {person_id} is in the gallery {self.path}")
        self.store.purge()

    def add_all(self, people: list[tuple[Person, Template, list[bytes]]]) -> None:
        """Add people with their templates and crops, all or nobody. Raises InputError, as `add`."""
        with self._changing() as connection:
            for person, template, crops in people:
                self._insert(connection, person, template, crops)

    def rebind(self, model: str, templates: dict[str, Template]) -> None:
        """Give everybody a template of another model (its file's sha256), as a whole; who has none in `templates` is
        forgotten. Raises InputError."""
        vault = replace(self.vault, model=model)
        with self._changing() as connection:
            if not set(templates) <= set(self._loaded.ids):
                raise InputError(f"somebody else has changed the gallery {self.path} meanwhile: try again")
            for person_id in set(self._loaded.ids) - set(templates):
                connection.execute("DELETE FROM person WHERE id = ?", (person_id,))
            for person_id, template in templates.items():
                sealed = vault.seal_template(person_id, template)
                connection.execute("UPDATE person SET template = ? WHERE id = ?", (sealed, person_id))
            connection.execute("UPDATE meta SET value = ? WHERE key = 'model'", (model.encode(),))
        self.vault = vault
        self.store.purge()

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that knows what is in the file while nobody else can change it."""
        with self.store.transaction() as connection:
            self._readable()
            yield connection

    def _refuse_taken(self, person: Person) -> None:
        for other in self._loaded.people.values():
            if other.id != person.id and fold(other.name) == fold(person.name):
                raise InputError(f"{other.name!r} is in the gallery {self.path} already; names are each one person's")

    def _insert(
        self, connection: sqlite3.Connection, person: Person, template: Template, crops: Iterable[bytes]
    ) -> None:
        self._refuse_taken(person)
        if person.id in self._loaded.people:
            there = self._loaded.people[person.id].name
            raise InputError(f"{person.name!r} is in the gallery {self.path} already, as {there!r} (id {person.id})")
        sealed = self.vault.seal_person(person), self.vault.seal_template(person.id, template)
        connection.execute("INSERT INTO person VALUES (?, ?, ?)", (person.id, *sealed))
        self._put_crops(connection, person.id, crops)

    def _update(self, connection: sqlite3.Connection, person: Person) -> None:
        self._refuse_taken(person)
        sealed = self.vault.seal_person(person)
        if not connection.execute("UPDATE person SET record = ? WHERE id = ?", (sealed, person.id)).rowcount:
            raise InputError(f"{person.name!r} is not in the gallery {self.path} any more")

    def _put_crops(self, connection: sqlite3.Connection, person_id: str, crops: Iterable[bytes]) -> None:
        [(last,)] = connection.execute("SELECT COALESCE(MAX(number), 0) FROM crop WHERE person = ?", (person_id,))
        for number, png in enumerate(crops, start=last + 1):
            sealed = self.vault.seal_crop(person_id, number, png)
            connection.execute("INSERT INTO crop VALUES (?, ?, ?)", (person_id, number, sealed))

    # Keeping up with the file

    def _current(self) -> _Loaded:
        """What the file holds now; nobody, and `fault` set, where that cannot be told."""
        try:
            loaded = self._readable()
        except InputError as error:
            if str(error) != self.fault:
                log.error("%s", error)
            self.fault = str(error)
            return _Loaded()
        self.fault = ""
        return loaded

    def _readable(self) -> _Loaded:
        with self.store.lock:
            self.store.require_same_file()
            if self._loaded.version != self.store.version():
                self._loaded = _Loaded()
                self._require()
                self._refresh()
            return self._loaded

    def _refresh(self) -> None:
        """Read everybody. Raises InputError where one row does not open: somebody has changed the file."""
        version = self.store.version()
        rows = self.store.rows("SELECT id, record, template FROM person ORDER BY id")
        templates: dict[str, Template] = {}
        people: dict[str, Person] = {}
        for raw_id, record, sealed in rows:
            person_id = str(raw_id)
            template = self.vault.open_template(person_id, sealed)
            templates[person_id] = template
            people[person_id] = self.vault.open_person(person_id, record, template.photos)
        size = len(next(iter(templates.values())).total) if templates else 0
        matrix = np.empty((len(templates), size), np.float32)
        for index, template in enumerate(templates.values()):
            matrix[index] = template.unit
        self._loaded = _Loaded(version, tuple(templates), matrix, people, templates)


def new_id() -> str:
    """A person's id: 16 hexadecimal digits that say nothing."""
    return secrets.token_hex(8)


def fold(name: str) -> str:
    """A name as names are compared: composed, without regard to case."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def checked_name(name: str) -> str:
    """A person's name, composed (NFC). Raises ConfigError for one that nobody could read or type, or a stranger's."""
    name = checked_word(name, "a person's name")
    if fold(unicodedata.normalize("NFKC", name)) in STRANGERS:
        raise ConfigError(f"{name!r} cannot be a person's name: it is what strangers are called; take another one")
    return name


def checked_word(word: str, what: str) -> str:
    """A word, composed (NFC), which is to be `what`. Raises ConfigError for one that nobody could read or type."""
    word = unicodedata.normalize("NFC", word).strip()
    if not 0 < len(word) <= NAME_MOST or not word.isprintable() or not any(letter.isalnum() for letter in word):
        raise ConfigError(f"{word!r} cannot be {what}: wanted 1 to {NAME_MOST} characters that can be read")
    return word


def _fill(connection: sqlite3.Connection, vault: Vault) -> None:
    values = [("proof", vault.proof()), ("model", vault.model.encode())]
    connection.executemany("INSERT INTO meta VALUES (?, ?)", values)


def _similarities(loaded: _Loaded, embedding: Embedding) -> FloatArray | None:
    """Cosines of a face and everybody (n float32); None where nothing can be said."""
    if not loaded.ids:
        return None
    if embedding.shape != loaded.matrix.shape[1:]:
        raise ValueError(f"the gallery's embeddings are {loaded.matrix.shape[1:]}, this one is {embedding.shape}")
    similarities: FloatArray = loaded.matrix @ embedding.astype(np.float32, copy=False)
    return similarities if np.isfinite(similarities).all() else None


def _bounded(similarity: float) -> float:
    """Rounding must not lead beyond what a cosine can be."""
    return min(1.0, max(-1.0, similarity))
