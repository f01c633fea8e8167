"""Everything the sandbox knows: JSON documents by kind and id, in memory and, if a path is given, in SQLite."""

import json
import secrets
import sqlite3
import string
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Doc = dict[str, Any]

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int) -> str:
    """`prefix` and `length` random letters and digits, as the processors' own ids look."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


class State:
    """A store of documents in the order in which they came; hold `writing()` around everything that touches it."""

    def __init__(self, path: str | None = None) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._kinds: dict[str, dict[str, Doc]] = {}
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS document "
            "(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (kind, id))"
        )
        for kind, key, body in self._db.execute("SELECT kind, id, body FROM document ORDER BY seq"):
            self._kinds.setdefault(kind, {})[key] = json.loads(body)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One at a time, and one transaction on disk: a request, a webhook attempt, a tick of the clock."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN")
            self._depth += 1
            try:
                yield
            finally:
                # A refused request has changed nothing (checks come first), so there is nothing to roll back.
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("COMMIT")

    def put(self, kind: str, key: str, doc: Doc) -> Doc:
        self._kinds.setdefault(kind, {})[key] = doc
        self._db.execute(
            "INSERT INTO document (kind, id, body) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, key, json.dumps(doc)),
        )
        return doc

    def get(self, kind: str, key: str) -> Doc | None:
        return self._kinds.get(kind, {}).get(key)

    def all(self, kind: str, **fields: Any) -> list[Doc]:
        """Documents of a kind whose fields have these values, oldest first."""
        docs = self._kinds.get(kind, {}).values()
        return [doc for doc in docs if all(doc.get(name) == value for name, value in fields.items())]

    def delete(self, kind: str, key: str) -> None:
        self._kinds.get(kind, {}).pop(key, None)
        self._db.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, key))
