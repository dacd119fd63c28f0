"""Where the events of a stream are: sorted tables that are a cache of the log.

The directory may be deleted at any time. Each table carries what it covers (the log's identity,
positions, the checksum of the frame that it ends with), and what does not fit the log is made anew
from it. The index runs behind the log; what it does not hold yet is in `tail.StreamTail`.

It holds runs, not events: neighbouring events of one stream in one frame are one entry. Positions
are found by `segment_map`, or `frames.find_frame` where a segment has no map.

Streams are hashed, so a B+tree would touch a page of its own for nearly every new message (ADR
0012). Here new runs go into a new table, and `merging` makes few large tables of many small ones.
"""

import hashlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from infrastructure.eventlog.merging import merge, to_merge
from infrastructure.eventlog.table import (
    KEY_BYTES,
    BadTable,
    Coverage,
    Run,
    Table,
    none_has,
    pack_entry,
)
from infrastructure.eventlog.table_writing import write_table

SUFFIX: Final = ".idx"
_WAIT_AT: Final = 96
"""Tables; when merging is that far behind, new ones wait for it."""

Checkpoint = Coverage
"""How far the index goes, and how to tell that it belongs to this log."""

StreamRuns = tuple[str, Sequence[Run]]
"""A stream with runs to be indexed."""


class Location(NamedTuple):
    """Where an event is."""

    version: int
    position: int
    frame_offset: int
    """Of its frame, within its segment."""
    record_offset: int
    """Within its frame, of the record with which its run begins."""
    hops: int
    """Records from there to the event's own."""


new_key: Final = hashlib.blake2b(digest_size=KEY_BYTES).copy
"""A hash that takes a stream's name; copying one is faster than making one with arguments."""


def stream_key(stream: str) -> bytes:
    """16 bytes by which a stream is known in the index (BLAKE2b)."""
    key = new_key()
    key.update(stream.encode())
    return key.digest()


def expand(runs: Iterable[Run], after_version: int, limit: int | None) -> list[Location]:
    """Locations of the events of runs with `version > after_version`, at most `limit`."""
    found: list[Location] = []
    for first, count, position, frame, record in runs:
        for at in range(max(0, after_version + 1 - first), count):
            if limit is not None and len(found) >= limit:
                return found
            found.append(Location(first + at, position + at, frame, record, at))
    return found


