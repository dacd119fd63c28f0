"""The master key: its sources, and its rotation, killed anywhere."""

import base64
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import Conflict, InvalidInput, Unavailable
from infrastructure.keys import rotation
from infrastructure.keys.master import (
    CommandSource,
    EnvironmentSource,
    FileSource,
    MasterKeySource,
    new_key,
)
from infrastructure.keys.rotation import rotate
from infrastructure.keys.store import SubjectKeyStore

Open = Callable[[], SubjectKeyStore]
_TEXT = b"sealed before"

KMS = f"""#!{sys.executable}
# Stands for a KMS: "wrapped" is the text backwards.
import pathlib, sys
here = pathlib.Path(__file__).parent
if (here / "down").exists():
    sys.exit("the KMS is down")
with (here / "calls").open("a") as calls:
    calls.write(sys.argv[1] + "\\n")
print(sys.stdin.readline().strip()[::-1])
"""


def silent(done: int, total: int) -> None:
    return


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


def fill(keys: SubjectKeyStore, count: int) -> dict[str, bytes]:
    sealed = {f"s{n}": keys.of_subject(f"s{n}").seal(_TEXT, b"") for n in range(count)}
    keys.save()
    return sealed


def all_open(keys: SubjectKeyStore, sealed: dict[str, bytes]) -> bool:
    return all(keys.of_subject(s).open(data, b"") == _TEXT for s, data in sealed.items())


def test_a_rotation_wraps_every_key_anew_while_the_core_goes_on(
    open_keys: Open, directory: Path, source: FileSource
) -> None:
    keys = open_keys()
    sealed = fill(keys, 2_500)
    keys.destroy("s7")
    del sealed["s7"]
    before = source.load()
    report = rotate(directory, source, silent)
    assert report.rewrapped == 2_499
    assert len(source.load()) == 1
    assert source.load() != before
    # The core has not been told: it finds the new master key when it needs it.
    sealed["new"] = keys.of_subject("new").seal(_TEXT, b"")
    keys.save()
    assert all_open(keys, sealed)
    assert all_open(open_keys(), sealed)
    for path in directory.iterdir():
        assert text_of(before[0]).encode() not in path.read_bytes()


SCRIPT = """
import os, signal, sys
from pathlib import Path
from infrastructure.keys import rotation
from infrastructure.keys.master import FileSource

class Killing(FileSource):
    saves = 0
    def save(self, keys):
        type(self).saves += 1
        if sys.argv[2] == f"before save {self.saves}":
            os.kill(os.getpid(), signal.SIGKILL)
        super().save(keys)
        if sys.argv[2] == f"after save {self.saves}":
            os.kill(os.getpid(), signal.SIGKILL)

def progress(done, total):
    if sys.argv[2] == f"after {done}":
        os.kill(os.getpid(), signal.SIGKILL)

directory = Path(sys.argv[1])
rotation.rotate(directory, Killing(directory / "master.key"), progress)
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    "moment",
    ["before save 1", "after save 1", "after 1000", "after 2000", "before save 2", "after save 2"],
)
def test_a_rotation_that_is_killed_loses_nothing_and_is_finished_by_the_next(
    open_keys: Open, directory: Path, source: FileSource, moment: str
) -> None:
    sealed = fill(open_keys(), 2_500)
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(directory), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    keys = open_keys()
    sealed["between"] = keys.of_subject("between").seal(_TEXT, b"")
    keys.save()
    assert all_open(keys, sealed)
    rotate(directory, source, silent)
    assert len(source.load()) == 1
    assert all_open(open_keys(), sealed)


def test_two_rotations_at_once_are_refused(directory: Path, source: FileSource) -> None:
    source.load(make=True)

    class Nested(FileSource):
        def save(self, keys: object) -> None:
            with pytest.raises(Conflict):
                rotate(directory, source, silent)
            super().save(keys)  # type: ignore[arg-type]

    rotate(directory, Nested(directory / "master.key"), silent)


def test_keys_in_the_environment_are_rotated_by_putting_a_new_one_first(directory: Path) -> None:
    old, new = new_key(), new_key()

    def opened(*keys: bytes) -> tuple[MasterKeySource, SubjectKeyStore]:
        source = EnvironmentSource(",".join(map(text_of, keys)))
        return source, SubjectKeyStore(directory, source)

    source, keys = opened(old)
    sealed = fill(keys, 3)
    with pytest.raises(InvalidInput, match="new key first"):
        rotate(directory, source, silent)
    keys.close()
    source, keys = opened(new, old)
    assert rotate(directory, source, silent).rewrapped == 3
    keys.close()
    _, keys = opened(new)
    assert all_open(keys, sealed)
    keys.close()


def test_a_command_wraps_and_unwraps_the_master_key(directory: Path, tmp_path: Path) -> None:
    command = tmp_path / "kms"
    command.write_text(KMS)
    command.chmod(0o700)
    path = directory / "master.wrapped"

    def source() -> CommandSource:
        return CommandSource(str(command), path)

    keys = SubjectKeyStore(directory, source())
    sealed = fill(keys, 3)
    keys.close()
    (key,) = source().load()
    assert text_of(key) not in path.read_text()
    assert rotate(directory, source(), silent).rewrapped == 3
    (tmp_path / "calls").unlink()
    keys = SubjectKeyStore(directory, source())
    assert all_open(keys, sealed)
    keys.close()
    assert (tmp_path / "calls").read_text().split() == ["unwrap"]  # once, not for every key
    (tmp_path / "down").touch()
    with pytest.raises(Unavailable, match="the KMS is down"):
        SubjectKeyStore(directory, source())


@pytest.mark.parametrize("text", ["", "short", text_of(bytes(31)), text_of(bytes(33)), "ä" * 44])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        EnvironmentSource(text).load()
    assert not text or text not in caught.value.detail


def test_batches_are_what_the_kill_test_thinks() -> None:
    assert rotation._BATCH == 1_000
