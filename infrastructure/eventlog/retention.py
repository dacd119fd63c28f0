"""Who still needs which part of the log here, and the policy by which the rest may go.

A cursor is a position up to which somebody has seen everything. Sources of cursors are handed in
by the composition root; a source that can't be read, or a cursor that makes no sense, means that
nothing is deleted.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from domain.errors import InfrastructureError, KefuError
from infrastructure.eventlog.archive.files import write_durably

Source = Callable[[], Mapping[str, int]]
"""Name of a cursor -> position."""

_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_POSITION: Final = re.compile(rb"[0-9]{1,19}\n?")


class CursorUnreadable(InfrastructureError):
    """It is not known what a reader still needs."""

    code = "cursor-unreadable"


class RetentionPolicy(msgspec.Struct, frozen=True):
    """What stays here of what is archived and needed by no cursor."""

    segments: int
    """So many of the newest sealed segments stay in any case."""
    hours: float
    """Events younger than this stay,"""
    free_bytes: int
    """unless the disk has less free space."""


class CursorRegistry:
    """All who may need the log's files."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = dict(sources)

    def positions(self, durable: Callable[[], int]) -> dict[str, int]:
        """`source/cursor` -> position, of all.

        Args:
            durable: The log's last position, asked for after the cursors; none can be behind it.

        Raises:
            CursorUnreadable: one is not known.
        """
        found: dict[str, int] = {}
        for source, read in self._sources.items():
            try:
                cursors = dict(read())
            except KefuError as error:
                raise CursorUnreadable(f"{source}: {error.detail}") from error
            except Exception as error:  # whatever it is, it is not known what they need
                raise CursorUnreadable(f"{source}: {type(error).__name__}: {error}") from error
            found |= {f"{source}/{name}": position for name, position in cursors.items()}
        end = durable()
        for name, position in found.items():
            if not 0 <= position <= end:
                reason = f"position {position} is not in the log, which ends with {end}"
                raise CursorUnreadable(f"{name}: {reason}")
        return found


def cursor_files(directory: Path) -> Source:
    """Cursors that are files of a directory: `NAME` holds a decimal position.

    Every file counts, but for hidden ones. A directory that does not exist has none.
    """

    def read() -> dict[str, int]:
        if not directory.exists():
            return {}
        paths = [path for path in directory.iterdir() if not path.name.startswith(".")]
        return {path.name: _position(path) for path in sorted(paths)}

    return read


def write_cursor(directory: Path, name: str, position: int) -> None:
    """Say, durably, that a reader needs nothing up to a position any more.

    Raises:
        ValueError: the name or the position is none.
    """
    if not _NAME.fullmatch(name) or position < 0:
        raise ValueError(f"no cursor: {name!r} at {position}")
    write_durably(directory / name, b"%d\n" % position)


def _position(path: Path) -> int:
    data = path.read_bytes()
    if not _POSITION.fullmatch(data):
        raise CursorUnreadable(f"{path.name} holds no position")
    return int(data)
