"""Notes of every system call that changes what is on disk, for `tests.faults.power`."""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from tests.faults.power import (
    Acknowledged,
    Allocate,
    Create,
    Flush,
    FlushNames,
    Note,
    Rename,
    Resize,
    Unlink,
    Write,
)

_IGNORED: Final = (".torn", "lock")
_open: Final = os.open
_mkdir: Final = os.mkdir
_unlink: Final = os.unlink


class Recorder:
    """Notes of what happens below a directory."""

    def __init__(self, root: Path, files: dict[int, Path] | None = None, first: int = 1) -> None:
        self.notes: list[Note] = []
        self._root = root
        self._lock = threading.RLock()
        self._files = {path.stat().st_ino: file for file, path in (files or {}).items()}
        self._next = first
        """Number of the next file that is made."""
        self._recording = False

    def acknowledged(self, events: int) -> None:
        """A caller was told that this many events are safe."""
        with self._lock:
            self._note(Acknowledged(events))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Note what happens meanwhile."""
        self._recording = True
        with (
            mock.patch("os.open", self._open),
            mock.patch("os.pwrite", self._changing(os.pwrite, self._pwrite)),
            mock.patch("os.pwritev", self._changing(os.pwritev, self._pwritev)),
            mock.patch("os.ftruncate", self._changing(os.ftruncate, Resize)),
            mock.patch("os.posix_fallocate", self._changing(os.posix_fallocate, self._allocate)),
            mock.patch("os.fsync", self._flushing(os.fsync)),
            mock.patch("os.fdatasync", self._flushing(os.fdatasync)),
            mock.patch("os.rename", self._renaming(os.rename)),
            mock.patch("os.replace", self._renaming(os.replace)),
            mock.patch("os.unlink", self._unlink),
            mock.patch("os.mkdir", self._mkdir),
        ):
            yield
        self._recording = False

    def _note(self, note: Note) -> None:
        if self._recording:
            self.notes.append(note)

    def _name(self, path: Any) -> str | None:
        """Below the root; None: not there, or not of interest."""
        path = Path(path)
        if not path.is_relative_to(self._root) or path.name.endswith(_IGNORED):
            return None
        relative = path.relative_to(self._root)
        if "index" in relative.parts:
            return None
        return "" if path == self._root else str(relative)

    def _open(self, path: Any, flags: int, mode: int = 0o777, **rest: Any) -> int:
        name = None if isinstance(path, int) else self._name(path)
        with self._lock:
            existed = name is None or os.path.exists(path)
            fd = _open(path, flags, mode, **rest)
            if not existed and name is not None:
                self._files[os.fstat(fd).st_ino] = self._next
                self._note(Create(name, self._next))
                self._next += 1
            elif name is not None and flags & os.O_TRUNC:
                self._note(Resize(self._files[os.fstat(fd).st_ino], 0))
            return fd

    def _mkdir(self, path: Any, *rest: Any, **more: Any) -> None:
        with self._lock:
            _mkdir(path, *rest, **more)
            name = self._name(path)
            if name is not None:
                self._note(Create(name, None))

    def _changing(self, call: Callable[..., Any], note: Callable[..., Note]) -> Any:
        def change(fd: int, *arguments: Any) -> Any:
            with self._lock:
                file = self._files.get(os.fstat(fd).st_ino)
                if file is not None:
                    self._note(note(file, *arguments))
                return call(fd, *arguments)

        return change

    def _pwrite(self, file: int, data: bytes, offset: int) -> Note:
        return Write(file, offset, bytes(data))

    def _pwritev(self, file: int, parts: Any, offset: int) -> Note:
        return Write(file, offset, b"".join(parts))

    def _allocate(self, file: int, offset: int, length: int) -> Note:
        return Allocate(file, offset + length)

    def _flushing(self, call: Callable[[int], None]) -> Any:
        def flush(fd: int) -> None:
            with self._lock:
                call(fd)
                found = os.fstat(fd)
                if stat.S_ISDIR(found.st_mode):
                    name = self._name(os.readlink(f"/proc/self/fd/{fd}"))
                    if name is not None:
                        self._note(FlushNames(name))
                elif found.st_ino in self._files:
                    self._note(Flush(self._files[found.st_ino]))

        return flush

    def _renaming(self, call: Callable[..., None]) -> Any:
        def rename(old: Any, new: Any, **rest: Any) -> None:
            with self._lock:
                call(old, new, **rest)
                names = self._name(old), self._name(new)
                if names[0] is not None and names[1] is not None:
                    self._note(Rename(*names, self._files[os.stat(new).st_ino]))

        return rename

    def _unlink(self, path: Any, **rest: Any) -> None:
        with self._lock:
            _unlink(path, **rest)
            name = self._name(path)
            if name is not None:
                self._note(Unlink(name))
