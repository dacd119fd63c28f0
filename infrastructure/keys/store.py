"""Subjects' keys in the core: made in memory, saved in groups, destroyed where they lie."""

import secrets
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Final

from domain.errors import ContactErased, Unavailable
from infrastructure.keys import database
from infrastructure.keys.cipher import WRAPPED_BYTES, Cipher
from infrastructure.keys.master import MasterKeys, MasterKeySource, new_key
from infrastructure.keys.reader import CAPACITY, KeyReader

_CHECKPOINT_S: Final = 10.0
_ID_BYTES: Final = 16


class SubjectKeyStore:
    """As `SubjectKeys`; one a data directory, which the log's lock sees to.

    Commands are decided in one thread, which calls `of_subject`, `key_id`, `get`; `save` and
    `destroy` may be called in another one.
    """

    def __init__(self, directory: Path, source: MasterKeySource) -> None:
        """Open the store, make what is missing.

        Raises:
            MasterKeyMissing: keys are wrapped by a master key that is not there.
            InvalidInput, Unavailable: master key or store can't be read.
        """
        self._directory = directory
        self._connection = database.open_writing(directory)
        with database.errors(directory):
            self._masters = self._open_masters(source)
            # A core that was killed while it destroyed a key may have left its page there.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._reading = database.open_reading(directory)
        self._reader = KeyReader(directory, lambda: self._masters)
        self._new: dict[str, tuple[str, bytes]] = {}
        """Subject -> id and key that are not saved yet."""
        self._new_ciphers: dict[str, Cipher] = {}
        """The same by their ids."""
        self._by_subject: OrderedDict[str, Cipher] = OrderedDict()
        """The oldest goes first, used or not: reading it again is cheaper than keeping count."""
        self._lock = threading.Lock()
        """Of the connection that writes."""

    def _open_masters(self, source: MasterKeySource) -> MasterKeys:
        used = [
            master
            for (master,) in self._connection.execute(
                "SELECT DISTINCT master FROM keys WHERE destroyed_us IS NULL"
            )
        ]
        # With keys there, a new master key would only hide that theirs is lost.
        masters = MasterKeys(source, make=not used)
        for master in used:
            masters.get(master)
        current = database.fact(self._connection, database.CURRENT_MASTER)
        if current is None or not used:
            database.put_fact(self._connection, database.CURRENT_MASTER, masters.newest.id)
        else:
            masters.get(current)
        return masters

    @property
    def unsaved(self) -> bool:
        """As `SubjectKeys.unsaved`."""
        return bool(self._new)

    def of_subject(self, subject_id: str) -> Cipher:
        """As `SubjectKeys.of_subject`."""
        found = self._by_subject.get(subject_id)
        if found is not None:
            return found
        new = self._new.get(subject_id)
        if new is not None:
            return self._new_ciphers[new[0]]
        row = self._row(subject_id)
        if row is None:
            return self._make(subject_id)
        id, master, wrapped, destroyed_us = row
        if destroyed_us is not None:
            raise ContactErased
        return self._keep(subject_id, self._reader.unwrap(id, master, wrapped))

    def key_id(self, subject_id: str) -> str | None:
        """As `SubjectKeys.key_id`."""
        new = self._new.get(subject_id)
        if new is not None:
            return new[0]
        row = self._row(subject_id)
        return None if row is None or row[1] is None else row[0]

    def get(self, key_id: str) -> Cipher | None:
        """As `SubjectKeyReader.get`."""
        return self._new_ciphers.get(key_id) or self._reader.get(key_id)

    def forget(self, key_id: str) -> None:
        """As `SubjectKeyReader.forget`."""
        self._reader.forget(key_id)

    def save(self) -> None:
        """As `SubjectKeys.save`."""
        with self._lock, database.errors(self._directory):
            new = dict(self._new)
            with database.transaction(self._connection):
                current = database.fact(self._connection, database.CURRENT_MASTER)
                master = self._masters.get(current) if current else self._masters.newest
                self._connection.executemany(
                    "INSERT INTO keys VALUES (?, ?, ?, ?, ?, NULL)",
                    [
                        (id, subject, master.id, master.wrap(id, key), _now_us())
                        for subject, (id, key) in new.items()
                    ],
                )
        for subject, (id, _) in new.items():
            del self._new[subject]
            del self._new_ciphers[id]

    def destroy(self, subject_id: str) -> None:
        """As `SubjectKeys.destroy`."""
        with self._lock, database.errors(self._directory):
            with database.transaction(self._connection):
                row = self._connection.execute(
                    "SELECT id, destroyed_us FROM keys WHERE subject = ?", (subject_id,)
                ).fetchone()
                gone = bytes(WRAPPED_BYTES)
                if row is None:
                    # It never had one, and gets none: what is written of it would be lost.
                    row = (secrets.token_hex(_ID_BYTES), None)
                    self._connection.execute(
                        "INSERT INTO keys VALUES (?, ?, NULL, ?, ?, ?)",
                        (row[0], subject_id, gone, _now_us(), _now_us()),
                    )
                elif row[1] is None:
                    self._connection.execute(
                        "UPDATE keys SET wrapped = ?, destroyed_us = ? WHERE id = ?",
                        (gone, _now_us(), row[0]),
                    )
            self._truncate()
        self._by_subject.pop(subject_id, None)
        self._reader.forget(row[0])

    def is_destroyed(self, subject_id: str) -> bool:
        """As `SubjectKeys.is_destroyed`."""
        row = self._row(subject_id)
        return row is not None and row[3] is not None

    @property
    def empty(self) -> bool:
        """Whether there is no key, and never was one."""
        with database.errors(self._directory):
            found = self._reading.execute("SELECT EXISTS (SELECT 1 FROM keys)").fetchone()
        return not found[0]

    @property
    def checked_position(self) -> int:
        """Keys of all subjects that were erased up to here are destroyed."""
        with self._lock, database.errors(self._directory):
            return int(database.fact(self._connection, database.CHECKED_POSITION) or 0)

    def checked(self, position: int) -> None:
        """Move `checked_position`, durably."""
        with self._lock, database.errors(self._directory):
            database.put_fact(self._connection, database.CHECKED_POSITION, str(position))

    def close(self) -> None:
        """Release the files."""
        with self._lock:
            self._reader.close()
            self._reading.close()
            self._connection.close()

    def _row(self, subject_id: str) -> tuple[str, str, bytes, int | None] | None:
        with database.errors(self._directory):
            row: tuple[str, str, bytes, int | None] | None = self._reading.execute(
                "SELECT id, master, wrapped, destroyed_us FROM keys WHERE subject = ?",
                (subject_id,),
            ).fetchone()
        return row

    def _make(self, subject_id: str) -> Cipher:
        id, key = secrets.token_hex(_ID_BYTES), new_key()
        cipher = Cipher(id, key)
        self._new[subject_id] = (id, key)
        self._new_ciphers[id] = cipher
        return self._keep(subject_id, cipher)

    def _keep(self, subject_id: str, cipher: Cipher) -> Cipher:
        self._by_subject[subject_id] = cipher
        if len(self._by_subject) > CAPACITY:
            self._by_subject.popitem(last=False)
        return cipher

    def _truncate(self) -> None:
        """Leave no earlier page in the write-ahead log."""
        deadline = time.monotonic() + _CHECKPOINT_S
        while self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise Unavailable("The key is overwritten, its copy in the key store's log is not.")
            time.sleep(0.01)  # a reader is in the middle of a query


def _now_us() -> int:
    return time.time_ns() // 1000
