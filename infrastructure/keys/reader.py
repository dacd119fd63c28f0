"""Subjects' keys for every process that reads events: opened read-only, a bounded number kept."""

import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from application.ports.subject_keys import SealBroken, SubjectKeyMissing
from domain.errors import Unavailable
from infrastructure.keys import database
from infrastructure.keys.cipher import Cipher
from infrastructure.keys.master import MasterKeys

CAPACITY: Final = 10_000
KEEP_S: Final = 60.0
"""A process that does not follow the log, and so is told of no erasure, forgets a key by then."""


class KeyReader:
    """As `SubjectKeyReader`; may be used from several threads. Opens nothing before it is asked."""

    def __init__(
        self,
        directory: Path,
        masters: Callable[[], MasterKeys],
        *,
        capacity: int = CAPACITY,
        keep_s: float = KEEP_S,
    ) -> None:
        self._directory = directory
        self._make_masters = masters
        self._masters: MasterKeys | None = None
        self._connection: sqlite3.Connection | None = None
        self._capacity = capacity
        self._keep_s = keep_s
        self._ciphers: OrderedDict[str, tuple[Cipher, float]] = OrderedDict()
        """By id, with the monotonic time up to which it may be used."""
        self._forgotten: set[str] = set()
        self._lock = threading.Lock()

    def get(self, key_id: str) -> Cipher | None:
        """As `SubjectKeyReader.get`."""
        # Without the lock, once an event: what is there was not forgotten, since that takes it out.
        found = self._ciphers.get(key_id)
        if found is not None and time.monotonic() < found[1]:
            return found[0]
        with self._lock:
            if key_id in self._forgotten:
                return None
            # Counted from before it is read: by then it may be destroyed.
            until = time.monotonic() + self._keep_s
            cipher = self._read(key_id)
            if cipher is None:
                # For good: a key that was destroyed does not come back.
                self._ciphers.pop(key_id, None)
                self._forgotten.add(key_id)
                return None
            self._ciphers[key_id] = (cipher, until)
            self._ciphers.move_to_end(key_id)
            if len(self._ciphers) > self._capacity:
                self._ciphers.popitem(last=False)
            return cipher

    def forget(self, key_id: str) -> None:
        """As `SubjectKeyReader.forget`."""
        with self._lock:
            self._forgotten.add(key_id)
            self._ciphers.pop(key_id, None)

    def close(self) -> None:
        """Release the connection; the next call opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._ciphers.clear()

    def _read(self, key_id: str) -> Cipher | None:
        row = self._query("SELECT master, wrapped, destroyed_us FROM keys WHERE id = ?", key_id)
        if row is None:
            raise SubjectKeyMissing(key_id)
        master, wrapped, destroyed_us = row
        return None if destroyed_us is not None else self.unwrap(key_id, master, wrapped)

    def unwrap(self, key_id: str, master: str, wrapped: bytes) -> Cipher:
        """A key as it is stored, at work.

        Raises:
            MasterKeyMissing, Unavailable.
        """
        if self._masters is None:
            self._masters = self._make_masters()
        try:
            return Cipher(key_id, self._masters.get(master).unwrap(key_id, wrapped))
        except SealBroken as error:
            raise Unavailable(f"The key {key_id} of a data subject is damaged: {error}") from error

    def _query(self, query: str, value: str) -> tuple[str, bytes, int | None] | None:
        if self._connection is None:
            self._connection = database.open_reading(self._directory)
        with database.errors(self._directory):
            try:
                row: tuple[str, bytes, int | None] | None = self._connection.execute(
                    query, (value,)
                ).fetchone()
            except sqlite3.Error:
                self._connection.close()
                self._connection = None
                raise
        return row