class Index:
    """The writer's index; one a directory. Look-ups are safe from any thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)
        self._tables: tuple[Table, ...] = _open_tables(directory)
        """In the order of the log, without gap or overlap. Replaced, never changed."""
        self._changed = threading.Condition()
        self._closing = False
        self.failure: str | None = None
        """Why tables could not be merged or fail their checksums; None: they could."""
        self._merger: threading.Thread | None = None

    @property
    def tables(self) -> int:
        """How many files a look-up may have to ask."""
        return len(self._tables)

    def checkpoint(self) -> Checkpoint | None:
        """How far it goes; None: it is empty."""
        tables = self._tables
        return tables[-1].covers if tables else None

    def checkpoints(self) -> list[Checkpoint]:
        """Where each table ends, in the order of the log."""
        return [table.covers for table in self._tables]

    def cut(self, tables: int) -> None:
        """Forget all but the first tables."""
        with self._changed:
            for table in self._tables[tables:]:
                table.path.unlink(missing_ok=True)
            self._tables = self._tables[:tables]

    def clear(self) -> None:
        """Forget everything."""
        self.cut(0)

    def add(self, streams: Iterable[StreamRuns], checkpoint: Checkpoint) -> None:
        """Add the runs up to a checkpoint, atomically and durably.

        Raises:
            OSError: for example, the disk is full; nothing was added.
        """
        items: list[bytes] = []
        for stream, runs in streams:
            key = stream_key(stream)
            items += [
                pack_entry(key, first, position, frame, record, count)
                for first, count, position, frame, record in runs
            ]
        items.sort()
        self.add_entries(len(items), [items], checkpoint)

    def add_entries(
        self, entries: int, chunks: Iterable[Sequence[bytes]], checkpoint: Checkpoint
    ) -> None:
        """As `add`, for entries (`pack_entry`) that are sorted, in chunks."""
        path = self._directory / f"{checkpoint.first:020d}-{checkpoint.last:020d}{SUFFIX}"
        table = write_table(path, checkpoint, entries, chunks)
        with self._changed:
            self._tables += (table,)
            self._changed.notify_all()
            self._start_merging()
            self._changed.wait_for(
                lambda: len(self._tables) < _WAIT_AT or self._closing or not self._alive
            )

    def last_version(self, stream: str) -> int:
        """Version of the stream's last indexed event, -1: none."""
        key = stream_key(stream)
        for table in reversed(self._tables):
            entries = table.find(key)
            if entries is not None:
                first, count, *_ = table.run(entries.stop - 1)
                return first + count - 1
        return -1

    def absent(self, streams: Iterable[str]) -> list[str]:
        """Those of the streams that it does not know."""
        probes = [table.probe() for table in reversed(self._tables)]
        return [stream for stream in streams if none_has(stream_key(stream), probes)]

    def runs(self, stream: str, after_version: int, limit: int | None) -> list[Run]:
        """Runs with events of the stream with `version > after_version`, in version order.

        Args:
            stream: Its name.
            after_version: The first run may begin before it.
            limit: Number of events after which to stop; None: never.
        """
        key = stream_key(stream)
        holding: list[tuple[Table, range]] = []
        for table in reversed(self._tables):
            entries = table.find(key)
            if entries is not None:
                holding.append((table, entries))
                if table.run(entries.start)[0] <= after_version + 1:
                    break  # what is older has nothing behind that version
        found: list[Run] = []
        events = 0
        for table, entries in reversed(holding):
            for number in range(table.first_after(entries, after_version), entries.stop):
                if limit is not None and events >= limit:
                    return found
                run = table.run(number)
                found.append(run)
                events += min(run[1], run[0] + run[1] - 1 - after_version)
        return found

    def close(self) -> None:
        """Stop merging."""
        self._closing = True
        with self._changed:
            self._changed.notify_all()
        if self._merger is not None:
            self._merger.join()

    # Merging, in a thread of its own.

    @property
    def _alive(self) -> bool:
        return self._merger is not None and self._merger.is_alive() and self.failure is None

    def _start_merging(self) -> None:
        if self._merger is None:
            self._merger = threading.Thread(target=self._merge, name="log-merger", daemon=True)
            self._merger.start()

    def _merge(self) -> None:
        while not self._closing:
            with self._changed:
                due = self._changed.wait_for(
                    lambda: self._closing or to_merge(self._tables) is not None
                )
                which = to_merge(self._tables)
            if self._closing or not due or which is None:
                return
            try:
                self._merge_some(which)
            except (OSError, BadTable, ValueError) as error:
                # The tables are as good as before; look-ups take longer. Tried again at a start.
                self.failure = f"merging: {type(error).__name__}: {error}"
                with self._changed:
                    self._changed.notify_all()
                return

    def _merge_some(self, which: slice) -> None:
        old = self._tables[which]
        first, last = old[0].covers.first, old[-1].covers.last
        path = self._directory / f"{first:020d}-{last:020d}{SUFFIX}"
        merged = merge(path, old, lambda: self._closing)
        if merged is None:
            return
        with self._changed:
            at = self._tables.index(old[0])
            self._tables = (*self._tables[:at], merged, *self._tables[at + len(old) :])
            self._changed.notify_all()
        for table in old:
            table.path.unlink(missing_ok=True)


def _open_tables(directory: Path) -> tuple[Table, ...]:
    """Tables in the order of the log; what a crash left over, or can't be read, goes."""
    found: list[Table] = []
    for path in directory.iterdir():
        try:
            if path.suffix != SUFFIX:
                raise BadTable("not a table")
            found.append(Table(path))
        except (BadTable, OSError, ValueError):
            if path.is_file():
                path.unlink(missing_ok=True)
    # A merged table and those that it was made of may both be there: the larger one first.
    found.sort(key=lambda table: (table.covers.first, -table.covers.last))
    kept: list[Table] = []
    for table in found:
        covers = table.covers
        last = kept[-1].covers.last if kept else 0
        fits = not kept or covers.log_uuid == kept[0].covers.log_uuid
        if fits and covers.first == last + 1:
            kept.append(table)
        else:
            table.path.unlink(missing_ok=True)
    return tuple(kept)
