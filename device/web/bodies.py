"""What the server takes in before the application has a word: request bodies of a bounded size, in memory only."""

from __future__ import annotations

import copy
import json
import weakref
from typing import Any, ClassVar

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.utilities import Error

PICTURE_PATHS = frozenset({"/reconocer", "/api/recognize", "/api/people"})
"""Only here bodies may be large."""
SMALL_BYTES = 1024 * 1024
MOST_LARGE = 4
"""Bodies over `SMALL_BYTES` that are taken in at the same time: who has not logged in can send some, too."""


class _Refusal(Error):  # type: ignore[misc]
    """An answer of the server itself, in the form that the application's have."""

    def __init__(self, code: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.reason = code, reason

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body."""
        del ident
        body = json.dumps({"error": self.body}).encode()
        headers = [("Content-Length", str(len(body))), ("Content-Type", "application/json"), ("Connection", "close")]
        return f"{self.code} {self.reason}", headers, body


class BoundedParser(HTTPRequestParser):  # type: ignore[misc]
    """Reads requests, and refuses bodies by their announced length, before they are read."""

    adj: Any
    error: Any
    _large: ClassVar[weakref.WeakSet[BoundedParser]] = weakref.WeakSet()

    def parse_header(self, header_plus: bytes) -> None:
        """See waitress. Chooses the bound by the address."""
        super().parse_header(header_plus)
        if self.path not in PICTURE_PATHS:
            self._bound(SMALL_BYTES)
        elif self.chunked or self.content_length > SMALL_BYTES:
            if len(self._large) >= MOST_LARGE:
                self._refuse(503, "Service Unavailable", "too many large pictures are being sent; try again")
            elif self.content_length < self.adj.max_request_body_size:
                self._large.add(self)

    def received(self, data: bytes) -> int:
        """See waitress. What is too large is said in a sentence, and not waited for."""
        consumed: int = super().received(data)
        if self.error is not None and getattr(self.error, "code", 0) == 413:
            self.error = _Refusal(
                413,
                "Content Too Large",
                f"the body is too large; {self.adj.max_request_body_size:,} bytes are the most",
            )
        if self.error is not None:
            self.expect_continue = False
        return consumed

    def close(self) -> None:
        """See waitress."""
        self._large.discard(self)
        super().close()

    def _bound(self, most_bytes: int) -> None:
        own: Any = copy.copy(self.adj)
        own.max_request_body_size = min(most_bytes, own.max_request_body_size)
        self.adj = own

    def _refuse(self, code: int, reason: str, sentence: str) -> None:
        self.error = _Refusal(code, reason, sentence)
        self.content_length, self.chunked, self.body_rcv = 0, False, None
        self.connection_close = True


class BoundedChannel(HTTPChannel):  # type: ignore[misc]
    """A connection whose requests are read so."""

    parser_class = BoundedParser
