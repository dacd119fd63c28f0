"""What every `ObjectStore` does; a test class for each adapter inherits it."""

import threading
from pathlib import Path

import pytest

from infrastructure.eventlog.archive.errors import ArchiveConflict, ObjectNotFound
from infrastructure.eventlog.archive.object_store import CHUNK_BYTES, ObjectInfo, ObjectStore


def file_of(folder: Path, data: bytes) -> Path:
    path = folder / f"source-{len(list(folder.iterdir()))}"
    path.write_bytes(data)
    return path


class ObjectStoreContract:
    """Subclasses have a fixture `store`: an empty one."""

    def test_what_was_put_is_got_listed_and_there(self, store: ObjectStore, tmp_path: Path) -> None:
        data = bytes(range(256)) * 8192 + b"end"
        store.put("b.seg.zst", file_of(tmp_path, data))
        store.put("a.json", file_of(tmp_path, b""))
        pieces = list(store.get("b.seg.zst"))
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= CHUNK_BYTES
        assert b"".join(store.get("a.json")) == b""
        assert list(store.list()) == [ObjectInfo("a.json", 0), ObjectInfo("b.seg.zst", len(data))]
        assert store.exists("a.json")

    def test_what_was_never_put_is_not_there(self, store: ObjectStore) -> None:
        assert not store.exists("nothing")
        assert list(store.list()) == []
        with pytest.raises(ObjectNotFound, match="nothing"):
            list(store.get("nothing"))

    def test_the_same_bytes_may_be_put_again(self, store: ObjectStore, tmp_path: Path) -> None:
        for _ in range(2):
            store.put("key", file_of(tmp_path, b"bytes"))
        assert list(store.list()) == [ObjectInfo("key", 5)]

    @pytest.mark.parametrize("other", [b"", b"bytez", b"bytes and more", b"byte"])
    def test_other_bytes_never_overwrite(
        self, store: ObjectStore, tmp_path: Path, other: bytes
    ) -> None:
        store.put("key", file_of(tmp_path, b"bytes"))
        with pytest.raises(ArchiveConflict, match="key"):
            store.put("key", file_of(tmp_path, other))
        assert b"".join(store.get("key")) == b"bytes"

    def test_of_many_who_put_at_once_one_wins(self, store: ObjectStore, tmp_path: Path) -> None:
        files = [file_of(tmp_path, b"%d" % number * 1000) for number in range(6)]
        together = threading.Barrier(len(files))
        refused: list[ArchiveConflict] = []

        def put(source: Path) -> None:
            together.wait()
            try:
                store.put("key", source)
            except ArchiveConflict as error:
                refused.append(error)

        threads = [threading.Thread(target=put, args=(source,)) for source in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == len(files) - 1
        assert b"".join(store.get("key")) in [source.read_bytes() for source in files]

    def test_more_objects_than_fit_on_a_page_are_listed_by_key(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        source = file_of(tmp_path, b"x")
        keys = [f"{number:04d}" for number in range(30)]
        for key in reversed(keys):
            store.put(key, source)
        assert [info.key for info in store.list()] == keys

    @pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "x" * 201])
    def test_a_key_is_a_plain_name(self, store: ObjectStore, tmp_path: Path, key: str) -> None:
        with pytest.raises(ValueError, match="key"):
            store.put(key, file_of(tmp_path, b"x"))
        with pytest.raises(ValueError, match="key"):
            store.exists(key)
        with pytest.raises(ValueError, match="key"):
            list(store.get(key))
