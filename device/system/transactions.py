"""One write to SQLite that happens as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """What the block writes is committed at its end, or rolled back where anything is raised.

    Args:
        connection: in autocommit mode (`isolation_level=None`), used by this thread alone meanwhile.
    Raises:
        sqlite3.Error: the file is busy, full or damaged.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
