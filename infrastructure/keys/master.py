"""Where the master key comes from: a file, the environment, or a command that asks a KMS.

Every source gives a list, newest first. There is more than one while a rotation is under way: the
newest wraps, all of them unwrap.
"""

import base64
import binascii
import os
import secrets
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from domain.errors import InvalidInput, Unavailable
from infrastructure.keys.cipher import KEY_BYTES, MasterKey
from infrastructure.system.private_files import read_or_make_secret, read_secret

COMMAND_TIMEOUT_S: Final = 30.0


class MasterKeyMissing(InvalidInput):
    """Keys are wrapped by a master key that is not there."""

    code = "master-key-missing"

    def __init__(self, id: str, where: str) -> None:
        super().__init__(
            f"Subjects' keys are wrapped by the master key {id}, which is not in {where}; put it"
            " back, after a newer one if there is one."
        )


class MasterKeySource(Protocol):
    """Reads the master keys, and keeps new ones if it can."""

    makes_keys: bool
    """Whether `save` can be called; else the operator changes the keys."""

    def load(self, *, make: bool = False) -> list[bytes]:
        """Keys of 32 bytes, newest first; `make`: make the first one if there is none.

        Raises:
            InvalidInput: there is none, or it is not a key.
            Unavailable: the command does not answer.
        """

    def save(self, keys: Sequence[bytes]) -> None:
        """Keep these and no others; durable on return."""


class FileSource:
    """A file with one key a line, in base64."""

    def __init__(self, path: Path) -> None:
        self.makes_keys = True
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def load(self, *, make: bool = False) -> list[bytes]:
        """As `MasterKeySource.load`."""
        if make:
            text = read_or_make_secret(self._path, self._line(new_key()))
        else:
            try:
                text = read_secret(self._path)
            except FileNotFoundError:
                raise InvalidInput(f"There is no master key in {self._path}.") from None
        return [self._key(line) for line in text.decode("ascii", "replace").split()]

    def save(self, keys: Sequence[bytes]) -> None:
        """As `MasterKeySource.save`."""
        text = "".join(self._line(key) + "\n" for key in keys)
        replace_private(self._path, text.encode())

    def _line(self, key: bytes) -> str:
        return base64.b64encode(key).decode()

    def _key(self, line: str) -> bytes:
        return parse_key(line, str(self._path))


class EnvironmentSource:
    """Keys in a variable, base64, separated by commas."""

    def __init__(self, value: str) -> None:
        self.makes_keys = False
        self._value = value

    def __str__(self) -> str:
        return "KEFU_MASTER_KEY"

    def load(self, *, make: bool = False) -> list[bytes]:
        """As `MasterKeySource.load`."""
        return [parse_key(text.strip(), str(self)) for text in self._value.split(",")]

    def save(self, keys: Sequence[bytes]) -> None:
        """As `MasterKeySource.save`: the operator does that."""
        raise InvalidInput(f"Put the new key first in {self}, then the old one.")


class CommandSource(FileSource):
    """A file with one wrapped key a line; a command wraps and unwraps them, and asks a KMS.

    It is called as `COMMAND wrap` or `COMMAND unwrap`, gets base64 on standard input, and prints
    base64: what the KMS made of it.
    """

    def __init__(self, command: str, path: Path) -> None:
        super().__init__(path)
        self._command = shlex.split(command)

    def _line(self, key: bytes) -> str:
        wrapped = self._ask("wrap", base64.b64encode(key).decode())
        if not wrapped or any(sign.isspace() for sign in wrapped):
            raise Unavailable(f"{self._command[0]} wrap printed no base64.")
        return wrapped

    def _key(self, line: str) -> bytes:
        return parse_key(self._ask("unwrap", line), f"the answer of {self._command[0]}")

    def _ask(self, verb: str, text: str) -> str:
        try:
            done = subprocess.run(
                [*self._command, verb],
                input=text + "\n",
                capture_output=True,
                text=True,
                timeout=COMMAND_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"The master key's command: {error}") from error
        if done.returncode != 0:
            reason = done.stderr.strip() or f"status {done.returncode}"
            raise Unavailable(f"The master key's command, {verb}: {reason}")
        return done.stdout.strip()


class MasterKeys:
    """The keys of a source by their ids; read again when one is asked for that is not known."""

    def __init__(self, source: MasterKeySource, *, make: bool = False) -> None:
        self.source = source
        self._keys: dict[str, MasterKey] = {}
        self.newest = self._load(make=make)

    def get(self, id: str) -> MasterKey:
        """The master key with this id.

        Raises:
            MasterKeyMissing: the source does not have it.
        """
        if id not in self._keys:
            self.newest = self._load()
        try:
            return self._keys[id]
        except KeyError:
            raise MasterKeyMissing(id, str(self.source)) from None

    def _load(self, *, make: bool = False) -> MasterKey:
        keys = [MasterKey(key) for key in self.source.load(make=make)]
        self._keys = {key.id: key for key in keys}
        return keys[0]


def new_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def parse_key(text: str, where: str) -> bytes:
    """A key from base64; the message of an error never holds it."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidInput(f"{where} must hold {KEY_BYTES} bytes in base64 for each master key.")
    return key


def replace_private(path: Path, data: bytes) -> None:
    """Write a file (mode 0600), whole or not at all; durable on return."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
