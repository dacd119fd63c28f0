"""A model of a disk that loses its power: what was not flushed may be there in any part.

`tests.faults.recording` notes every system call of the log that changes what is on disk, in order.
`Platter` plays the notes up to any moment and writes what could be found after a power loss then:
everything up to the last flush of each file and directory is there; of what came later, every
512-byte sector is as it was after any of the writes, sizes are as they were at any moment, space
that was never flushed holds zeros or what an earlier file left there, and every change of a name
happened or not.

The index and `.torn` files are left out: the former is a cache, the latter are never read.
"""

import os
import random
from pathlib import Path
from typing import Final, NamedTuple

SECTOR: Final = 512


class Write(NamedTuple):
    file: int
    offset: int
    data: bytes


class Resize(NamedTuple):
    file: int
    size: int


class Allocate(NamedTuple):
    file: int
    size: int
    """The file has at least this many bytes; new ones are zeros."""


class Flush(NamedTuple):
    file: int


class Create(NamedTuple):
    name: str
    file: int | None
    """None: a directory."""


class Rename(NamedTuple):
    old: str
    new: str
    file: int


class Unlink(NamedTuple):
    name: str


class FlushNames(NamedTuple):
    directory: str


class Acknowledged(NamedTuple):
    events: int
    """In all, up to now."""


NameChange = Create | Rename | Unlink
Note = Write | Resize | Allocate | Flush | FlushNames | Acknowledged | NameChange


class Platter:
    """Files and names: what is certainly on disk, and what may be."""

    def __init__(self) -> None:
        self.images: dict[int, list[bytes]] = {}
        """File -> its content when it was last flushed, then after each change since."""
        self.names: dict[str, int | None] = {"": None}
        self.changes: list[NameChange] = []
        self.acknowledged = 0

    @classmethod
    def holding(cls, root: Path, files: dict[int, Path], acknowledged: int) -> "Platter":
        """One that has these files below a directory, all of it flushed."""
        platter = cls()
        platter.acknowledged = acknowledged
        for file, path in files.items():
            platter.images[file] = [path.read_bytes()]
            platter.names[str(path.relative_to(root))] = file
        for path in root.iterdir():
            if path.is_dir():
                platter.names[path.name] = None
        return platter

    def play(self, note: Note, *, flushes_lie: bool = False) -> None:
        """Go on by one note."""
        match note:
            case Write(file, offset, data):
                last = self.images[file][-1].ljust(offset, b"\0")
                self.images[file].append(last[:offset] + data + last[offset + len(data) :])
            case Resize(file, size):
                self.images[file].append(self.images[file][-1][:size].ljust(size, b"\0"))
            case Allocate(file, size):
                self.images[file].append(self.images[file][-1].ljust(size, b"\0"))
            case Flush(file):
                if not flushes_lie:
                    del self.images[file][:-1]
            case FlushNames(directory):
                self._flush_names(directory)
            case Acknowledged(events):
                self.acknowledged = events
            case _:
                if isinstance(note, Create) and note.file is not None:
                    self.images[note.file] = [b""]
                self.changes.append(note)

    def after_a_kill(self, root: Path) -> dict[int, Path]:
        """Write everything as the kernel knows it: a process died, the power stayed."""
        names = dict(self.names)
        for change in self.changes:
            _rename(names, change)
        return _write(root, names, {file: images[-1] for file, images in self.images.items()})

    def after_a_power_loss(self, root: Path, chance: random.Random) -> dict[int, Path]:
        """Write one of the many states that may be found."""
        names = dict(self.names)
        for change in self.changes:
            if chance.random() < 0.5:
                _rename(names, change)
        everything = [images[-1] for images in self.images.values()]
        found = {}
        for file, images in self.images.items():
            sizes = sorted({len(image) for image in images})
            size = chance.choice(sizes)
            newest = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
            sectors = []
            for at in range(0, size, SECTOR):
                choices = [image[at : at + SECTOR] for image in images]
                if chance.random() < newest:
                    sectors.append(choices[-1].ljust(SECTOR, b"\0"))
                    continue
                if at >= max(len(images[0]), SECTOR) and len(images) > 1:
                    choices.append(chance.choice(everything)[at : at + SECTOR])  # an earlier file's
                    choices.append(b"")
                sectors.append(chance.choice(choices).ljust(SECTOR, b"\0"))
            found[file] = b"".join(sectors)[:size]
        return _write(root, names, found)

    def _flush_names(self, directory: str) -> None:
        left: list[NameChange] = []
        for change in self.changes:
            name = change.old if isinstance(change, Rename) else change.name
            if os.path.dirname(name) == directory:
                _rename(self.names, change)
            else:
                left.append(change)
        self.changes = left


def _rename(names: dict[str, int | None], change: NameChange) -> None:
    match change:
        case Create(name, file):
            names[name] = file
        case Rename(old, new, file):
            if names.get(old) == file:
                del names[old]
            names[new] = file
        case Unlink(name):
            names.pop(name, None)


def _write(root: Path, names: dict[str, int | None], content: dict[int, bytes]) -> dict[int, Path]:
    root.mkdir()
    paths: dict[int, Path] = {}
    for name, file in sorted(names.items()):
        path = root / name
        if not path.parent.is_dir():
            continue  # the directory itself was lost
        if file is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content[file])
            paths[file] = path
    return paths
