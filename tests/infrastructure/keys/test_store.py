"""Keys in SQLite: where they lie, who may read them, what is left of a destroyed one."""

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from application.ports.subject_keys import SubjectKeyMissing
from domain.errors import InvalidInput, Unavailable
from infrastructure.keys.master import FileSource, MasterKeyMissing, MasterKeys
from infrastructure.keys.reader import KeyReader
from infrastructure.keys.store import SubjectKeyStore
from tests.contracts.subject_keys import SubjectKeysContract

Open = Callable[[], SubjectKeyStore]


class TestSqliteKeys(SubjectKeysContract):
    """The contract."""


def reader(directory: Path, **options: float) -> KeyReader:
    source = FileSource(directory / "master.key")
    return KeyReader(directory, lambda: MasterKeys(source), **options)  # type: ignore[arg-type]


def stored(directory: Path) -> dict[str, bytes]:
    with sqlite3.connect(directory / "subjects.sqlite3") as connection:
        rows = connection.execute("SELECT subject, wrapped FROM keys").fetchall()
    connection.close()
    return dict(rows)


def files_with(directory: Path, data: bytes) -> list[str]:
    return [path.name for path in directory.iterdir() if data in path.read_bytes()]


def test_everything_is_for_its_owner_only(open_keys: Open, directory: Path) -> None:
    keys = open_keys()
    keys.of_subject("a")
    keys.save()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_no_byte_of_a_destroyed_key_is_left_in_any_file(open_keys: Open, directory: Path) -> None:
    keys = open_keys()
    for number in range(300):
        keys.of_subject(f"subject-{number}")
        if number % 50 == 0:
            keys.save()
    keys.save()
    wrapped = stored(directory)
    assert files_with(directory, wrapped["subject-7"][:30])
    keys.destroy("subject-7")
    for at in range(0, 60, 10):
        assert files_with(directory, wrapped["subject-7"][at : at + 10]) == []
    assert files_with(directory, wrapped["subject-8"])


def test_readers_see_new_keys_and_destroyed_ones(open_keys: Open, directory: Path) -> None:
    keys, reading = open_keys(), reader(directory, keep_s=0.0)
    key = keys.of_subject("a")
    with pytest.raises(SubjectKeyMissing, match=key.id):
        reading.get(key.id)
    keys.save()
    sealed = key.seal(b"text", b"")
    found = reading.get(key.id)
    assert found is not None
    assert found.open(sealed, b"") == b"text"
    keys.destroy("a")
    assert reading.get(key.id) is None
    reading.close()


def test_a_reader_that_is_told_of_nothing_forgets_a_key_by_time(
    open_keys: Open, directory: Path
) -> None:
    keys, kept = open_keys(), reader(directory, keep_s=3600.0)
    key = keys.of_subject("a")
    keys.save()
    assert kept.get(key.id) is not None
    keys.destroy("a")
    assert kept.get(key.id) is not None
    kept.forget(key.id)
    assert kept.get(key.id) is None
    kept.close()


def test_a_reader_keeps_a_bounded_number(open_keys: Open, directory: Path) -> None:
    keys, reading = open_keys(), reader(directory, capacity=3)
    ids = [keys.of_subject(f"s{number}").id for number in range(10)]
    keys.save()
    for id in ids * 2:
        assert reading.get(id) is not None
    assert len(reading._ciphers) == 3
    reading.close()


def test_without_a_store_a_reader_says_so_and_finds_it_later(
    open_keys: Open, directory: Path
) -> None:
    reading = reader(directory)
    with pytest.raises(Unavailable, match="restore them"):
        reading.get("0" * 32)
    keys = open_keys()
    id = keys.of_subject("a").id
    keys.save()
    assert reading.get(id) is not None
    reading.close()


def test_with_keys_a_lost_master_key_is_not_replaced_by_a_new_one(
    open_keys: Open, directory: Path
) -> None:
    keys = open_keys()
    keys.of_subject("a")
    keys.save()
    master = directory / "master.key"
    text = master.read_text()
    master.unlink()
    with pytest.raises(InvalidInput, match="no master key"):
        open_keys()
    FileSource(master).load(make=True)
    with pytest.raises(MasterKeyMissing):
        open_keys()
    master.write_text(text)
    assert open_keys().key_id("a")


def test_a_wrapped_key_that_was_put_in_anothers_place_does_not_open(
    open_keys: Open, directory: Path
) -> None:
    keys = open_keys()
    keys.of_subject("a"), keys.of_subject("b")
    keys.save()
    wrapped = stored(directory)
    with sqlite3.connect(directory / "subjects.sqlite3") as connection:
        connection.execute("UPDATE keys SET wrapped = ? WHERE subject = 'a'", (wrapped["b"],))
    connection.close()
    with pytest.raises(Unavailable, match="damaged"):
        open_keys().of_subject("a")
