"""Keys and sockets are ours alone, whole or not there."""

import os
import threading
from pathlib import Path

import pytest

from domain.errors import InvalidInput
from infrastructure.system.private_files import make_private, read_or_make_secret, read_secret


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a.secret"
    assert read_or_make_secret(path, "first") == b"first"
    assert read_or_make_secret(path, "second") == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["a.secret"]


def test_two_that_make_a_secret_at_once_get_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.secret"
    barrier = threading.Barrier(2)
    link = os.link

    def link_at_once(source: Path, target: Path) -> None:
        barrier.wait(5)
        link(source, target)

    monkeypatch.setattr(os, "link", link_at_once)
    monkeypatch.setattr(os, "getpid", threading.get_ident)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda new=new: found.append(read_or_make_secret(path, new)))
        for new in ("one", "two")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert found[0] == path.read_bytes()


def test_an_empty_secret_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "a.secret").write_bytes(b"\n")
    with pytest.raises(InvalidInput, match="is empty"):
        read_or_make_secret(tmp_path / "a.secret", "new")


def test_reading_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_secret(tmp_path / "keys" / "a.secret")
    assert not (tmp_path / "keys").exists()


def test_a_directory_for_sockets_is_made_private(tmp_path: Path) -> None:
    directory = make_private(tmp_path / "run")
    assert directory.stat().st_mode & 0o777 == 0o700
    assert make_private(directory) == directory


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(InvalidInput, match="must be a directory of ours"):
        make_private(tmp_path / "open")


def test_a_link_to_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(InvalidInput, match="must be a directory of ours"):
        make_private(tmp_path / "link")
